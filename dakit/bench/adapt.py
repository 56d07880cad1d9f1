"""``dakit adapt``: one source, one target, one method, beside ``source_only`` at the same budget."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dakit import methods as _methods
from dakit.bench.comparison import Comparison, compare
from dakit.bench.shallow import is_shallow
from dakit.bench.task import Task, make_task
from dakit.domains import Domain, DomainSet, bundled, open_domain, open_pair

if TYPE_CHECKING:
    from rich.table import Table


@dataclass
class Adaptation:
    """Result of :func:`adapt`.

    ``shift_before`` is the shift between the features of ``source_only``, ``shift_after`` between those of the method,
    both on held-out examples.
    """

    method: str
    comparison: Comparison
    seconds: float
    out: Path

    def as_dict(self) -> dict[str, Any]:
        c = self.comparison
        return {
            "method": self.method,
            "source": c.tasks[c.seeds[0]].source.name,
            "target": c.tasks[c.seeds[0]].target.name,
            "seeds": len(c.seeds),
            "source_accuracy": c.accuracy(self.method, "source"),
            "target_accuracy": c.accuracy(self.method, "target"),
            "source_only": {
                "source_accuracy": c.accuracy("source_only", "source"),
                "target_accuracy": c.accuracy("source_only"),
            },
            "gain": c.gain(self.method),
            "shift_before": c.shift("source_only"),
            "shift_after": c.shift(self.method),
            "health": [f.text for f in c.runs[self.method, c.seeds[0]].health().findings],
            "config": c.runs[self.method, c.seeds[0]].config,
            "seconds": self.seconds,
        }

    def rich_tables(self) -> list[Table]:
        from dakit.bench.tables import comparison_tables

        return comparison_tables(self.comparison, title=self.comparison.name)


def adapt(
    source: str | Domain | Sequence[str | Domain],
    target: str | Domain,
    *,
    method: str = "dann",
    seeds: int | Sequence[int] = 3,
    backbone: str = "auto",
    hyperparameters: dict[str, Any] | None = None,
    label_column: str | None = None,
    paired: bool = False,
    out: str | Path | None = None,
    say: Callable[[str], None] = lambda message: None,
    **fit_options: Any,
) -> Adaptation:
    """Train ``method`` and ``source_only`` on the same splits and compare them on held-out examples.

    Parameters
    ----------
    source, target : Domain, or what :func:`dakit.domains.open_domain` takes
        The source needs labels; it may be a list of several. Labels of the target, where there are any, are used to
        judge and for nothing else.
    method : str
        A name of ``dakit.methods.names()`` or ``dakit.methods.estimators()``. For the latter, ``source_only`` is the
        method's classifier on the source as it is, and neither ``backbone`` nor ``fit_options`` play a part.
    seeds : int or sequence of int
    backbone : str
        ``"auto"`` is an MLP for flat features and a LeNet-size CNN for images.
    hyperparameters : dict
        Keyword arguments of the method.
    label_column : str, optional
        Of tables.
    paired : bool
        For two domains of one bundled set: give both the same concepts instead of disjoint ones.
    out : path, optional
        Where runs (safetensors and JSON), ``results.json`` and ``adapt.html`` go; nothing is written when None.
    say : callable
        Told one line of text before each training.
    **fit_options
        Passed to :func:`dakit.training.fit`.

    Returns
    -------
    Adaptation

    Raises
    ------
    ValueError
        For an unknown method, a source without labels or with one class, a target with a class that the source does not
        know, examples of different shapes, or domains too small to split.
    """
    start = time.perf_counter()
    if method not in _methods.names() and not is_shallow(method):
        known = [*_methods.names(), *_methods.estimators()]
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(known)}")
    draw = _drawing(source, target, label_column=label_column, paired=paired)
    names = list(dict.fromkeys(["source_only", method]))
    comparison = compare(
        draw,
        names,
        seeds=seeds,
        backbone=backbone,
        hyperparameters={method: hyperparameters or {}},
        on_run=lambda name, seed: say(f"{name}, seed {seed}"),
        **fit_options,
    )
    folder = Path(out) if out is not None else Path()
    result = Adaptation(method, comparison, time.perf_counter() - start, folder)
    if out is not None:
        _write(result, folder)
    return result


def _drawing(
    source: str | Domain | Sequence[str | Domain],
    target: str | Domain,
    *,
    label_column: str | None,
    paired: bool,
) -> Callable[[int], Task]:
    """A function of the seed that draws a task; two domains of one bundled set keep their concepts apart."""
    sources = [source] if isinstance(source, str | Path | Domain) else list(source)
    if not sources:
        raise ValueError("source holds no domain; give one, or several in a list")
    pairs = [_pair(one, target, label_column=label_column, paired=paired) for one in sources]
    if paired and len(pairs) > 1:
        raise ValueError("paired needs one source domain and one target domain of a bundled set")
    if len(pairs) == 1:
        return lambda seed: make_task(*pairs[0](seed), seed=seed)

    def draw(seed: int) -> Task:
        drawn = [pair(seed) for pair in pairs]
        return make_task([s for s, _ in drawn], drawn[0][1], seed=seed)

    return draw


def _pair(
    source: str | Domain, target: str | Domain, *, label_column: str | None, paired: bool
) -> Callable[[int], tuple[Domain, Domain]]:
    """A function of the seed that gives one source and the target."""
    if isinstance(source, Domain) or isinstance(target, Domain):
        s, t = (
            d if isinstance(d, Domain) else open_domain(d, label_column=label_column)
            for d in (source, target)
        )
    else:
        s, t = open_pair(source, target, label_column=label_column)
        (name, _, _), (other, _, _) = str(source).partition("/"), str(target).partition("/")
        if name == other and name in bundled():
            both = DomainSet(name, [s, t])
            return lambda seed: both.pair(s.name, t.name, paired=paired, seed=seed)
    if paired:
        raise ValueError(
            "paired needs two domains of one bundled set, for example emoji/noto and emoji/twemoji"
        )
    return lambda seed: (s, t)


def _write(result: Adaptation, folder: Path) -> None:
    from dakit.bench.pages import comparison_page

    folder.mkdir(parents=True, exist_ok=True)
    for (name, seed), run in result.comparison.runs.items():
        run.save(folder / f"{name}-seed{seed}")
    (folder / "results.json").write_text(
        json.dumps(result.as_dict(), indent=2, ensure_ascii=False), encoding="utf-8"
    )
    (folder / "adapt.html").write_text(
        comparison_page([result.comparison], title=f"{result.method}: {result.comparison.name}"),
        encoding="utf-8",
    )


def parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """``["lambda_=0.5"]`` to ``{"lambda_": 0.5}``; values are Python literals, anything else stays text."""
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(
                f"a hyper-parameter is written NAME=VALUE, for example lambda_=0.5; got {text!r}"
            )
        try:
            out[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            out[name] = value
    return out
