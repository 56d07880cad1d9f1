"""Loops over a float32 tile that do in one pass what takes torch ten, compiled by numba where it is installed.

The exponential of a tile, its powers and their sums each stream the tile through the cache; together in one loop they
take a third of the time. Nothing here is needed for a right answer: :func:`loops` returns None where numba is missing,
where the data are not float32 on the CPU, or where the work is too small, and torch does the same work then.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import torch

# Loading numba and the loops takes about 0.5 s of CPU, and the first time on a machine 2 s more to compile them (kept
# on disk, next to this file or in the user's cache). One call of this size saves 15 ms, so that some dozen calls, a
# slider that is moved or a training that is watched, pay for it. Only the size decides, never what happened to be
# loaded before, so that a call repeated gives the same digits.
PAIRS_FOR_NUMBA = 20_000_000

# 2^r on [-1/2, 1/2]: a minimax polynomial, relative error 2e-8 before rounding.
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(c)
    for c in (
        1.0,
        0.69314718056,
        0.240226462245,
        0.0555032652617,
        0.00961835518986,
        0.00133990904316,
        0.000154352997663,
    )
)
_LOWEST = np.float32(-125)  # 2^-125 is the smallest power that needs no subnormal numbers; as good as 0
_HALF, _ZERO, _ROOT_OF_2 = np.float32(0.5), np.float32(0), np.float32(2**0.5)


def loops(dtype: torch.dtype, device: torch.device, pairs: int) -> SimpleNamespace | None:
    """The compiled loops, or None where torch should do the work."""
    if dtype != torch.float32 or device.type != "cpu" or pairs < PAIRS_FOR_NUMBA:
        return None
    return compiled()


@functools.cache
def compiled() -> SimpleNamespace | None:
    try:
        import numba
    except ImportError:
        return None
    # Sums in any order, which lets them run on vectors; the lock of Python is free meanwhile, for threads of ours.
    options = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy"}
    tile, steps = "float32[:, ::1]", "int64[::1]"
    signatures = {
        powers_total: f"float64({tile}, {steps})",
        powers_mean: f"void({tile}, {steps}, float64, float32[::1], float64[::1])",
        roots: f"int64({tile}, float32, float64[::1])",
        label_sums: f"void({tile}, {tile}, float64[::1], float64[::1])",
    }

    def compile_all(cache: bool) -> SimpleNamespace:
        return SimpleNamespace(
            **{
                f.__name__: numba.njit(signature, cache=cache, **options)(f)
                for f, signature in signatures.items()
            }
        )

    try:
        return compile_all(cache=True)
    except (RuntimeError, OSError):  # no folder where the compiled code could be kept
        return compile_all(cache=False)


def powers_total(tile, steps):
    """Sum of ``e + e^(2^steps[0]) + ...`` over the tile, with e = 2^tile; the tile is overwritten."""
    total = 0.0
    for i in range(tile.shape[0]):
        row = tile[i]
        s = _ZERO
        for j in range(row.shape[0]):
            x = row[j] if row[j] > _LOWEST else _LOWEST
            k = np.int32(x - _HALF)  # to the nearest integer: exponents are negative
            r = x - np.float32(k)
            p = (((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _C0
            e = np.int32(np.float32(p).view(np.int32) + (k << np.int32(23)))
            value = np.int32(e).view(np.float32)
            row[j] = value
            s += value
        total += s
        for step in range(steps.shape[0]):
            for _ in range(steps[step] - 1):
                for j in range(row.shape[0]):
                    row[j] *= row[j]
            s = _ZERO
            if steps[step] > 0:
                for j in range(row.shape[0]):
                    value = row[j] * row[j]
                    row[j] = value
                    s += value
            else:
                for j in range(row.shape[0]):
                    s += row[j]
            total += s
    return total


def powers_mean(tile, steps, constant, mean, sums):
    """The mean of those powers less ``constant`` into the tile, and its row sums into ``sums``."""
    scale = np.float32(1.0 / (steps.shape[0] + 1))
    shift = np.float32(constant)
    for i in range(tile.shape[0]):
        row = tile[i]
        for j in range(row.shape[0]):
            x = row[j] if row[j] > _LOWEST else _LOWEST
            k = np.int32(x - _HALF)
            r = x - np.float32(k)
            p = (((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _C0
            e = np.int32(np.float32(p).view(np.int32) + (k << np.int32(23)))
            value = np.int32(e).view(np.float32)
            row[j] = value
            mean[j] = value
        for step in range(steps.shape[0]):
            for _ in range(steps[step] - 1):
                for j in range(row.shape[0]):
                    row[j] *= row[j]
            if steps[step] > 0:
                for j in range(row.shape[0]):
                    value = row[j] * row[j]
                    row[j] = value
                    mean[j] += value
            else:
                for j in range(row.shape[0]):
                    mean[j] += row[j]
        s = _ZERO
        for j in range(row.shape[0]):
            value = mean[j] * scale - shift
            row[j] = value
            s += value
        sums[i] = s


def roots(tile, close, sums):
    """``-sqrt(-tile)`` into the tile, its row sums into ``sums``; how many entries were above ``close``.

    The tile is scaled so that its mean is about -2. What is summed in float32 is the difference from that root, of
    which the rounding is a tenth.
    """
    found = 0
    for i in range(tile.shape[0]):
        row = tile[i]
        s = _ZERO
        near = np.int32(0)
        for j in range(row.shape[0]):
            x = row[j]
            near += np.int32(x > close)
            value = -np.sqrt(-x if x < _ZERO else _ZERO)
            row[j] = value
            s += value + _ROOT_OF_2
        sums[i] = s - np.float64(_ROOT_OF_2) * row.shape[0]
        found += near
    return found


def label_sums(kz, z, whole, own):
    """Column sums of ``kz`` added to ``whole``, those of ``kz * z`` to ``own``."""
    columns = kz.shape[1]
    a, b = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    for i in range(kz.shape[0]):
        for j in range(columns):
            a[j] += kz[i, j]
            b[j] += kz[i, j] * z[i, j]
        if i % 16 == 15 or i == kz.shape[0] - 1:  # short sums in float32: long ones would lose digits
            for j in range(columns):
                whole[j] += a[j]
                own[j] += b[j]
                a[j] = b[j] = _ZERO
