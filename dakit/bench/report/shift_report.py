"""``shift_report``: everything that can be said about the shift between two domains, in one object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dakit.bench.report.advice import Advice, what_fits
from dakit.bench.report.amounts import Amount, Repair, how_much, repairs
from dakit.bench.report.consequences import Consequences, what_follows
from dakit.bench.report.moved import Moved, what_moved
from dakit.bench.report.places import Places, where
from dakit.bench.report.space import Space, space
from dakit.domains import Domain, check_same_shape, from_arrays


@dataclass(frozen=True, repr=False)
class ShiftReport:
    """What :func:`shift_report` found; shows itself in Jupyter, and saves itself as a page.

    Attributes
    ----------
    space : Space
        The examples that were compared, as vectors.
    moved : Moved
        Which kinds of shift there are: answers, tests, sentences.
    amounts : tuple of Amount
        Distances, with intervals where there are any.
    places : Places
        Classes, features and examples that moved.
    follows : Consequences or None
        What becomes of a source classifier; None without source labels of two classes.
    repaired : tuple of Repair
        What simple repairs leave of MMD².
    advice : tuple of Advice
        Families of methods that fit.
    settings : dict
        Seed, permutations, level, sizes.
    """

    space: Space
    moved: Moved
    amounts: tuple[Amount, ...]
    places: Places
    follows: Consequences | None
    repaired: tuple[Repair, ...]
    advice: tuple[Advice, ...]
    settings: dict[str, Any]

    @property
    def title(self) -> str:
        return f"Shift from {self.space.source.name} to {self.space.target.name}"

    def verdict(self) -> str:
        """The main findings in a few sentences."""
        words = [self.moved.sentences[q] for q in ("covariate", "label", "concept")]
        if self.follows is not None:
            words.append(self.accuracy_words())
        return " ".join(words)

    def accuracy_words(self) -> str:
        """Source accuracy, expected and true target accuracy of the classifier, in a sentence or two."""
        f = self.follows
        guesses = " to ".join(f"{v:.0%}" for v in sorted({round(e.value, 2) for e in f.expected.values()}))
        said = (
            f"A source classifier that is right on {f.source_accuracy:.0%} of new source examples is "
            f"expected at {guesses} on the target"
        )
        if f.target_accuracy is None:
            return f"{said} (ATC and DoC)."
        gap = min(e.value for e in f.expected.values()) - f.target_accuracy
        said += f" (ATC and DoC); it reaches {f.target_accuracy:.0%}."
        if gap > 0.05:
            said += (
                " The estimates are too hopeful here: they trust the classifier's confidence, which the "
                "shift has spoiled."
            )
        return said

    def __repr__(self) -> str:
        lines = [self.title, "", self.verdict(), ""]
        lines += [
            f"  {a.name}: {a.value:.4g}"
            + (f" [{a.interval[0]:.4g}, {a.interval[1]:.4g}]" if a.interval else "")
            for a in self.amounts
        ]
        lines += ["", *(f"- {a.family}: {a.reason}" for a in self.advice)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from dakit.bench.report.page import notebook_html

        return notebook_html(self)

    def html(self) -> str:
        """A self-contained page, readable without scripts and network."""
        from dakit.bench.report.page import report_page

        return report_page(self).html()

    def save(self, path: str | Path) -> Path:
        """Write the page to ``path``, which ends in .html."""
        from dakit.bench.report.page import report_page

        return report_page(self).save(path)

    def rich_parts(self) -> list[Any]:
        """What the command line prints."""
        from dakit.bench.report.plain import rich_parts

        return rich_parts(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON."""
        from dakit.bench.report.plain import plain

        return plain(self)


def shift_report(
    source: Any,
    target: Any,
    *,
    features: Callable[[Domain], Any] | None = None,
    model: Callable[[Domain], Any] | None = None,
    names: Sequence[str] | None = None,
    permutations: int = 500,
    alpha: float = 0.05,
    max_points: int = 3000,
    seed: int = 0,
) -> ShiftReport:
    """Compare two data sets: what moved, how much, is it significant, where, what it does to a model, what fits.

    Parameters
    ----------
    source, target : Domain, array or tensor of shape (n, ...), DataFrame, or pair (x, y)
        Labels are optional on both sides. Without target labels concept shift cannot be seen, and class shares are
        estimated from predictions.
    features : callable, optional
        Maps a Domain to an array (n, d): the space in which to compare, for example ``run.features``. By default the
        inputs: pixels as they are, other features divided by their pooled standard deviation.
    model : callable, optional
        Maps a Domain to class probabilities (n, k): the classifier whose fate is examined. It should not have been
        trained on these source examples. By default a cross-fitted logistic regression.
    names : sequence of str, optional
        Of the features of arrays.
    permutations : int
        Relabellings of each permutation test.
    alpha : float in (0, 1)
        Probability, over all tests of the report together, of a false alarm (Holm).
    max_points : int
        Larger domains are thinned to so many random examples.
    seed : int
        Of thinning, permutations, folds and bootstrap.

    Returns
    -------
    ShiftReport
        ``.verdict()`` in words, ``.save("report.html")``, ``.as_dict()``, and its parts as attributes.

    Raises
    ------
    TypeError
        If source or target is nothing that holds numbers.
    ValueError
        If examples differ in shape, a domain has fewer than 10 examples, or an argument is out of range.

    Notes
    -----
    Where both domains show the same things (a ``concept`` column), each keeps a random half of them, so that examples
    are independent. The true target accuracy is shown where there are target labels, and enters nothing else.

    Examples
    --------
    >>> from dakit import load
    >>> penguins = load("penguins")
    >>> report = shift_report(penguins["Adelie"], penguins["Gentoo"], permutations=50)
    >>> report.moved.covariate, report.moved.label
    (True, False)
    """
    source, target = _domain(source, "source", names), _domain(target, "target", names)
    check_same_shape(source, target)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
    if max_points < 10:
        raise ValueError(f"max_points must be at least 10, got {max_points}")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    for domain in (source, target):
        if len(domain) < 10:
            raise ValueError(
                f"a report needs at least 10 examples a side, and {domain.name!r} has {len(domain)}"
            )
    compared = space(source, target, features=features, max_points=max_points, seed=seed)
    follows = what_follows(compared, model=model, seed=seed)
    moved = what_moved(
        compared,
        permutations=permutations,
        alpha=alpha,
        seed=seed,
        probs=None if follows is None else follows.probs,
    )
    amounts = how_much(compared, seed=seed)
    repaired = repairs(compared, permutations=permutations, seed=seed)
    a_distance = next(a.value for a in amounts if a.key == "a_distance")
    return ShiftReport(
        compared,
        moved,
        amounts,
        where(compared, seed=seed),
        follows,
        repaired,
        what_fits(moved, repaired, a_distance, follows),
        {
            "seed": seed,
            "permutations": permutations,
            "alpha": alpha,
            "n": len(compared.xs),
            "m": len(compared.xt),
        },
    )


def _domain(given: Any, name: str, names: Sequence[str] | None) -> Domain:
    if isinstance(given, Domain):
        return given
    x, y = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    columns = tuple(str(c) for c in x.columns) if hasattr(x, "columns") else ()
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if not hasattr(x, "shape"):
        x = np.asarray(x)
    return from_arrays(x, y, name=name, features=tuple(names) if names is not None else columns)
