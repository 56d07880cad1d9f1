"""Proxy A-distance: how well a fresh classifier tells the two domains apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from dakit.metrics.results import wilson
from dakit.metrics.samples import as_pair

# Training points, their domains (0 or 1), their weights, the points to score, and a seed, to scores.
Probe = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class ADistance:
    """A proxy A-distance and how sure it is.

    Attributes
    ----------
    value : float in [0, 2]
        ``2 (1 - 2 min(error, 1/2))``.
    error : float in [0, 1]
        Cross-validated error of the domain classifier, the mean of its error on source and on target. Above one half
        by chance when the domains are alike.
    interval : (float, float)
        Interval for ``value`` at ``level``.
    level : float
    fold_errors : array of shape (folds,)
    """

    value: float
    error: float
    interval: tuple[float, float]
    level: float = 0.95
    fold_errors: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)


def a_distance(xs: Any, xt: Any, *, probe: str = "linear", folds: int = 5, seed: int = 0) -> float:
    """Proxy A-distance between two samples, ``2 (1 - 2 error)``.

    ``error`` is the error of a classifier that is trained to tell source from target, on points that it has not seen.
    The classifier is always a new one: the discriminator of an adversarial method has been trained against these very
    features, and its failure says nothing about them.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target, flattened; usually the features of a model.
    probe : {"linear", "mlp"}
        Logistic regression, or a network with one hidden layer of 64 units. Both standardise the features by what they
        are trained on, and weigh the two domains equally whatever ``n`` and ``m``.
    folds : int
        Number of parts for cross-validation. Row i of ``xs`` and row i of ``xt`` share a part, so that the two
        pictures of one thing in paired domains never sit on both sides of the split.
    seed : int
        Which partition, and the start of the network.

    Returns
    -------
    float in [0, 2]
        0 where the probe does no better than guessing, 2 where it is never wrong. An error beyond one half counts as
        one half, for the constant classifier is among those that the distance ranges over; averages over many samples
        of equal domains are therefore a little above 0.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has fewer than ``folds`` examples, NaN or infinite values, or other features than its partner; if
        ``probe`` is unknown or ``folds`` is less than 2.

    See Also
    --------
    a_distance_estimate : the same with its error and its interval.

    References
    ----------
    Ben-David, Blitzer, Crammer, Pereira (2007). Analysis of representations for domain adaptation. NIPS.
    Ganin et al. (2016). Domain-adversarial training of neural networks. JMLR 17, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> a_distance(x[:100], x[100:] + 9)
    2.0
    """
    return a_distance_estimate(xs, xt, probe=probe, folds=folds, seed=seed).value


def a_distance_estimate(
    xs: Any, xt: Any, *, probe: str = "linear", folds: int = 5, seed: int = 0, level: float = 0.95
) -> ADistance:
    """Proxy A-distance with its error and an interval; the parameters are those of :func:`a_distance`.

    The interval is Wilson's for the error, as if every held-out prediction were independent. It covers the finite
    number of test points, not that another training sample would have given another probe.

    Returns
    -------
    ADistance
    """
    xs, xt = as_pair(xs, xt)
    if probe not in ("linear", "mlp"):
        raise ValueError(f"probe must be 'linear' or 'mlp', got {probe!r}")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    n, m = len(xs), len(xt)
    if min(n, m) < folds:
        raise ValueError(f"{folds} folds need at least {folds} examples in each sample, got {n} and {m}")
    x = torch.cat([xs, xt])
    y = torch.cat([torch.zeros(n), torch.ones(m)]).to(x.device)
    part = torch.cat([parts(n, folds, seed), parts(m, folds, seed)]).to(x.device)
    wrong = torch.empty(n + m, dtype=torch.bool, device=x.device)
    for fold in range(folds):
        train, test = part != fold, part == fold
        wrong[test] = (domain_scores(x[train], y[train], x[test], PROBES[probe], seed + fold) > 0) != (
            y[test] == 1
        )
    errors = wrong.double().cpu().numpy()
    folded = part.cpu().numpy()
    error = float((errors[:n].mean() + errors[n:].mean()) / 2)
    by_fold = [
        (errors[:n][folded[:n] == f].mean() + errors[n:][folded[n:] == f].mean()) / 2 for f in range(folds)
    ]
    low, high = wilson(error, 4 / (1 / n + 1 / m), level)
    return ADistance(
        _distance(error), error, (_distance(float(high)), _distance(float(low))), level, np.array(by_fold)
    )


def domain_scores(x: Tensor, y: Tensor, test: Tensor, probe: Probe, seed: int) -> Tensor:
    """How much each row of ``test`` looks like target, above 0 if more than like source, to a probe trained on x, y.

    ``y`` is 0 for source and 1 for target, and both must occur.
    """
    # In float64, and by the training points alone.
    scale, centre = torch.std_mean(x.double(), dim=0)
    scale[scale == 0] = 1
    a, b = (x.double() - centre) / scale, (test.double() - centre) / scale
    # Each domain has half of the weight.
    share = y.mean()
    weight = torch.where(y == 1, 0.5 / share, 0.5 / (1 - share))
    return probe(a, y, weight, b, seed)


def _distance(error: float) -> float:
    return 2 * (1 - 2 * min(error, 0.5))


def parts(n: int, folds: int, seed: int) -> Tensor:
    """The fold of each row: equal parts of a random order that depends on ``n`` and ``seed`` alone."""
    part = np.empty(n, dtype=np.int64)
    part[np.random.default_rng(seed).permutation(n)] = np.arange(n) % folds
    return torch.from_numpy(part)


def _linear(x: Tensor, y: Tensor, weight: Tensor, test: Tensor, seed: int) -> Tensor:
    """The scores of a logistic regression; the penalty is scikit-learn's default."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # The products are small: BLAS threads would spend their time waiting for one another.
    with threadpool_limits(1, user_api="blas"):
        fitted = LogisticRegression(max_iter=1000).fit(x.cpu().numpy(), y.cpu().numpy(), weight.cpu().numpy())
    return torch.from_numpy(fitted.decision_function(test.cpu().numpy())).to(test.device)


def _mlp(
    x: Tensor, y: Tensor, weight: Tensor, test: Tensor, seed: int, *, hidden: int = 64, batch: int = 128
) -> Tensor:
    """The scores of a small network. Adam, at least 30 epochs and 300 steps."""
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that every device draws alike
    with torch.inference_mode(False), torch.enable_grad():  # the caller may be evaluating a model
        x, y, weight, test = (t.clone().float() for t in (x, y, weight, test))
        d = x.shape[1]
        parameters = [
            (torch.randn(d, hidden, generator=generator) * (2 / d) ** 0.5).to(x.device).requires_grad_(),
            torch.zeros(hidden, device=x.device, requires_grad=True),
            (torch.randn(hidden, generator=generator) * hidden**-0.5).to(x.device).requires_grad_(),
            torch.zeros((), device=x.device, requires_grad=True),
        ]

        def scores(rows: Tensor) -> Tensor:
            w1, b1, w2, b2 = parameters
            return (rows @ w1 + b1).relu() @ w2 + b2

        adam = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
        done = 0
        while done < max(300, 30 * math.ceil(len(x) / batch)):
            for rows in torch.randperm(len(x), generator=generator).to(x.device).split(batch):
                loss = binary_cross_entropy_with_logits(scores(x[rows]), y[rows], weight[rows])
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                done += 1
        return scores(test).detach()


PROBES: dict[str, Probe] = {"linear": _linear, "mlp": _mlp}
