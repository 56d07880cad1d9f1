"""Similarity of two representations of the same examples: CKA and the Procrustes distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.kernels import median_heuristic
from dakit.metrics.pairwise import blocks
from dakit.metrics.samples import as_sample

ENTRIES = 2**21  # of a kernel matrix in memory at once: 16 MiB


def cka(
    a: Any,
    b: Any,
    *,
    kernel: str = "linear",
    unbiased: bool = True,
    batch_size: int | None = None,
    bandwidths: tuple[float, float] | None = None,
    seed: int = 0,
) -> float:
    """Centred kernel alignment of two representations of the same examples.

    ``CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` with K and L the kernel matrices of ``a`` and ``b``. The linear
    kernel's is 1 for representations that are equal up to a shift, a rotation (or mirror) and one common scale; an
    invertible linear map in general changes it.

    Parameters
    ----------
    a, b : array or tensor of shape (n, p) and (n, q)
        Row i of both belongs to example i.
    kernel : {"linear", "rbf"}
        ``<x, x'>`` or ``exp(-|x - x'|² / bandwidth)``.
    unbiased : bool
        Estimate HSIC without bias, by sums over different examples only. With False, the plain (V-statistic) formula of
        the paper, which is too large for few examples and many features: it nears 1 for unrelated representations when
        ``p, q >> n``.
    batch_size : int, optional
        Average the unbiased HSICs over parts of about this many examples and divide the averages, as is done where not
        all examples fit together. Needs ``unbiased``.
    bandwidths : (float, float), optional
        Bandwidths of the rbf kernel for ``a`` and ``b``; by default the median squared distance of each.
    seed : int
        Which random parts, for ``batch_size``.

    Returns
    -------
    float
        In [0, 1], and in [-1, 1] when unbiased: about 0 for unrelated representations.

    Raises
    ------
    TypeError, ValueError
        If a representation is not a finite matrix, the two have different numbers of rows, fewer than 4 (biased: 2), or
        no variation (points that are all equal, or all equally far apart); or an option is out of range.

    Notes
    -----
    Linear kernel with fewer features than examples: O(n p q) time by ``|A'B|²``. Otherwise kernel matrices are made in
    blocks of rows: O(n² (p + q)) time, 16 MiB a block and O(n) memory beside the data.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton (2019). Similarity of neural network representations revisited. ICML. Song, Smola,
    Gretton, Bedo, Borgwardt (2012). Feature selection via dependence maximization. JMLR 13, eq. 5. Nguyen, Raghu,
    Kornblith (2021). Do wide and deep networks learn the same things? ICLR.

    Examples
    --------
    >>> round(cka([[0.0], [1.0], [2.0], [4.0]], [[0.0], [3.0], [6.0], [12.0]]), 6)
    1.0
    """
    if kernel not in ("linear", "rbf"):
        raise ValueError(f"kernel must be 'linear' or 'rbf', got {kernel!r}")
    if batch_size is not None and not unbiased:
        raise ValueError("batches average unbiased estimates; batch_size needs unbiased=True")
    if batch_size is not None and batch_size < 4:
        raise ValueError(f"batch_size must be at least 4, got {batch_size}")
    if bandwidths is not None and kernel == "linear":
        raise ValueError("bandwidths belong to kernel='rbf'")
    a, b, *units = as_views(a, b, at_least=4 if unbiased else 2)
    for x, name in ((a, "a"), (b, "b")):
        if float(x.abs().max()) == 0:
            raise ValueError(f"all rows of {name} are equal, so there is nothing to align")
    if kernel == "rbf":
        bandwidths = _bandwidths(a, b, bandwidths, units)
    n = len(a)
    if batch_size is None or batch_size >= n:
        parts = [slice(0, n)]
    else:
        order = torch.from_numpy(np.random.default_rng(seed).permutation(n)).to(a.device)
        # At most n // batch_size parts of nearly equal size, none below 4 examples.
        parts = [order[at] for at in blocks(n, tile=-(-n // (n // batch_size)))]
    sums = np.zeros(3)
    noise = np.zeros(3)
    for part in parts:
        values, sizes = _hsics(a[part], b[part], bandwidths, unbiased)
        sums += values
        noise += sizes
    ab, aa, bb = sums.tolist()
    for i, name in ((1, "a"), (2, "b")):
        if sums[i] <= 1e-13 * noise[i]:
            raise ValueError(
                f"all rows of {name} are equal or equally far apart, so there is nothing to align"
            )
    value = ab / math.sqrt(aa * bb)
    return min(1.0, max(-1.0 if unbiased else 0.0, value))


def procrustes(a: Any, b: Any, *, scale: bool = True) -> float:
    """Squared Procrustes distance: what no rotation can remove of the difference between two representations.

    ``min_R |A - B R|_F² = |A|² + |B|² - 2 |A'B|_*`` over orthogonal R, with the columns of A and B centred and, with
    ``scale``, both divided by their Frobenius norm. Where ``p != q`` the smaller is filled up with zeros.

    Parameters
    ----------
    a, b : array or tensor of shape (n, p) and (n, q)
        Row i of both belongs to example i.
    scale : bool
        Remove the scale. Otherwise the distance is in squared units of the features, summed over examples.

    Returns
    -------
    float
        In [0, 2] with ``scale``, 0 for representations that are equal up to shift, rotation and scale; else at least 0.

    Raises
    ------
    TypeError, ValueError
        If a representation is not a finite matrix, the two have different numbers of rows, or (with ``scale``) one has
        no variation.

    References
    ----------
    Schönemann (1966). A generalized solution of the orthogonal Procrustes problem. Psychometrika 31. Ding, Denain,
    Steinhardt (2021). Grounding representation similarity with statistical testing. NeurIPS.

    Examples
    --------
    >>> round(procrustes([[0.0, 0.0], [1.0, 0.0]], [[5.0, 5.0], [5.0, 9.0]]), 6)  # turned and stretched
    0.0
    """
    a, b, unit_a, unit_b = as_views(a, b, at_least=2)
    if scale:
        norms = [float(torch.linalg.vector_norm(x)) for x in (a, b)]
        if min(norms) == 0:
            name = "a" if norms[0] == 0 else "b"
            raise ValueError(f"all rows of {name} are equal, so it has no shape to compare")
        a, b, unit = a / norms[0], b / norms[1], 1.0
    else:
        unit = max(unit_a, unit_b)
        if unit == 0:
            return 0.0
        a, b = a * (unit_a / unit), b * (unit_b / unit)
    whole = float(a.square().sum() + b.square().sum())
    # The roots' product has the singular values of A'B, with no more rows than there are examples.
    left, right = (x.T if x.shape[1] <= len(x) else torch.linalg.qr(x.T, mode="r").R for x in (a, b))
    return max(0.0, whole - 2 * float(torch.linalg.svdvals(left @ right.T).sum())) * unit**2


def as_views(a: Any, b: Any, *, at_least: int) -> tuple[Tensor, Tensor, float, float]:
    """Two representations of the same examples in float64, centred and with a largest value of 1; and their units.

    A shift and a scale change little in what follows, and sums of squares of any data stay within range. Rows that are
    equal up to rounding become 0, and so does the unit.

    Raises
    ------
    TypeError, ValueError
        As :func:`~dakit.metrics.samples.as_sample`, and if the numbers of rows differ.
    """
    a, b = as_sample(a, "a", at_least=at_least), as_sample(b, "b", at_least=at_least)
    if len(a) != len(b):
        raise ValueError(
            f"a and b must describe the same examples, row by row, but have {len(a)} and {len(b)} rows"
        )
    device = b.device if a.device.type == "cpu" else a.device
    a, unit_a = _normal(a.to(device))
    b, unit_b = _normal(b.to(device))
    return a, b, unit_a, unit_b


def _normal(x: Tensor) -> tuple[Tensor, float]:
    eps, largest = torch.finfo(x.dtype).eps, float(x.abs().max())
    x = x.double() / (largest or 1.0)
    x = x - x.mean(0)
    own = float(x.abs().max())
    if own <= eps:
        return torch.zeros_like(x), 0.0
    return x / own, own * largest


def _bandwidths(a: Tensor, b: Tensor, given: Any, units: list[float]) -> tuple[float, float]:
    """Bandwidths of the normalised representations."""
    if given is None:
        half = len(a) // 2
        return tuple(median_heuristic(x[:half], x[half:]) for x in (a, b))
    if len(given) != 2 or not all(0 < float(w) < math.inf for w in given):
        raise ValueError(f"bandwidths must be two positive numbers, one for a and one for b, got {given!r}")
    return tuple(float(w) / unit**2 for w, unit in zip(given, units))


def _hsics(
    a: Tensor, b: Tensor, bandwidths: tuple[float, float] | None, unbiased: bool
) -> tuple[list[float], list[float]]:
    """HSIC of a with b, a with a, b with b; and the size of the numbers of which each is a difference."""
    n = len(a)
    if bandwidths is None and max(a.shape[1], b.shape[1]) <= n:
        a, b = a - a.mean(0), b - b.mean(0)
        products = [float((x.T @ y).square().sum()) for x, y in ((a, b), (a, a), (b, b))]
        diagonals = [x.square().sum(1) for x in (a, b)]
        rows = [torch.zeros_like(d) for d in diagonals]  # the features are centred
    else:
        products, rows, diagonals = _by_blocks(_kernel(a, bandwidths, 0), _kernel(b, bandwidths, 1), n)
    found = []
    for product, (i, j) in zip(products, ((0, 1), (0, 0), (1, 1))):
        k, m, dk, dm = rows[i], rows[j], diagonals[i], diagonals[j]
        if unbiased:
            product, k, m = product - float(dk @ dm), k - dk, m - dm
            total = float(k.sum()) * float(m.sum())
            value = product + total / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(k @ m)
            found.append(value / (n * (n - 3)))
        else:
            total = float(k.sum()) * float(m.sum())
            found.append((product + total / n**2 - 2 / n * float(k @ m)) / n**2)
    return found, [product / n**2 for product in products]


def _kernel(x: Tensor, bandwidths: tuple[float, float] | None, which: int) -> Callable[[slice], Tensor]:
    """A function from a block of rows to these rows of the kernel matrix."""
    if bandwidths is None:
        x = x - x.mean(0)
        return lambda at: x[at] @ x.T
    norms = x.square().sum(1)

    def rows(at: slice) -> Tensor:
        squares = (norms[at, None] + norms).addmm_(x[at], x.T, alpha=-2).clamp_(min=0)
        return squares.div_(-bandwidths[which]).exp_()

    return rows


def _by_blocks(
    of_a: Callable[[slice], Tensor], of_b: Callable[[slice], Tensor], n: int
) -> tuple[list[float], list[Tensor], list[Tensor]]:
    """Sums of K∘L, K∘K, L∘L over all entries, the row sums of K and L, and their diagonals."""
    products = torch.zeros(3, dtype=torch.float64)
    rows: list[list[Tensor]] = [[], []]
    diagonals: list[list[Tensor]] = [[], []]
    for at in blocks(n, tile=max(16, ENTRIES // n)):
        k, m = of_a(at), of_b(at)
        products += torch.tensor(
            [float(x.flatten() @ y.flatten()) for x, y in ((k, m), (k, k), (m, m))], dtype=torch.float64
        )
        for i, x in enumerate((k, m)):
            rows[i].append(x.sum(1))
            diagonals[i].append(x.diagonal(at.start).clone())  # a view would keep the block alive
    return products.tolist(), [torch.cat(r) for r in rows], [torch.cat(d) for d in diagonals]
