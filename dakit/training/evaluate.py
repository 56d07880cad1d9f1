"""What a fitted method says about a domain: features, logits, accuracy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dakit.domains.domain import Domain
from dakit.domains.private_classes import UNKNOWN
from dakit.methods.method import Method


@dataclass(frozen=True)
class Evaluation:
    """How well a classifier does on a labelled domain.

    Attributes
    ----------
    accuracy : float in [0, 1]
    per_class : dict of str to float
        Accuracy (recall) of each class; NaN for a class without examples.
    confusion : array of shape (k, k), int64
        Rows are true classes, columns predicted ones. Methods for open sets have a last row and column "unknown".
    n : int
        Number of examples.
    """

    accuracy: float
    per_class: dict[str, float]
    confusion: np.ndarray
    n: int

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.3f} on {self.n} examples"


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every submodule's own mode restored after."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


def device_of(method: nn.Module) -> torch.device:
    """Where a module's parameters (or else its buffers) lie."""
    tensor = next(method.parameters(), None)
    if tensor is None:
        tensor = next(method.buffers(), torch.empty(0))
    return tensor.device


@torch.no_grad()
def outputs(
    method: Method, x: Tensor, *, batch_size: int = 512, side: str = "target"
) -> tuple[Tensor, Tensor]:
    """Features (n, d) and logits (n, k) of all rows of ``x``, in evaluation mode, full precision, on the CPU.

    Parameters
    ----------
    method : Method
    x : Tensor of shape (n, ...)
    batch_size : int
        Rows in memory at once; does not change the result beyond rounding.
    side : {"source", "target"}
        Whose inputs they are, for methods with parts for each domain: :meth:`dakit.methods.Method.on`.
    """
    device = device_of(method)
    own_logits = type(method).logits is not Method.logits
    precision, method.autocast_dtype = method.autocast_dtype, None
    features, logits = [], []
    try:
        with eval_mode(method), method.on(side):
            for chunk in x.split(batch_size):
                chunk = chunk.to(device)
                z = method.features(chunk)
                features.append(z.float().cpu())
                logits.append((method.logits(chunk) if own_logits else method.head(z)).float().cpu())
    finally:
        method.autocast_dtype = precision
    return torch.cat(features), torch.cat(logits)


def check_classes(method: Method, domain: Domain, known: tuple[str, ...] | None) -> int:
    """Refuse classes that are not those of the training, ``known`` where that is known; how many can be answered."""
    unknown = (UNKNOWN,) * method.open_set
    if known is not None and domain.classes not in (known, known + unknown):
        raise ValueError(
            f"domain {domain.name!r} has the classes {list(domain.classes)}, the run was trained on {list(known)}; "
            "domains.align_classes brings two domains to one list"
        )
    k = method.num_classes + method.open_set
    if domain.num_classes > k:
        raise ValueError(f"domain {domain.name!r} has {domain.num_classes} classes, the method knows {k}")
    return k


def evaluate(method, domain: Domain, *, batch_size: int = 512, side: str = "target") -> Evaluation:
    """Accuracy of a method, or of a run's method, on a labelled domain.

    Parameters
    ----------
    method : Method or Run
    domain : Domain
        With labels. Those of a target are read here and in :func:`stream`, for accuracies, and by bounds (``oracle``).
    batch_size : int
    side : {"source", "target"}
        As for :func:`outputs`.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If the domain has no labels, or its classes are not those of the training.
    """
    known = None
    if not isinstance(method, Method):
        method, known = method.method, tuple(method.config["classes"])
    if domain.y is None:
        raise ValueError(f"domain {domain.name!r} has no labels, so there is nothing to evaluate against")
    k = check_classes(method, domain, known)
    predicted = outputs(method, domain.x, batch_size=batch_size, side=side)[1].argmax(dim=1)
    pairs = domain.y.cpu() * k + predicted
    confusion = torch.bincount(pairs, minlength=k * k).view(k, k).numpy()
    rows = confusion.sum(axis=1)
    recall = np.divide(np.diag(confusion), rows, out=np.full(k, np.nan), where=rows > 0)
    return Evaluation(
        accuracy=float(np.trace(confusion) / len(domain)),
        per_class={c: float(r) for c, r in zip(domain.classes, recall)},
        confusion=confusion,
        n=len(domain),
    )
