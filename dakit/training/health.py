"""What looks wrong in a training, in plain words and without target labels."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dakit.domains.domain import Domain
    from dakit.training.run import Run, Runs

LEVELS = {"alarm": "✗", "warning": "!", "fine": "✓", "note": "·"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    key : str
        A short name, such as ``"discriminator"``.
    level : {"alarm", "warning", "fine", "note"}
    text : str
        What was seen and what to do, in a sentence or two.
    """

    key: str
    level: str
    text: str


@dataclass(frozen=True)
class Health:
    """Findings about a training, the worst first. Prints as a list; ``health["discriminator"]`` is one of them."""

    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.findings.sort(key=lambda f: list(LEVELS).index(f.level))

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: no alarm and no warning."""
        return not any(f.level in ("alarm", "warning") for f in self.findings)

    def __getitem__(self, key: str) -> Finding:
        for f in self.findings:
            if f.key == key:
                return f
        raise KeyError(
            f"nothing was found about {key!r}; findings are about {', '.join(f.key for f in self.findings)}"
        )

    def __contains__(self, key: str) -> bool:
        return any(f.key == key for f in self.findings)

    def __str__(self) -> str:
        return "\n".join(f"{LEVELS[f.level]} {f.key}: {f.text}" for f in self.findings)

    __repr__ = __str__


# -- one run ----------------------------------------------------------------------------------------------------


def examine(run: "Run") -> Health:
    """Look at one run; see :meth:`dakit.training.Run.health`."""
    looked = [row for row in run.rows if "effective_rank" in row]
    if not looked:
        return Health(
            [Finding("snapshots", "note", "the run kept no snapshots, so there is little to look at")]
        )
    findings = [
        _finite(run),
        _source(run, looked),
        _converged(run),
        _collapse(run, looked),
        _transfer(run, looked),
    ]
    findings += [
        _discriminator(run, looked),
        *(Finding("batches", "note", n) for n in run.config.get("notes", [])),
    ]
    return Health([f for f in findings if f is not None])


def _finite(run: "Run") -> Finding:
    bad = sorted({k for row in run.rows for k, v in row.items() if not math.isfinite(v)})
    weights = not all(bool(p.isfinite().all()) for p in run.method.parameters())
    if bad or weights:
        where = ", ".join(bad + ["the weights"] * weights)
        return Finding("finite", "alarm", f"NaN or infinite numbers in {where}: lower lr and start again")
    return Finding("finite", "fine", "all losses, features and weights are finite")


def _source(run: "Run", looked: list[dict]) -> Finding | None:
    accuracy = [row["source_accuracy"] for row in looked if "source_accuracy" in row]
    if not accuracy:
        return None  # no source was given
    chance = 1 / run.method.num_classes
    last, best = accuracy[-1], max(accuracy)
    if type(run.method).needs_target_labels:
        return Finding(
            "source", "note", "this is a bound, trained on target labels; its source accuracy says little"
        )
    if last < chance + 0.25 * (1 - chance):
        text = (
            f"the source itself is not learned: accuracy {last:.2f} with chance {chance:.2f}; "
            "train longer, change lr or the backbone"
        )
        return Finding("source", "alarm", text)
    if last < best - 0.1:
        text = (
            f"source accuracy fell from {best:.2f} to {last:.2f}: aligning is paid for with the labels, "
            "a mark of negative transfer; lower lambda_ or train longer"
        )
        return Finding("source", "warning", text)
    return Finding("source", "fine", f"source accuracy is {last:.2f} (training examples)")


def _converged(run: "Run") -> Finding | None:
    if not run.finished:
        return Finding("converged", "note", f"the run stopped at step {run.step} of {run.config['steps']}")
    # A method of several phases logs its terms under the name of the phase; the first with a label loss counts.
    key = next((k for row in run.rows for k in row if k == "label" or k.endswith(".label")), "label")
    curve = [row[key] for row in run.rows if key in row]
    if len(curve) < 8 or not np.isfinite(curve).all():
        return None
    quarter = max(2, len(curve) // 4)
    before, after = np.array(curve[-2 * quarter : -quarter]), np.array(curve[-quarter:])
    fall = before.mean() - after.mean()
    noise = math.sqrt(before.var(ddof=1) / quarter + after.var(ddof=1) / quarter)
    start = curve[0]
    if fall > 0.05 * start and fall > 2 * noise:
        text = (
            f"the label loss was still falling at the end ({before.mean():.3g} to {after.mean():.3g} over the last "
            "half): more steps will help"
        )
        return Finding("converged", "warning", text)
    if after.mean() > start:
        text = f"the label loss ended above where it began ({start:.3g} to {after.mean():.3g}): lower lr"
        return Finding("converged", "alarm", text)
    return Finding("converged", "fine", f"the label loss has settled at {after.mean():.3g}")


def _collapse(run: "Run", looked: list[dict]) -> Finding:
    last, first = looked[-1], looked[0]
    k, d = run.method.num_classes, run.snapshots[-1].source_features.shape[1]
    sides = [key for key in ("source_spread", "target_spread") if key in last]
    spread, began = min(last[key] for key in sides), max(first[key] for key in sides)
    if not math.isfinite(spread) or spread < 1e-3 * began or last["effective_rank"] < 1.05:
        text = (
            f"the features collapsed (effective rank {last['effective_rank']:.1f} of {d}, spread {spread:.2g}): every "
            "input looks the same to the head; lower lambda_ or lr"
        )
        return Finding("features", "alarm", text)
    if last["effective_rank"] < min(k - 1, d) / 2:
        text = (
            f"effective rank {last['effective_rank']:.1f} is little for {k} classes in {d} dimensions: "
            "the features may be collapsing"
        )
        return Finding("features", "warning", text)
    return Finding(
        "features", "fine", f"effective rank {last['effective_rank']:.1f} of {d}, spread {spread:.2g}"
    )


def _transfer(run: "Run", looked: list[dict]) -> Finding | None:
    last, snapshot = looked[-1], run.snapshots[-1]
    if "target_balance" not in last:
        return None  # one domain alone
    k = run.method.num_classes
    counts = Counter(snapshot.target_logits.argmax(axis=1).tolist())
    top = counts.most_common(1)[0][1] / len(snapshot.target_logits)
    in_source = Counter(snapshot.source_logits.argmax(axis=1).tolist())
    missing = [c for i, c in enumerate(run.config["classes"]) if i in in_source and i not in counts]
    usual = max(in_source.values()) / len(snapshot.source_logits)
    if top > max(0.9, usual + 0.2) or (missing and len(missing) >= k / 2):
        none = f", none in {', '.join(missing)}" if missing else ""
        text = (
            f"target predictions crowd into few classes ({top:.0%} in one{none}): negative transfer is likely"
        )
        return Finding("transfer", "alarm", text)
    if last["target_balance"] > 0.25 or missing:
        what = f"; never predicted there: {', '.join(missing)}" if missing else ""
        text = (
            f"{last['target_balance']:.0%} of the target's predicted mass lies in other classes than in the "
            f"source{what}. Either the class proportions differ, or the target is misread; methods that match all "
            "features suffer from both"
        )
        return Finding("transfer", "warning", text)
    if last["target_entropy"] > 0.5:
        text = (
            f"the target predictions are undecided (entropy {last['target_entropy']:.2f} of 1): "
            "the target still looks foreign"
        )
        return Finding("transfer", "warning", text)
    text = (
        f"target predictions are spread over the classes as in the source (difference {last['target_balance']:.0%}); "
        "only labels could tell more"
    )
    return Finding("transfer", "fine", text)


def _discriminator(run: "Run", looked: list[dict]) -> Finding | None:
    accuracy = [row["discriminator_accuracy"] for row in looked if "discriminator_accuracy" in row]
    if not accuracy:
        return None
    last = accuracy[-1]
    if last > 0.95:
        text = (
            f"the discriminator wins (accuracy {last:.2f}): the domains are still fully told apart, and its gradient "
            "is nearly gone; raise lambda_, or train longer"
        )
        return Finding("discriminator", "warning", text)
    if last > 0.6:
        return Finding("discriminator", "fine", f"discriminator accuracy is {last:.2f}: the game is still on")
    from dakit import metrics

    s = run.snapshots[-1]
    distance = metrics.a_distance(s.source_features, s.target_features, seed=run.seed)
    if distance > 1.0:
        text = (
            f"the discriminator is dead or outrun (accuracy {last:.2f}), but a fresh classifier still tells the "
            f"domains apart (A-distance {distance:.2f} of 2): its chance level is no proof of invariance; give it "
            "more units or a higher lr"
        )
        return Finding("discriminator", "alarm", text)
    fresh = "is near chance too" if distance < 0.4 else "tells the domains apart somewhat better"
    text = (
        f"the discriminator is at chance ({last:.2f}); a fresh one {fresh} (A-distance {distance:.2f} of 2)"
    )
    return Finding("discriminator", "fine", text)


# -- several seeds ----------------------------------------------------------------------------------------------


def examine_all(runs: "Runs", baseline: "Runs | None" = None, domain: "Domain | None" = None) -> Health:
    """Look at several seeds; see :meth:`dakit.training.Runs.health`."""
    findings = []
    for key, (level, seeds, text) in _shared([(run.seed, run.health()) for run in runs]).items():
        of = f"in {len(seeds)} of {len(runs)} seeds" if len(seeds) < len(runs) else "in every seed"
        findings.append(Finding(key, level, f"{of}: {text}" if level != "note" else text))
    if len(runs) < 3:
        findings.append(
            Finding("seeds", "warning", f"{len(runs)} seeds say little about the spread; take at least 3")
        )
    if baseline is not None and domain is not None:
        findings.append(_gain(runs.accuracies(domain), baseline.accuracies(domain), baseline[0].name))
    return Health(findings)


def _shared(healths: list[tuple[int, Health]]) -> dict[str, tuple[str, list[int], str]]:
    """The worst level of each finding, the seeds that have it, and the first one's words."""
    worst: dict[str, tuple[str, list[int], str]] = {}
    order = list(LEVELS)
    for seed, health in healths:
        for f in health.findings:
            level, seeds, text = worst.get(f.key, (f.level, [], f.text))
            if order.index(f.level) < order.index(level):
                level, seeds, text = f.level, [], f.text
            if f.level == level:
                seeds.append(seed)
            worst[f.key] = (level, seeds, text)
    return worst


def _gain(adapted: np.ndarray, plain: np.ndarray, name: str) -> Finding:
    gain = float(adapted.mean() - plain.mean())
    if min(len(adapted), len(plain)) < 2:
        return Finding(
            "gain", "warning", f"gain over {name} {gain:+.3f} from one seed, whose spread is unknown"
        )
    error = math.sqrt(adapted.var(ddof=1) / len(adapted) + plain.var(ddof=1) / len(plain))
    text = f"gain over {name} {gain:+.3f}, standard error {error:.3f}, spread over seeds {adapted.std(ddof=1):.3f}"
    if gain < -2 * error:
        return Finding("gain", "alarm", f"{text}: negative transfer")
    if gain < 2 * error:
        return Finding("gain", "warning", f"{text}: not larger than chance over seeds; take more seeds")
    return Finding("gain", "fine", text)
