"""Margin disparity discrepancy: can a second head agree on the source and disagree on the target?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from dakit.metrics.a_distance import parts
from dakit.metrics.samples import as_labels, as_pair


def mdd_score(
    zs: Any,
    hs: Any,
    zt: Any,
    ht: Any,
    *,
    margin: float = 1.0,
    penalty: float = 1e-2,
    units: int = 128,
    folds: int = 2,
    seed: int = 0,
) -> float:
    """Margin disparity discrepancy with a small adversary, its sign changed. Higher is better.

    ``-( P_t[f'(z) != h(z)] - P_s[f'(z) != h(z)] )`` where ``h`` is the classifier in question and ``f'`` a second head,
    trained to agree with it on the source and to disagree on the target: it minimises ``margin mean_s -log f'_h(z) +
    mean_t -log(1 - f'_h(z)) + penalty |W|²/2``. The rates are counted on examples that ``f'`` has not seen. Low where
    classifiers exist that fit the source equally well and read the target otherwise.

    This is a surrogate. The paper trains a second head of the network beside the features; here it is a softmax
    regression on the features and a random layer of rectified units, fitted afterwards. For more than two classes its
    objective is not convex, so that the minimum found from a zero start is a local one.

    Parameters
    ----------
    zs, zt : array or tensor of shape (n, d) and (m, d)
        Features of source and target. Standardised inside by the training part.
    hs, ht : array or tensor of shape (n,) and (m,)
        Classes that the classifier predicts for them; any names.
    margin : float
        The paper's gamma, weight of the agreement on the source.
    penalty : float
        Weight decay of the second head.
    units : int
        Size of the random layer. Without it (0) the adversary is linear, and with two classes nearly powerless.
    folds : int
        Number of parts for cross-fitting.
    seed : int
        Which parts, and the random layer.

    Returns
    -------
    float in [-1, 1]
        About 0 where the two samples are alike (above by chance), -1 where the second head contradicts on the target
        alone.

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, a prediction is missing, a sample has
        fewer examples than ``folds``, or an option is out of range.

    References
    ----------
    Zhang, Liu, Long, Jordan (2019). Bridging theory and algorithm for domain adaptation. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(400, 2))
    >>> h = z[:, 0] > 0
    >>> near, far = (mdd_score(z[:200], h[:200], z[200:] + [0, shift], h[200:]) for shift in (0, 20))
    >>> bool(far < -0.9 < -0.1 < near)  # far off, a second head contradicts where it likes
    True
    """
    zs, zt = as_pair(zs, zt)
    if not 0 < margin < math.inf or not 0 < penalty < math.inf:
        raise ValueError(f"margin and penalty must be positive numbers, got {margin} and {penalty}")
    if units < 0:
        raise ValueError(f"units must not be negative, got {units}")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    if min(len(zs), len(zt)) < folds:
        raise ValueError(
            f"{folds} folds need at least {folds} examples in each sample, got {len(zs)} and {len(zt)}"
        )
    as_labels(hs, len(zs), "hs")
    as_labels(ht, len(zt), "ht")
    plain = [np.asarray(h.detach().cpu() if isinstance(h, Tensor) else h) for h in (hs, ht)]
    h = as_labels(np.concatenate(plain), len(zs) + len(zt))
    k = max(2, int(h.max()) + 1)  # one more to disagree with where one class alone is predicted
    z = torch.cat([zs, zt]).double()
    h = torch.from_numpy(h).to(z.device)
    target = torch.zeros(len(z), dtype=torch.bool, device=z.device)
    target[len(zs) :] = True
    part = torch.cat([parts(len(x), folds, seed) for x in (zs, zt)]).to(z.device)
    expand = _expansion(z, units, seed)
    other = torch.empty_like(target)
    for fold in range(folds):
        train, test = part != fold, part == fold
        scale, centre = torch.std_mean(z[train], dim=0, correction=0)
        scale[scale <= 1e-12 * z[train].abs().amax(0)] = math.inf
        a, b = (expand((z[rows] - centre) / scale) for rows in (train, test))
        found = (b @ _second_head(a, h[train], target[train], k, margin, penalty)).argmax(1)
        other[test] = found != h[test]
    return float(other[~target].double().mean() - other[target].double().mean())


def _expansion(like: Tensor, units: int, seed: int) -> Callable[[Tensor], Tensor]:
    """From standardised features to inputs of the second head: a random layer of rectified units, themselves, 1."""
    d = like.shape[1]
    rng = np.random.default_rng(seed)
    inner = torch.from_numpy(rng.normal(size=(d, units)) / math.sqrt(d)).to(like)
    bias = torch.from_numpy(rng.uniform(-1, 1, size=units)).to(like)
    weight = math.sqrt(2 / max(1, units)) * math.sqrt(d)

    def expand(z: Tensor) -> Tensor:
        return torch.cat([(z @ inner + bias).relu_() * weight, z, z.new_ones(len(z), 1)], dim=1)

    return expand


def _second_head(z: Tensor, h: Tensor, target: Tensor, k: int, margin: float, penalty: float) -> Tensor:
    """Weights (inputs, k) of the head that agrees with ``h`` where ``target`` is False and disagrees elsewhere."""
    at = h[:, None]
    with torch.inference_mode(False), torch.enable_grad():  # the caller may be evaluating a model
        z, at, target = z.clone(), at.clone(), target.clone()
        weights = z.new_zeros(z.shape[1], k).requires_grad_()
        solver = torch.optim.LBFGS(
            [weights], max_iter=100, line_search_fn="strong_wolfe", tolerance_change=1e-9
        )

        def loss() -> Tensor:
            solver.zero_grad()
            logp = log_softmax(z @ weights, dim=1)
            agree = -logp[~target].gather(1, at[~target]).mean()
            # log(1 - p_h) as the logsumexp of the others: exact where p_h is all but 1.
            rest = logp[target].scatter(1, at[target], -math.inf)
            value = (
                margin * agree - torch.logsumexp(rest, 1).mean() + penalty / 2 * weights[:-1].square().sum()
            )
            value.backward()
            return value

        solver.step(loss)
    return weights.detach()
