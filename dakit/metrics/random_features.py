"""MMD² by random Fourier features: linear in the number of examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.pairwise import over_blocks

GROUPS = 40  # of the delete-a-group jackknife


def random_features(
    xs: Tensor, xt: Tensor, kernel: str, bandwidths: list[float], count: int, rng: np.random.Generator
) -> tuple[float, float]:
    """MMD² at random frequencies, each of one bandwidth, and its standard error over frequencies and examples."""
    each = max(2, -(-count // len(bandwidths)))
    n, m, d = len(xs), len(xt), xs.shape[1]
    frequencies = torch.from_numpy(
        np.concatenate([_frequencies(kernel, b, each, d, rng) for b in bandwidths])
    )
    centre = (xs.sum(0, dtype=torch.float64) + xt.sum(0, dtype=torch.float64)) / (n + m)
    # A phase in float32 is off by 1e-7 of its size.
    far = max(float((x - centre).abs().max()) for x in (xs, xt)) * float(frequencies.abs().max())
    dtype = xs.dtype if far < 1e3 else torch.float64
    frequencies = frequencies.T.to(xs.device, dtype).contiguous()
    groups = min(GROUPS, n, m)
    orders = [torch.from_numpy(rng.permutation(len(x))) for x in (xs, xt)]
    sums = torch.zeros(2, groups, 2, each * len(bandwidths), dtype=torch.float64, device=xs.device)
    sizes = np.array(
        [[len(k) * (g + 1) // groups - len(k) * g // groups for g in range(groups)] for k in orders]
    )

    def visit(k: int) -> None:
        of, g = divmod(k, groups)
        x, order = (xs, xt)[of], orders[of]
        rows = order[len(order) * g // groups : len(order) * (g + 1) // groups]
        for part in rows.split(512):
            phases = (x[part.to(x.device)].double() - centre).to(dtype) @ frequencies
            sums[of, g, 0] += torch.cos(phases).sum(0)
            sums[of, g, 1] += torch.sin(phases).sum(0)

    over_blocks(visit, 2 * groups, xs.device, pairs=(n + m) * each * len(bandwidths))
    sums = sums.cpu().numpy()

    def mmd_at(sum_s: np.ndarray, sum_t: np.ndarray, n: Any, m: Any) -> np.ndarray:
        """MMD² at each frequency, without the pairs of an example with itself: those are 1 each."""
        inside = (np.square(sum_s).sum(-2) - n) / (n * (n - 1)) + (np.square(sum_t).sum(-2) - m) / (
            m * (m - 1)
        )
        return inside - 2 * (sum_s * sum_t).sum(-2) / (n * m)

    whole = sums.sum(1)
    values = mmd_at(whole[0], whole[1], n, m).reshape(len(bandwidths), each)
    over_features = values.var(1, ddof=1).sum() / each / len(bandwidths) ** 2
    left = [(k - sizes[of])[:, None] for of, k in ((0, n), (1, m))]
    without = mmd_at(whole[0] - sums[0], whole[1] - sums[1], *left).mean(-1)
    over_examples = (groups - 1) * without.var()
    return float(values.mean()), math.sqrt(over_features + over_examples)


def _frequencies(kernel: str, bandwidth: float, count: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Draws from the spectrum of a kernel: normal, mixed over scales for all but "rbf"."""
    normal = rng.normal(size=(count, d))
    if kernel == "laplace":  # exp(-|x - y| / l): Cauchy, a normal over the root of a chi² of one degree
        return normal / np.abs(rng.normal(size=(count, 1))) / math.sqrt(bandwidth)
    if (
        kernel == "imq"
    ):  # 1/sqrt(1 + D/b) is the mean of exp(-s D/b) over s of a gamma distribution of shape 1/2
        normal *= np.sqrt(rng.gamma(0.5, size=(count, 1)))
    return normal * math.sqrt(2 / bandwidth)
