"""One permutation test for every distance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.a_distance import a_distance
from dakit.metrics.histograms import PooledHistograms, jensen_shannon
from dakit.metrics.icv_idd import describe, idd
from dakit.metrics.mmd import mmd
from dakit.metrics.moments import coral_distance, frechet_distance
from dakit.metrics.neighbours import knn_test, mst_test
from dakit.metrics.permutation import permute
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_pair, as_tensor
from dakit.metrics.sliced import (
    check_power,
    max_sliced_wasserstein,
    pooled_in_unit,
    sliced_under,
    sliced_wasserstein,
)
from dakit.metrics.transport import cost_matrix, sinkhorn_divergence, transport_cost, wasserstein
from dakit.metrics.two_sample import mmd_test

Evaluate = Callable[[Tensor], np.ndarray]


def permutation_test(
    xs: Any,
    xt: Any,
    distance: str | Callable[[Any, Any], float] = "sliced_wasserstein",
    *,
    permutations: int = 200,
    seed: int = 0,
    stop_after: int | None = None,
    **options: Any,
) -> TwoSampleTest:
    """Permutation test of "both samples come from one distribution" with any distance as statistic.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target. The examples must be independent, and the rows of xs not paired with those of xt.
    distance : str or callable
        A name (below), or a function of two samples that is large where they differ. What a function draws at random
        or learns must come from its two arguments alone.
    permutations : int
        Number of relabellings; the p-value cannot be smaller than ``1/(1 + permutations)``.
    seed : int
        Which relabellings.
    stop_after : int, optional
        Stop once this many draws have reached the statistic, as :func:`~dakit.metrics.permutation.permute` explains.
    **options
        Of the distance, for instance ``projections`` for "sliced_wasserstein".

    Returns
    -------
    TwoSampleTest
        With ``statistic`` (the value of the distance itself; of "energy" the unbiased one), ``pvalue`` (never 0) and
        ``null``.

    Raises
    ------
    TypeError, ValueError
        If the distance is unknown or does not have such an option, its value is not a finite number, or the samples do
        not suit it.

    Notes
    -----
    What does not depend on the labels is made once:

    ======================  =========================================================================================
    "sliced_wasserstein"    the projections of the pooled points; sorting a relabelling is as fast as picking it from
                            a common order
    "jensen_shannon"        cells of the pooled histograms; counts by one sparse product for all relabellings
    "idd"                   the descriptors of the examples; one product for all relabellings
    "coral"                 the second moments of all points: those of one sample leave those of the other
    "frechet"               coordinates of at most n + m dimensions
    "wasserstein"           the (n + m) x (n + m) costs; a linear program for each relabelling
    "knn", "mst"            the graph
    "mmd", "energy"         the kernel or distance matrix, tile by tile
    "a_distance"            nothing: the probe is trained anew for each relabelling. Permuting the labels of held-out
                            predictions is no valid test under cross-validation, for the classifiers have seen them.
                            :func:`c2st` gives a valid p-value for the price of one training.
    others, functions       nothing
    ======================  =========================================================================================

    Where nothing is made once, the order of the rows inside each sample is drawn anew for each relabelling: distances
    that depend on it (folds, subsamples) give valid p-values too.

    References
    ----------
    Phipson, Smyth (2010). Permutation p-values should never be zero. Stat. Appl. Genet. Mol. Biol. 9.
    Hemerik, Goeman (2018). Exact testing with random permutations. TEST 27.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> permutation_test(
    ...     x[:30], x[30:] + 2, "coral", permutations=99
    ... ).pvalue > 0.05  # a translation is invisible
    True
    >>> permutation_test(x[:30], x[30:] + 2, permutations=99).pvalue
    0.01
    """
    run = {"permutations": permutations, "seed": seed, "stop_after": stop_after}
    if distance in ("mmd", "energy", "knn", "mst"):
        return _own_test(distance)(xs, xt, **run, **options)
    flat_s, flat_t = as_pair(xs, xt)
    if callable(distance):
        name = getattr(distance, "__name__", type(distance).__name__)
        evaluate = _each(partial(distance, **options), xs, xt, seed)
    else:
        if distance not in EVALUATORS:
            raise ValueError(
                f"distance must be a function or one of {', '.join(sorted(DISTANCES | {'knn': 0, 'mst': 0}))}, "
                f"got {distance!r}"
            )
        name = distance
        pair = (xs, xt) if distance == "idd" else (flat_s, flat_t)  # images keep their shape
        evaluate = EVALUATORS[distance](*pair, seed, **options)

    def finite(labels: Tensor) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            values = evaluate(labels)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} returned a value that is NaN or infinite; a permutation test needs a finite number for every "
                "relabelling"
            )
        return values

    return permute(finite, len(flat_s), len(flat_t), method=f"permutation test of {name}", **run)


def distance_named(name: str) -> Callable[..., float]:
    """The function of two samples behind a name that :func:`permutation_test` knows."""
    if name not in DISTANCES:
        raise ValueError(
            f"distance must be a function or one of {', '.join(sorted(DISTANCES))}, got {name!r}"
        )
    if name == "energy":
        from dakit.metrics.energy import energy_distance

        return energy_distance
    return DISTANCES[name]


def _own_test(name: str) -> Callable[..., TwoSampleTest]:
    if name == "energy":
        from dakit.metrics.energy import energy_test

        return energy_test
    return {"mmd": mmd_test, "knn": knn_test, "mst": mst_test}[name]


def _groups(labels: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows labelled 1 and the rest, for every column."""
    return [(np.flatnonzero(z), np.flatnonzero(z == 0)) for z in labels.T.numpy()]


def _each(distance: Callable[[Any, Any], float], xs: Any, xt: Any, seed: int) -> Evaluate:
    """``distance`` of the samples of each relabelling: tensors if one was given, arrays otherwise."""
    tensors = isinstance(xs, Tensor) or isinstance(xt, Tensor)
    a, b = as_tensor(xs, "xs"), as_tensor(xt, "xt")
    device = b.device if a.device.type == "cpu" else a.device
    dtype = torch.promote_types(a.dtype, b.dtype)
    pooled = torch.cat([a.to(device, dtype), b.to(device, dtype)])
    if not tensors:
        pooled = pooled.numpy()
    rng = np.random.default_rng([seed, 1])
    observed = [(xs, xt)]  # the first column of the first call

    def evaluate(labels: Tensor) -> np.ndarray:
        found = []
        for source, target in _groups(labels):
            if observed:
                pair = observed.pop()
            else:
                pair = pooled[rng.permutation(source)], pooled[rng.permutation(target)]
            found.append(float(distance(*pair)))
        return np.array(found)

    return evaluate


def _sliced(xs: Tensor, xt: Tensor, seed: int, **options: Any) -> Evaluate:
    return lambda labels: sliced_under(xs, xt, labels, **options)


def _jensen_shannon(xs: Tensor, xt: Tensor, seed: int, **options: Any) -> Evaluate:
    return PooledHistograms(xs, xt, **options).mean


def _idd(xs: Any, xt: Any, seed: int, *, descriptor: str = "intensity", bins: int = 64) -> Evaluate:
    hs, ht = describe(xs, descriptor, bins, "xs"), describe(xt, descriptor, bins, "xt")
    if hs.shape[1] != ht.shape[1]:
        raise ValueError(
            f"both domains must have the same features, got {hs.shape[1]} in xs and {ht.shape[1]} in xt"
        )
    pooled, n = np.concatenate([hs, ht]).T, len(hs)
    whole = pooled.sum(1, keepdims=True)

    def evaluate(labels: Tensor) -> np.ndarray:
        of_source = pooled @ labels.numpy().astype(np.float64)
        p, q = of_source / n, np.maximum(whole - of_source, 0) / (len(pooled.T) - n)
        terms = (_xlogx(p) + _xlogx(q)) / 2 - _xlogx((p + q) / 2)
        return np.clip(terms.sum(0), 0.0, np.log(2))

    return evaluate


def _xlogx(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, 1e-300)) * p


def _in_few_dimensions(xs: Tensor, xt: Tensor) -> np.ndarray:
    """The pooled points, centred, in coordinates of the space they span: inner products stay as they are."""
    pooled = torch.cat([xs, xt]).double()
    pooled = pooled - pooled.mean(0)
    if pooled.shape[1] > len(pooled):
        pooled = torch.linalg.qr(pooled.T, mode="r").R.T
    return pooled.cpu().numpy()


def _coral(xs: Tensor, xt: Tensor, seed: int) -> Evaluate:
    d, n, m = xs.shape[1], len(xs), len(xt)
    pooled = _in_few_dimensions(xs, xt)
    # Sums of products of the smaller sample are made; the other's are what is left. They are centred on the pooled
    # mean, so that little cancels.
    squares, sums = pooled.T @ pooled, pooled.sum(0)

    def evaluate(labels: Tensor) -> np.ndarray:
        found = []
        for source, target in _groups(labels):
            first, k, other = (source, n, m) if n <= m else (target, m, n)
            x = pooled[first]
            square, total = x.T @ x, x.sum(0)
            rest = sums - total
            a = (square - np.outer(total, total) / k) / (k - 1)
            b = (squares - square - np.outer(rest, rest) / other) / (other - 1)
            found.append(np.square(a - b).sum() / (4 * d**2))
        return np.array(found)

    return evaluate


def _frechet(xs: Tensor, xt: Tensor, seed: int) -> Evaluate:
    pooled = torch.from_numpy(_in_few_dimensions(xs, xt))
    return lambda labels: np.array([frechet_distance(pooled[s], pooled[t]) for s, t in _groups(labels)])


def _wasserstein(xs: Tensor, xt: Tensor, seed: int, *, p: float = 2.0, max_points: int = 1000) -> Evaluate:
    if xs.shape[1] == 1:
        return _each(partial(wasserstein, p=p), xs, xt, seed)
    if max(len(xs), len(xt)) > max_points:
        raise ValueError(
            f"samples of {len(xs)} and {len(xt)} examples exceed max_points={max_points}, and each relabelling is a "
            "linear program; raise it, or take 'sliced_wasserstein'"
        )
    check_power(p)
    points, scale = pooled_in_unit(xs.double(), xt.double())
    points = points.cpu().numpy()
    costs = cost_matrix(points, points, p)
    return lambda labels: np.array(
        [scale * transport_cost(costs[np.ix_(s, t)]) ** (1 / p) for s, t in _groups(labels)]
    )


DISTANCES: dict[str, Any] = {
    "a_distance": a_distance,
    "coral": coral_distance,
    "energy": None,  # imported when asked for
    "frechet": frechet_distance,
    "idd": idd,
    "jensen_shannon": jensen_shannon,
    "max_sliced_wasserstein": lambda xs, xt, **options: float(max_sliced_wasserstein(xs, xt, **options)),
    "mmd": mmd,
    "sinkhorn_divergence": sinkhorn_divergence,
    "sliced_wasserstein": sliced_wasserstein,
    "wasserstein": wasserstein,
}


def _by_each(name: str) -> Callable[..., Evaluate]:
    return lambda xs, xt, seed, **options: _each(partial(DISTANCES[name], **options), xs, xt, seed)


EVALUATORS: dict[str, Callable[..., Evaluate]] = {
    "a_distance": _by_each("a_distance"),
    "coral": _coral,
    "frechet": _frechet,
    "idd": _idd,
    "jensen_shannon": _jensen_shannon,
    "max_sliced_wasserstein": _by_each("max_sliced_wasserstein"),
    "sinkhorn_divergence": _by_each("sinkhorn_divergence"),
    "sliced_wasserstein": _sliced,
    "wasserstein": _wasserstein,
}
