"""Which run to keep when the target has no labels: validators, what they pick, and how far to trust them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dakit import metrics
from dakit.domains.domain import Domain
from dakit.training.evaluate import evaluate, outputs
from dakit.training.ranking import agreement
from dakit.training.run import Run
from dakit.training.signs import softmax

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Seen:
    """All that a validator may look at: one run's outputs and the labels of the source. No target labels.

    Attributes
    ----------
    zs, zt : array of shape (n, d) and (m, d), float32
        Features of the source's validation examples and of the target.
    logits_s, logits_t : array of shape (n, k) and (m, k), float32
    ys : array of shape (n,), int64
        Labels of the source's validation examples.
    z_train : array of shape (l, d), float32
        Features of the source's training examples; ``zs`` where none were given.
    seed : int
    """

    zs: np.ndarray
    zt: np.ndarray
    logits_s: np.ndarray
    logits_t: np.ndarray
    ys: np.ndarray
    z_train: np.ndarray
    seed: int

    @cached_property
    def ps(self) -> np.ndarray:
        """Probabilities on the source, (n, k)."""
        return softmax(self.logits_s.astype(np.float64))

    @cached_property
    def pt(self) -> np.ndarray:
        """Probabilities on the target, (m, k)."""
        return softmax(self.logits_t.astype(np.float64))

    @cached_property
    def pseudo(self) -> np.ndarray:
        """Predicted classes of the target, (m,)."""
        return self.logits_t.argmax(axis=1)

    @cached_property
    def weights(self) -> np.ndarray:
        """Density ratio of target to source at the features of the validation examples, (n,)."""
        return metrics.importance_weights(self.z_train, self.zt, self.zs)

    @cached_property
    def errors(self) -> np.ndarray:
        """1 where a validation example is misread, 0 elsewhere, (n,)."""
        return (self.logits_s.argmax(axis=1) != self.ys).astype(np.float64)


Validator = Callable[[Seen], float]

# All of them: higher is better. Risks and distances enter with their sign changed.
VALIDATORS: dict[str, Validator] = {
    "source_accuracy": lambda s: metrics.source_accuracy(s.logits_s, s.ys),
    "source_risk": lambda s: -metrics.source_risk(s.logits_s, s.ys),
    "entropy": lambda s: metrics.entropy_score(s.pt),
    "diversity": lambda s: metrics.class_diversity(s.pt),
    "information_maximisation": lambda s: metrics.information_maximisation(s.pt),
    "bnm": lambda s: metrics.bnm(s.pt),
    "snd": lambda s: metrics.snd(s.pt),
    "iwcv": lambda s: -metrics.iwcv(s.errors, s.weights).value,
    "dev": lambda s: -metrics.dev(s.errors, s.weights).value,
    "mdd": lambda s: metrics.mdd_score(s.zs, s.logits_s.argmax(axis=1), s.zt, s.pseudo, seed=s.seed),
    "reverse_validation": lambda s: metrics.reverse_validation(s.zs, s.ys, s.zt, s.pseudo),
    "silhouette": lambda s: metrics.cluster_score(s.zt, s.pseudo, seed=s.seed),
    "calinski_harabasz": lambda s: metrics.cluster_score(s.zt, s.pseudo, index="calinski_harabasz"),
    "mmd": lambda s: -metrics.mmd(s.zs, s.zt),
    "a_distance": lambda s: -metrics.a_distance(s.zs, s.zt, seed=s.seed),
    "rankme": lambda s: metrics.rankme(s.zt),
}


@dataclass(frozen=True)
class Validation:
    """Scores of runs by validators that see no target labels.

    Attributes
    ----------
    scores : DataFrame
        One row a run, one column a validator; higher is better in every column. NaN where a validator is undefined for
        a run: see ``problems``.
    problems : dict
        (run, validator) to the sentence that says why there is no score.
    accuracy : Series or None
        True accuracy of each run on the target, where ``truth`` was given.
    report : DataFrame or None
        Where ``truth`` was given, one row a validator, with the columns ``pick`` (missing where no run has a score),
        its ``accuracy`` (a mean where several runs share the best score), ``lost`` (accuracy of the best run minus
        that, at least 0) and ``gained`` (that minus the mean of all runs, which is what a pick at random has); the rank
        correlations ``spearman`` (with its bootstrap interval over runs, ``low`` to ``high``, 95 %) and ``kendall`` of
        score and true accuracy, NaN with fewer than 3 runs or where either is constant.
    """

    scores: "pd.DataFrame"
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    accuracy: "pd.Series | None" = None
    report: "pd.DataFrame | None" = None

    @property
    def picks(self) -> "pd.Series":
        """The run that each validator would keep; the first of equals, None where it could score no run."""
        import pandas as pd

        best = {v: self.scores[v].idxmax() if self.scores[v].notna().any() else None for v in self.scores}
        return pd.Series(best, dtype=object, name="pick")

    def __str__(self) -> str:
        if self.report is None:
            return f"{self.scores.round(3).to_string()}\n\n{self.picks.to_string()}"
        text = self.report.round(3).to_string()
        best, mean = self.accuracy.max(), self.accuracy.mean()
        return f"{text}\n\ntrue accuracy of {len(self.accuracy)} runs: best {best:.3f}, mean {mean:.3f}"

    __repr__ = __str__


def validate(
    runs: Run | Iterable[Run] | Mapping[str, Run | Iterable[Run]],
    source_val: Domain,
    target: Domain,
    *,
    source_train: Domain | None = None,
    truth: Domain | None = None,
    validators: Iterable[str] | Mapping[str, Validator] | None = None,
    max_points: int = 2000,
    draws: int = 1000,
    seed: int = 0,
) -> Validation:
    """Score runs without target labels, and, where the truth is known, say how good each validator's choice is.

    Parameters
    ----------
    runs : Run, Runs, sequence of either, or mapping of names to either
        Trained on the same classes: of several methods, hyper-parameters or seeds.
    source_val : Domain
        Labelled examples of the source that no run was trained on.
    target : Domain
        Its labels are dropped at once.
    source_train : Domain, optional
        Source examples of the training, for the density ratio of ``iwcv`` and ``dev``. By default the ratio is fitted
        to the validation examples themselves, which makes the weights a little too sure.
    truth : Domain, optional
        Labelled target examples. They are read after all scores are made, for the report alone.
    validators : sequence of str, or mapping of str to function, optional
        Names from ``VALIDATORS`` (by default all), or functions of a :class:`Seen` to a number that is higher for
        better runs.
    max_points : int
        Beyond this number of examples, a random sample of each domain is looked at, the same for every run.
    draws : int
        Bootstrap draws for the intervals of the rank correlations.
    seed : int

    Returns
    -------
    Validation

    Raises
    ------
    ValueError
        If there is no run, ``source_val`` or ``truth`` has no labels or other classes than a run, or a validator is
        unknown.

    Notes
    -----
    Choosing the validator by its report spends the target labels: report it for a validator that was chosen before.

    References
    ----------
    Musgrave, Belongie, Lim (2022). Three new validators and a large-scale benchmark ranking for unsupervised domain
    adaptation. arXiv 2208.07360.
    """
    import pandas as pd

    named = _named(runs)
    chosen = _chosen(validators)
    _check(named, source_val, truth)
    if max_points < 10:
        raise ValueError(f"max_points must be at least 10, got {max_points}")
    rng = np.random.default_rng(seed)
    source_val = _some(source_val, max_points, rng)
    target = _some(target.unlabeled(), max_points, rng)
    source_train = None if source_train is None else _some(source_train.unlabeled(), max_points, rng)
    table, problems = {}, {}
    for name, run in named.items():
        seen = _seen(run, source_val, target, source_train, seed)
        table[name] = {}
        for validator, function in chosen.items():
            try:
                table[name][validator] = float(function(seen))
            except ValueError as error:  # one class predicted, collapsed features: no score, and a reason
                table[name][validator] = float("nan")
                problems[name, validator] = str(error)
    scores = pd.DataFrame.from_dict(table, orient="index", columns=list(chosen))
    if truth is None:
        return Validation(scores, problems)
    accuracy = pd.Series(
        {name: evaluate(run, truth).accuracy for name, run in named.items()}, name="accuracy"
    )
    return Validation(scores, problems, accuracy, agreement(scores, accuracy, draws=draws, seed=seed))


def select(
    runs: Run | Iterable[Run] | Mapping[str, Run | Iterable[Run]],
    source_val: Domain,
    target: Domain,
    *,
    validator: str | Validator,
    source_train: Domain | None = None,
    max_points: int = 2000,
    seed: int = 0,
) -> Run:
    """The run that a validator would keep, chosen without target labels.

    Parameters
    ----------
    runs, source_val, target, source_train, max_points, seed
        As for :func:`validate`.
    validator : str or callable
        A name from ``VALIDATORS``, or a function of a :class:`Seen`. Name it before looking at any accuracy; none is
        the best for all methods and shifts, and there is no default.

    Returns
    -------
    Run
        The first one with the best score.

    Raises
    ------
    ValueError
        As for :func:`validate`, and if the validator is undefined for every run.
    """
    named = _named(runs)
    validators = [validator] if isinstance(validator, str) else {"given": validator}
    found = validate(
        named,
        source_val,
        target,
        source_train=source_train,
        validators=validators,
        max_points=max_points,
        seed=seed,
    )
    pick = found.picks.iloc[0]
    if pick is None:
        why = next(iter(found.problems.values()), "its scores are NaN")
        raise ValueError(f"the validator is undefined for every run: {why}")
    return named[pick]


def _named(runs: Run | Iterable[Run] | Mapping[str, Run | Iterable[Run]]) -> dict[str, Run]:
    """All runs under names of their own."""
    if isinstance(runs, Run):
        runs = [runs]
    pairs = runs.items() if isinstance(runs, Mapping) else ((None, item) for item in runs)
    named: dict[str, Run] = {}
    for given, item in pairs:
        several = [item] if isinstance(item, Run) else list(item)
        for run in several:
            if not isinstance(run, Run):
                raise TypeError(f"validate scores runs, as fit returns them, got {type(run).__name__}")
            name = given or run.name
            if given is None or len(several) > 1:
                name = f"{name}, seed {run.seed}"
            taken = sum(key == name or key.startswith(f"{name} (") for key in named)
            named[f"{name} ({taken + 1})" if taken else name] = run
    if not named:
        raise ValueError("there are no runs to score")
    return named


def _chosen(validators: Iterable[str] | Mapping[str, Validator] | None) -> dict[str, Validator]:
    if validators is None:
        return VALIDATORS
    if isinstance(validators, Mapping):
        return dict(validators)
    names = [validators] if isinstance(validators, str) else list(validators)
    for name in names:
        if name not in VALIDATORS:
            raise ValueError(f"there is no validator {name!r}; there are {', '.join(VALIDATORS)}")
    return {name: VALIDATORS[name] for name in names}


def _check(named: dict[str, Run], source_val: Domain, truth: Domain | None) -> None:
    for domain, role in ((source_val, "source_val"), (truth, "truth")):
        if domain is not None and domain.y is None:
            raise ValueError(f"{role} needs labels, but domain {domain.name!r} has none")
        for name, run in named.items():
            if domain is not None and domain.classes != tuple(run.config["classes"]):
                raise ValueError(
                    f"{role} has the classes {list(domain.classes)}, run {name!r} was trained on "
                    f"{list(run.config['classes'])}; domains.align_classes brings two domains to one list"
                )


def _some(domain: Domain, most: int, rng: np.random.Generator) -> Domain:
    if len(domain) <= most:
        return domain
    return domain.subset(np.sort(rng.choice(len(domain), most, replace=False)))


def _seen(run: Run, source_val: Domain, target: Domain, source_train: Domain | None, seed: int) -> Seen:
    (zs, logits_s), (zt, logits_t) = (
        [part.numpy() for part in outputs(run.method, domain.x)] for domain in (source_val, target)
    )
    z_train = zs if source_train is None else outputs(run.method, source_train.x)[0].numpy()
    return Seen(zs, zt, logits_s, logits_t, source_val.y.cpu().numpy(), z_train, seed)
