"""How far apart two samples look to a class of hypotheses: the H-divergence and the discrepancy distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from dakit.metrics.a_distance import PROBES, domain_scores
from dakit.metrics.classifier_test import split
from dakit.metrics.samples import as_pair


def h_divergence(
    xs: Any,
    xt: Any,
    *,
    hypotheses: str | Sequence[Callable[[np.ndarray], Any]] = "linear",
    test_share: float = 0.5,
    seed: int = 0,
) -> float:
    """H-divergence ``d_H = 2 sup_h |P_s(h = 1) - P_t(h = 1)|`` for a class of binary hypotheses.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    hypotheses : {"stumps", "linear", "linear_pairs", "mlp"} or sequence of callables
        "stumps", thresholds of single features, and functions that map an array (k, d) to k truth values: the supremum
        over the samples, exactly. The others name probes, for which the supremum is a training problem: half-spaces,
        symmetric differences of two half-spaces (HΔH of "linear"), and networks of 64 units. Of those, the value is
        what the trained probe reaches on held-out points.
    test_share : float in (0, 1)
        Share that is held out, for probes.
    seed : int
        Of split and training.

    Returns
    -------
    float in [0, 2]
        0 where no hypothesis sees a difference, 2 where one separates the samples. The exact suprema are biased upwards
        (they are reached on the very points they are measured on), the held-out values downwards.

    Raises
    ------
    TypeError, ValueError
        As for every metric; if ``hypotheses`` is unknown or empty.

    References
    ----------
    Ben-David et al. (2010). A theory of learning from different domains. Mach. Learn. 79, definitions 1 and 4.

    Examples
    --------
    >>> h_divergence([[0.0], [1.0], [2.0], [3.0]], [[2.0], [3.0], [4.0], [5.0]], hypotheses="stumps")
    1.0
    """
    xs, xt = as_pair(xs, xt)
    if isinstance(hypotheses, str):
        if hypotheses == "stumps":
            return _stumps(xs, xt)
        probes = {**PROBES, "linear_pairs": _pairs_of_half_spaces}
        if hypotheses not in probes:
            raise ValueError(
                "hypotheses must be 'stumps', 'linear', 'linear_pairs', 'mlp' or a sequence of functions, "
                f"got {hypotheses!r}"
            )
        (train_s, test_s), (train_t, test_t) = (split(len(x), test_share, seed) for x in (xs, xt))
        x = torch.cat([xs[train_s], xt[train_t]])
        y = torch.cat([torch.zeros(len(train_s)), torch.ones(len(train_t))]).to(x.device)
        test = torch.cat([xs[test_s], xt[test_t]])
        called = domain_scores(x, y, test, probes[hypotheses], seed) > 0
        k = len(test_s)
        return 2 * max(0.0, float(called[k:].double().mean() - called[:k].double().mean()))
    functions = list(hypotheses)
    if not functions:
        raise ValueError("hypotheses must hold at least one function")
    a, b = (x.cpu().numpy() for x in (xs, xt))
    return 2 * max(
        abs(float(np.asarray(h(a), dtype=bool).mean() - np.asarray(h(b), dtype=bool).mean()))
        for h in functions
    )


def discrepancy(xs: Any, xt: Any, *, radius: float = 1.0) -> float:
    """Discrepancy distance of linear hypotheses under the squared loss, in closed form.

    ``disc = max |E_s (h(x) - h'(x))² - E_t (h(x) - h'(x))²|`` over ``h, h'`` in ``{x -> w'x : |w| <= radius}``,
    which equals ``4 radius² |Ms - Mt|`` with the spectral norm and ``M`` the mean of ``x x'``.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened. There is no offset: append a column of ones to allow for it.
    radius : float, greater than 0
        Largest norm of a hypothesis.

    Returns
    -------
    float, at least 0
        In squared units of the features times those of ``radius``.

    Raises
    ------
    TypeError, ValueError
        As for every metric; if ``radius`` is not positive.

    References
    ----------
    Mansour, Mohri, Rostamizadeh (2009). Domain adaptation: learning bounds and algorithms. COLT.

    Examples
    --------
    >>> round(discrepancy([[1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0], [3.0, 0.0]]), 9)  # 4 |1 - 9|
    32.0
    """
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be a positive number, got {radius}")
    xs, xt = (x.double() for x in as_pair(xs, xt))
    points = torch.cat([xs / len(xs) ** 0.5, xt / len(xt) ** 0.5])
    if points.shape[1] > len(points):  # coordinates of the space they span
        points = torch.linalg.qr(points.T, mode="r").R.T
    a, b = points[: len(xs)], points[len(xs) :]
    return 4 * radius**2 * float(torch.linalg.eigvalsh(a.T @ a - b.T @ b).abs().max())


def _stumps(xs: Tensor, xt: Tensor) -> float:
    """Twice the largest distance between the distribution functions of a feature."""
    a, b = (np.sort(x.cpu().numpy(), axis=0).T for x in (xs, xt))
    largest = 0.0
    for u, v in zip(a, b):
        at = np.concatenate([u, v])
        gap = np.searchsorted(u, at, "right") / len(u) - np.searchsorted(v, at, "right") / len(v)
        largest = max(largest, float(abs(gap).max()))
    return 2 * largest


def _pairs_of_half_spaces(
    x: Tensor, y: Tensor, weight: Tensor, test: Tensor, seed: int, *, starts: int = 8, batch: int = 256
) -> Tensor:
    """Scores ``(u'x + a)(v'x + b)`` from the best of several starts. Its sign says where two half-spaces disagree."""
    generator = torch.Generator().manual_seed(seed)
    d = x.shape[1]
    with torch.inference_mode(False), torch.enable_grad():
        x, y, weight, test = (t.clone().float() for t in (x, y, weight, test))
        w = torch.randn(2, d, starts, generator=generator) * d**-0.5
        c = torch.randn(2, 1, starts, generator=generator)
        w[1, :, 0], c[1, :, 0] = 0, 1  # the first start begins as a single half-space
        w, c = (t.to(x.device).requires_grad_() for t in (w, c))

        def scores(rows: Tensor) -> Tensor:
            return (rows @ w[0] + c[0]) * (rows @ w[1] + c[1])

        def losses(rows: Tensor | slice) -> Tensor:
            out = scores(x[rows])
            each = binary_cross_entropy_with_logits(out, y[rows, None].expand_as(out), reduction="none")
            return (weight[rows, None] * each).mean(0)

        adam = torch.optim.AdamW([w, c], lr=2e-2, weight_decay=1e-3)
        done = 0
        while done < 400:
            for rows in torch.randperm(len(x), generator=generator).to(x.device).split(batch):
                adam.zero_grad(set_to_none=True)
                losses(rows).sum().backward()
                adam.step()
                done += 1
        with torch.no_grad():
            return scores(test)[:, int(losses(slice(None)).argmin())]
