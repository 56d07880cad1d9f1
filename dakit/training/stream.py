"""``stream``: the online protocol of test-time adaptation, in which every example is answered once, as it comes."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from dakit.domains.domain import Domain
from dakit.methods.method import Batch, Method
from dakit.training import checks, optimisers
from dakit.training.evaluate import check_classes, device_of
from dakit.training.run import Run

if TYPE_CHECKING:
    import pandas as pd

RESETS = ("never", "domain", "batch")


@dataclass(frozen=True, repr=False)
class Stream:
    """What a method answered to a stream. Arrays have one entry an example, in the order of the stream.

    Attributes
    ----------
    method : Method
        The copy that adapted, as it was after the last batch.
    names : tuple of str
        Names of the domains, in the order in which they came.
    domain : array of shape (n,), int64
        Which of them an example is from.
    index : array of shape (n,), int64
        Its row in that domain.
    batch : array of shape (n,), int64
        The batch in which it came, counted from 0.
    logits : array of shape (n, k), float32
        Class scores, given before the method learned from the batch (for the last time, with ``steps`` above 1).
    labels : array of shape (n,), int64
        True classes, -1 where the domain has no labels. Looked at for the accuracies and for nothing else.
    terms : list of dict
        The loss terms of each batch, empty where nothing was learned.
    """

    method: Method
    names: tuple[str, ...]
    domain: np.ndarray
    index: np.ndarray
    batch: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    terms: list[dict[str, float]] = field(default_factory=list)

    @property
    def predicted(self) -> np.ndarray:
        """Class index of each example, (n,) int64."""
        return self.logits.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of right answers among all examples with labels; NaN if there are none."""
        return _share_right(self.predicted, self.labels)

    @property
    def per_batch(self) -> np.ndarray:
        """Accuracy of each batch, NaN for one without labels."""
        return np.array([_share_right(self.predicted[at], self.labels[at]) for at in self._rows(self.batch)])

    @property
    def per_domain(self) -> dict[str, float]:
        """Accuracy on each domain, over all its visits where it comes again; NaN for one without labels."""
        visits: dict[str, list[np.ndarray]] = {}
        for name, at in zip(self.names, self._rows(self.domain)):
            visits.setdefault(name, []).append(at)
        rows = {name: np.concatenate(parts) for name, parts in visits.items()}
        return {name: _share_right(self.predicted[at], self.labels[at]) for name, at in rows.items()}

    @property
    def history(self) -> pd.DataFrame:
        """One row a batch: its number, its domain, its size, its accuracy, and the loss terms."""
        import pandas as pd

        rows = self._rows(self.batch)
        accuracies, terms = self.per_batch, self.terms or [{}] * len(rows)
        return pd.DataFrame(
            [
                {"batch": i, "domain": self.names[self.domain[at][0]], "n": len(at), "accuracy": a} | t
                for i, (at, a, t) in enumerate(zip(rows, accuracies, terms))
            ]
        )

    @staticmethod
    def _rows(number: np.ndarray) -> list[np.ndarray]:
        return np.split(np.arange(len(number)), np.flatnonzero(np.diff(number)) + 1)

    def __repr__(self) -> str:
        size = f"{len(self.index)} examples in {self.batch[-1] + 1} batches"
        right = "no labels" if math.isnan(self.accuracy) else f"accuracy {self.accuracy:.3f}"
        return f"Stream of {', '.join(self.names)} through {type(self.method).__name__}: {size}, {right}"


def stream(
    method: Method | Run,
    domain: Domain | Mapping[str, Domain] | Sequence[Domain],
    *,
    batch_size: int = 64,
    lr: float = 0.001,
    optimizer: str = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    steps: int = 1,
    reset: str = "never",
    shuffle: bool = True,
    seed: int = 0,
) -> Stream:
    """Answer a stream of examples batch by batch, and learn from each batch as it flows by.

    For every batch, in turn: answer it, take the loss of the method's second stage on it, take a step. Each example is
    answered once, before the method has learned from it, and never seen again. This is the protocol of Tent and CoTTA;
    their answers are those of the forward pass that the loss needs, with the statistics of the batch where the network
    has batch normalisation. Dropout is off. The source is not needed.

    Parameters
    ----------
    method : Method or Run
        A trained method. A copy adapts, on the device where the method is, in full precision; its ``pretrain`` and
        ``adapt_lr`` play no part. ``methods.build("tent", …).start_from(run.method)`` makes one of other trained
        weights.
    domain : Domain, DomainSet or sequence of Domain
        What flows by; several domains come one after another. Labels are used for accuracies and for nothing else.
    batch_size : int
        Examples of a batch. A last batch of one example is joined to the batch before it.
    lr : float, at least 0
        Learning rate. 0 only answers: ``tent`` with the statistics of each batch, methods that do not learn from
        streams as ``evaluate`` does.
    optimizer : {"sgd", "adam", "adamw"}
    momentum : float
        For ``"sgd"``.
    weight_decay : float
    steps : int
        Steps on each batch; the answer is that of the last, before the weights move.
    reset : {"never", "domain", "batch"}
        When the copy goes back to the weights at the beginning: never (continual), before each domain, or before each
        batch (episodic, which needs more than one of ``steps`` to learn anything).
    shuffle : bool
        Draw the order of the examples within each domain. Stored domains are often sorted by class, and batches of one
        class mislead the statistics; False keeps the order.
    seed : int
        Of the order, and of what the method draws.

    Returns
    -------
    Stream

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, the domains do not fit the method, or the method does not learn from streams and ``lr``
        is not 0.
    FloatingPointError
        If a loss becomes NaN or infinite.

    References
    ----------
    Wang, Shelhamer, Liu, Olshausen, Darrell (2021). Tent: Fully test-time adaptation by entropy minimization. ICLR.
    Wang, Fink, Van Gool, Dai (2022). Continual test-time domain adaptation. CVPR.

    Examples
    --------
    >>> from dakit import methods
    >>> from dakit.training import fit
    >>> x = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).repeat(20, 1) + torch.linspace(0, 0.2, 40)[:, None]
    >>> source = Domain("left and right", x, torch.tensor([0, 1]).repeat(20), ("left", "right"))
    >>> run = fit(methods.build("tent", source, pretrain=1), source, source, steps=50, progress=False)
    >>> moved = Domain("moved", x + 3, source.y, source.classes)
    >>> stream(run, moved, batch_size=10)
    Stream of moved through Tent: 40 examples in 4 batches, accuracy 1.000
    """
    known, method = (None, method) if isinstance(method, Method) else _of_run(method)
    if isinstance(domain, Mapping):
        domain = domain.values()
    domains = [domain] if isinstance(domain, Domain) else list(domain)
    _check(method, domains, known, batch_size, lr, optimizer, momentum, weight_decay, steps, reset)
    learns, device, seed = getattr(method, "online", False), device_of(method), checks.seed_number(seed)
    if learns:
        checks.batch_norm(method, domains, batch_size)
    method = copy.deepcopy(method)
    if learns:
        method.pretrain = 0.0  # whatever the training was: from here on the second stage
    method.train(learns)
    for m in method.modules():
        if isinstance(m, nn.modules.dropout._DropoutNd):
            m.eval()
    first = copy.deepcopy(method.state_dict()) if reset != "never" else None
    settings = {"name": optimizer, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    moving, last, seen = None, None, []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for number, rows in _batches(domains, batch_size, seed if shuffle else None):
            if moving is None or reset == "batch" or (reset == "domain" and number != last):
                if moving is not None:
                    method.load_state_dict(first)
                moving = optimisers.players(method, **settings)[1] if learns and lr else {}
            last, x = number, domains[number].x[rows].to(device)
            batch = Batch(x, None, rows.to(device), 1)
            seen.append(
                (number, rows, *(_learn(method, batch, moving, steps) if learns else _ask(method, x)))
            )
    return _collect(method, domains, seen)


def _of_run(run: Run) -> tuple[tuple[str, ...], Method]:
    if not isinstance(run, Run):
        raise TypeError(f"method must be a trained Method or a Run, got {type(run).__name__}")
    return tuple(run.config["classes"]), run.method


def _batches(domains: list[Domain], size: int, seed: int | None) -> Iterator[tuple[int, Tensor]]:
    """Number of the domain and rows of each batch, every row once."""
    rng = None if seed is None else np.random.default_rng(seed)
    for number, domain in enumerate(domains):
        n = len(domain)
        order = torch.from_numpy(np.arange(n) if rng is None else rng.permutation(n))
        cuts = list(range(size, n, size))
        if cuts and size > 1 and n - cuts[-1] == 1:
            cuts.pop()
        yield from ((number, rows) for rows in order.tensor_split(cuts))


def _learn(method: Method, batch: Batch, moving: dict, steps: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Answer a batch and learn from it; the answers of the last forward pass, and its loss terms."""
    for _ in range(steps):
        terms = method.losses(None, batch, 1.0)
        for optimiser in moving.values():
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            optimiser.step()
    return method.answers, {k: v.detach() for k, v in terms.items()}


@torch.no_grad()
def _ask(method: Method, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    return method.logits(x), {}


def _collect(method: Method, domains: list[Domain], seen: list[tuple]) -> Stream:
    numbers, rows, logits, terms = zip(*seen)
    sizes = [len(r) for r in rows]
    labels = [
        torch.full((len(r),), -1) if domains[i].y is None else domains[i].y[r.to(domains[i].y.device)].cpu()
        for i, r in zip(numbers, rows)
    ]
    plain = [{k: float(v) for k, v in t.items()} for t in terms]
    for i, t in enumerate(plain):
        for name, value in t.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss term {name!r} became {value} in batch {i}: lower lr")
    return Stream(
        method=method,
        names=tuple(d.name for d in domains),
        domain=np.repeat(np.array(numbers, dtype=np.int64), sizes),
        index=torch.cat(rows).numpy(),
        batch=np.repeat(np.arange(len(rows)), sizes),
        logits=torch.cat(logits).float().cpu().numpy(),
        labels=torch.cat(labels).numpy(),
        terms=plain,
    )


def _share_right(predicted: np.ndarray, labels: np.ndarray) -> float:
    known = labels >= 0
    return float(np.mean(predicted[known] == labels[known])) if known.any() else float("nan")


def _check(
    method: Method,
    domains: list[Domain],
    known: tuple[str, ...] | None,
    batch_size: int,
    lr: float,
    optimizer: str,
    momentum: float,
    weight_decay: float,
    steps: int,
    reset: str,
) -> None:
    checks.counts(batch_size=batch_size, steps=steps)
    if not (isinstance(lr, (int, float)) and 0 <= lr < math.inf):
        raise ValueError(f"lr must be a number of at least 0, got {lr!r}")
    checks.rates(lr or 1.0, momentum, weight_decay, 0)
    checks.words(optimizer, "float32", "auto")
    if reset not in RESETS:
        raise ValueError(f"reset must be one of {', '.join(RESETS)}, got {reset!r}")
    if not domains:
        raise ValueError("the stream holds no domain; give one Domain, or several in a list")
    checks.are_domains(**{f"domain {i}": d for i, d in enumerate(domains)})
    if lr and not getattr(method, "online", False):
        raise ValueError(
            f"{type(method).__name__} does not learn from a stream, tent and cotta do; lr=0 only answers it"
        )
    shape = getattr(method.backbone, "spec", {}).get("shape", list(domains[0].shape))
    for d in domains:
        if list(d.shape) != list(shape):
            raise ValueError(
                f"domain {d.name!r} has examples of shape {d.shape}, the method takes {tuple(shape)}"
            )
        if d.y is not None:
            check_classes(method, d, known)
