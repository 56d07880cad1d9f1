"""Sums over all pairs of points, a tile at a time.

An n x n matrix in main memory is three to four times slower to fill and to read than a tile that stays in the
cache, and at n = 20,000 it no longer fits at all. Here the pooled points are cut into blocks, every pair of
blocks makes one tile in a buffer that is used again and again, and only sums leave it: the memory is
O(n d + tile^2). Because a kernel is symmetric, only the tiles on and above the diagonal are made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

TILE_ON_CPU = 512  # 1 MiB in float32: stays in the second-level cache of one core
TILE_ON_GPU = 8192  # large enough to fill the device; 256 MiB in float32
PAIRS_FOR_THREADS = 1_000_000  # below this, starting threads costs more than it saves

# A matrix product makes distances as differences of larger numbers: at r = |x|^2 / bandwidth, rounding moves an
# exponent by about r times the machine precision. Up to these r that is harmless; beyond, a slower way is taken.
FLOAT32_REACH = 256.0
FLOAT64_REACH = 1e6
REACH_OF_ROOTS = 1e3  # in float64; roots are never taken in float32


def blocks(*lengths: int, tile: int) -> list[slice]:
    """Slices of at most ``tile`` rows that cover groups of these lengths, laid end to end.

    No slice holds rows of two groups, and the slices of a group differ by one row at most.
    """
    slices, start = [], 0
    for n in lengths:
        parts = -(-n // tile)
        cuts = [start + n * k // parts for k in range(parts + 1)]
        slices += [slice(a, b) for a, b in pairwise(cuts)]
        start += n
    return slices


def tile_size(device: torch.device) -> int:
    return TILE_ON_CPU if device.type == "cpu" else TILE_ON_GPU


class PooledPoints:
    """The points of two samples, laid end to end, whose squared distances are made a tile at a time.

    One matrix product gives the negative squared distance in units of ``unit``, without a second pass: the points are
    centred on their pooled mean, which changes no distance but removes most of the cancellation, divided by
    ``sqrt(unit)``, and kept as rows ``[x, |x|^2, 1]``, to be multiplied by ``[2x, -1, -|x|^2]``. Where points lie so
    far from the mean that this would swallow small distances, float64 takes the place of float32, and in the end the
    differences of the coordinates that of the product.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
    unit : float
        Squared distance that becomes -1.
    sharpest : float
        Squared distance that still matters: the smallest bandwidth.
    roots : bool
        Whether roots of the distances are to be taken, which turn a rounding error e at distance 0 into sqrt(e).
    """

    def __init__(self, xs: Tensor, xt: Tensor, unit: float, sharpest: float, *, roots: bool = False) -> None:
        self.unit = unit
        self.direct = False
        attempts = [(torch.float64, REACH_OF_ROOTS if roots else FLOAT64_REACH)]
        if xs.dtype == torch.float32 and not roots:
            attempts.insert(0, (torch.float32, FLOAT32_REACH))
        for dtype, reach in attempts:
            self.rows, furthest = _product_rows(xs, xt, unit, dtype)
            if furthest * (unit / sharpest) <= reach:
                return
        self.direct = True
        self.rows = torch.cat([xs, xt]).double()

    def __len__(self) -> int:
        return len(self.rows)

    def left(self, at: slice) -> Tensor:
        """The rows at ``at``, as the left factor of :meth:`tile`."""
        if self.direct:
            return self.rows[at]
        left = self.rows[at] * 2
        left[:, -2] = -1
        left[:, -1] = -self.rows[at, -2]
        return left

    def tile(self, left: Tensor, at: slice, out: Tensor) -> Tensor:
        """``-|x - y|^2 / unit`` for x in ``left`` and y among the rows at ``at``, in the flat buffer ``out``."""
        right = self.rows[at]
        tile = out[: len(left) * len(right)].view(len(left), len(right))
        if self.direct:
            distances = torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
            return torch.div(distances.square_(), -self.unit, out=tile)
        return torch.mm(left, right.T, out=tile)  # with out=, autocast leaves the precision alone


def _product_rows(xs: Tensor, xt: Tensor, unit: float, dtype: torch.dtype) -> tuple[Tensor, float]:
    """Rows ``[x, |x|^2, 1]`` of the centred points divided by sqrt(unit), and the largest ``|x|^2``."""
    n, total, d = len(xs), len(xs) + len(xt), xs.shape[1]
    centre = (xs.sum(0, dtype=torch.float64) + xt.sum(0, dtype=torch.float64)) / total
    rows = torch.empty(total, d + 2, dtype=dtype, device=xs.device)
    rows[:, d + 1] = 1
    furthest = []
    for sample, offset in ((xs, 0), (xt, n)):
        for at in blocks(len(sample), tile=max(1, 2**17 // d)):  # its float64 copies stay in the cache
            into = rows[offset + at.start : offset + at.stop]
            into[:, :d] = (sample[at].double() - centre) / unit**0.5
            # Norms of the rounded points: the distances are then those of points moved by one rounding.
            norms = into[:, :d].double().square().sum(1)
            into[:, d] = norms
            furthest.append(norms.max())
    return rows, float(torch.stack(furthest).max())


class Pairs:
    """A symmetric function of two points, on tiles of the pooled sample. Subclasses say how a tile is made.

    Attributes
    ----------
    rows : Tensor of shape (n + m, ...)
        The pooled points, in the form that suits the product.
    """

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dtype(self) -> torch.dtype:
        return self.rows.dtype

    @property
    def device(self) -> torch.device:
        return self.rows.device

    def buffers(self, side: int) -> Any:
        """Room for tiles of at most ``side`` x ``side``, one set for each thread."""
        return self.rows.new_empty(side * side), self.rows.new_empty(side * side)

    def left(self, at: slice) -> Tensor:
        """The points at ``at``, as the left factor of tiles."""
        return self.rows[at]

    def values(self, left: Tensor, at: slice, work: Any, diagonal: bool) -> Tensor:
        """The tile of ``left`` against the points at ``at``, its diagonal 0 if ``diagonal``. Overwrites ``work``."""
        raise NotImplementedError

    def total(self, left: Tensor, at: slice, work: Any, diagonal: bool) -> Tensor | float:
        """Sum of that tile, in float64."""
        return sum_of(self.values(left, at, work, diagonal))

    def less(
        self, constant: float, left: Tensor, at: slice, work: Any, diagonal: bool
    ) -> tuple[Tensor, Tensor]:
        """That tile with ``constant`` taken from all but its diagonal, and its row sums."""
        values = self.values(left, at, work, diagonal).sub_(constant)
        if diagonal:
            values.fill_diagonal_(0)
        return values, values.sum(1)

    def self_total(self, at: slice) -> float:
        """Sum of the function over the pairs of a point with itself."""
        raise NotImplementedError


def sum_of(tile: Tensor) -> Tensor:
    """Sum of a tile in float64; row by row first, for the rounding of one float32 total would be felt in an MMD."""
    return tile.sum(1).sum(dtype=torch.float64)


def over_blocks(visit: Callable[[int], None], count: int, device: torch.device, pairs: int) -> None:
    """Call ``visit(k)`` for ``k`` in 0 .. count-1, on several threads where that pays.

    A matrix product and the elementwise operations release Python's lock, and one thread per core on its own tile
    keeps every core busy; torch's own threads, sharing one tile, are slower than no threads at all. ``visit`` must
    write its result to a place of its own, so that results do not depend on the number of threads.
    """
    with exact_float32():
        if device.type != "cpu":
            for k in range(count):
                visit(k)
            return
        workers = min(torch.get_num_threads(), count) if pairs >= PAIRS_FOR_THREADS else 1
        with one_thread_each():
            if workers == 1:
                for k in range(count):
                    visit(k)
            else:
                with ThreadPoolExecutor(workers) as pool:
                    for _ in pool.map(visit, range(count)):
                        pass


_lock = threading.Lock()
_inside = 0
_threads_outside = 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """One torch thread inside, the caller's number restored after.

    The number belongs partly to the thread that sets it and partly to the process, so that callers which overlap have
    to agree on what to restore: what the first of them found.
    """
    global _inside, _threads_outside
    with _lock:
        if _inside == 0:
            _threads_outside = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_threads_outside)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Matrix products in true float32 inside, even where training has allowed TF32 or bfloat16.

    A kernel made of bfloat16 products is wrong in its third digit, and a small MMD is a difference of such sums.
    """
    backends = [
        b for b in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul) if hasattr(b, "fp32_precision")
    ]
    if not backends:  # before torch 2.9
        found = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(found)
        return
    precisions = [b.fp32_precision for b in backends]
    if all(p == "ieee" for p in precisions):
        yield
        return
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, precisions):
            backend.fp32_precision = precision
