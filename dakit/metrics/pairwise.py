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

import torch
from torch import Tensor

TILE_ON_CPU = 512  # 1 MiB in float32: stays in the second-level cache of one core
TILE_ON_GPU = 8192  # large enough to fill the device; 256 MiB in float32
PAIRS_FOR_THREADS = 1_000_000  # below this, starting threads costs more than it saves

# Float32 rounding moves an exponent of size r by about r * 6e-8; beyond this r, points far from the bulk would get
# inexact kernel values among themselves, so that the rows are made in float64 instead.
FLOAT32_REACH = 256.0


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


def exponent_rows(xs: Tensor, xt: Tensor, unit: float, sharpest: float) -> Tensor:
    """Rows from which one matrix product makes exponents, for the pooled points of ``xs`` and ``xt``.

    The points are centred on their pooled mean, which changes no distance but removes most of the cancellation,
    and divided by ``sqrt(unit)``. A row is ``[x, |x|^2, 1]``. With :func:`left_rows` of the same rows on the left,
    ``left @ rows.T`` is ``-|x - y|^2 / unit`` without a second pass over the tile.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
    unit : float
        Squared distance that becomes the exponent -1.
    sharpest : float
        Squared distance at which the narrowest kernel falls; decides whether float32 is precise enough.

    Returns
    -------
    Tensor of shape (n + m, d + 2)
    """
    n, total, d = len(xs), len(xs) + len(xt), xs.shape[1]
    centre = (xs.sum(0, dtype=torch.float64) + xt.sum(0, dtype=torch.float64)) / total
    dtype = xs.dtype
    while True:
        rows = torch.empty(total, d + 2, dtype=dtype, device=xs.device)
        furthest = 0.0
        for sample, offset in ((xs, 0), (xt, n)):
            for at in blocks(len(sample), tile=4096):
                scaled = (sample[at].double() - centre) / unit**0.5
                into = rows[offset + at.start : offset + at.stop]
                into[:, :d] = scaled
                # Norms of the rounded points: distances are then exact for points moved by one rounding.
                norms = into[:, :d].double().square().sum(1)
                into[:, d] = norms
                furthest = max(furthest, float(norms.max()))
        rows[:, d + 1] = 1
        if furthest * unit / sharpest <= FLOAT32_REACH:
            return rows
        if dtype == torch.float64:
            if furthest < 1e300:
                return rows
            raise ValueError(f"bandwidth {sharpest:g} is too small for points this far apart")
        dtype = torch.float64


def left_rows(rows: Tensor) -> Tensor:
    """``[2x, -1, -|x|^2]`` for rows ``[x, |x|^2, 1]``: the left factor of the product."""
    left = rows * 2
    left[:, -2] = -1
    left[:, -1] = -rows[:, -2]
    return left


def product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """``left @ right.T`` in the first entries of the flat buffer ``out``, shape (len(left), len(right))."""
    tile = out[: len(left) * len(right)].view(len(left), len(right))
    return torch.mm(left, right.T, out=tile)  # with out=, autocast leaves the precision alone


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

    Counted, because two callers may overlap: the last one out restores what the first one found.
    """
    global _inside, _threads_outside
    with _lock:
        if _inside == 0:
            _threads_outside = torch.get_num_threads()
            torch.set_num_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
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
