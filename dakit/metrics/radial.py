"""Kernels of the distance on pairs of points, evaluated a tile at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.fused import loops
from dakit.metrics.pairwise import Pairs, PooledPoints, sum_of


class RadialPairs(Pairs):
    """Pairs of pooled points under a mean of kernels of the distance: one shape, several bandwidths.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
    shape : {"rbf", "laplace", "imq"}
        With D the squared distance and b a bandwidth: ``exp(-D/b)``, ``exp(-sqrt(D/b))``, ``1/sqrt(1 + D/b)``.
    bandwidths : sequence of float
        Scales of the squared distance.
    """

    def __init__(self, xs: Tensor, xt: Tensor, shape: str, bandwidths: Sequence[float]) -> None:
        self.shape = shape
        self.bandwidths = sorted(bandwidths, reverse=True)
        # The widest kernel's exponent comes out of the product. exp2 in place of exp: three times as fast where the
        # vendor's exp is not at home, and as fast when the result underflows, where exp can be 100 times slower.
        unit = self.bandwidths[0] * (math.log(2.0) if shape == "rbf" else 1.0)
        self.points = PooledPoints(xs, xt, unit, self.bandwidths[-1], roots=shape == "laplace")
        self.rows = self.points.rows
        self.doublings = self._doublings() if shape == "rbf" else None
        self.loops = None
        if self.doublings is not None:
            self.loops = loops(self.dtype, self.device, pairs=len(self) ** 2 // 2)
            self._steps = np.array(self.doublings, dtype=np.int64)

    def left(self, at: slice) -> Tensor:
        return self.points.left(at)

    def _exponents(self, left: Tensor, at: slice, out: Tensor, diagonal: bool) -> Tensor:
        tile = self.points.tile(left, at, out)
        if diagonal:
            tile.fill_diagonal_(-torch.inf)  # infinitely far: every kernel here is then exactly 0
        return tile

    def _doublings(self) -> list[int] | None:
        """How often each bandwidth is halved to reach the next, or None where that is no whole number."""
        steps = [math.log2(a / b) for a, b in pairwise(self.bandwidths)]
        whole = [round(s) for s in steps]
        return whole if all(abs(s - w) < 1e-12 for s, w in zip(steps, whole)) else None

    def total(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor | float:
        tile = self._exponents(left, at, work[0], diagonal)
        if self.doublings is None:
            return sum_of(self._mean(tile, work[1]))
        # exp(-D/b) squared is the kernel of half the bandwidth: one exponential serves all of them.
        if self.loops is not None:
            return self.loops.powers_total(tile.numpy(), self._steps) / len(self.bandwidths)
        tile.exp2_()
        total = sum_of(tile)
        for times in self.doublings:
            for _ in range(times):
                tile.mul_(tile)
            total += sum_of(tile)
        return total / len(self.bandwidths)

    def values(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        tile = self._exponents(left, at, work[0], diagonal)
        if self.doublings is None:
            return self._mean(tile, work[1])
        mean = work[1][: tile.numel()].view_as(tile)
        torch.exp2(tile, out=tile)
        mean.copy_(tile)
        for times in self.doublings:
            for _ in range(times):
                tile.mul_(tile)
            mean.add_(tile)
        return mean.div_(len(self.bandwidths))

    def less(
        self, constant: float, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool
    ) -> tuple[Tensor, Tensor]:
        if self.loops is None:
            return super().less(constant, left, at, work, diagonal)
        tile = self._exponents(left, at, work[0], diagonal)
        sums = torch.empty(len(tile), dtype=torch.float64)
        self.loops.powers_mean(tile.numpy(), self._steps, constant, work[1].numpy(), sums.numpy())
        if diagonal:
            # Infinitely far there, so that minus the constant is what went into the sums.
            tile.fill_diagonal_(0)
            sums += float(np.float32(constant))
        return tile, sums

    def _mean(self, tile: Tensor, out: Tensor) -> Tensor:
        """The mean over bandwidths of the kernel, each from the exponents anew. Overwrites ``tile``."""
        mean = out[: tile.numel()].view_as(tile).zero_()
        if self.shape == "laplace":
            # sqrt(0) for coinciding points that rounding has moved past each other; log2(e) for exp2.
            tile.neg_().clamp_(min=0).sqrt_().mul_(-math.log2(math.e))
        scratch = torch.empty_like(tile)
        for b in self.bandwidths:
            ratio = self.bandwidths[0] / b
            if self.shape == "imq":
                torch.mul(tile, -ratio, out=scratch)
                mean += scratch.clamp_(min=0).add_(1).rsqrt_()
            else:
                mean += torch.mul(
                    tile, math.sqrt(ratio) if self.shape == "laplace" else ratio, out=scratch
                ).exp2_()
        return mean.div_(len(self.bandwidths))

    def self_total(self, at: slice) -> float:
        return float(at.stop - at.start)  # every kernel here is 1 at distance 0
