"""How far apart two domains lie in the maps of one layer, channel by channel."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from dakit.metrics.samples import as_pair, as_tensor


def channel_divergence(xs: Any, xt: Any, *, eps: float = 0.0) -> float:
    """Symmetric KL divergence between Gaussians of the channels' means, averaged over the channels.

    A channel of an example is summarised by its mean over all positions; over a domain those means are taken for a
    Gaussian, ``N(m, s²)``. The divergence of a channel is ``KL(s ‖ t) + KL(t ‖ s)``, with
    ``KL(s ‖ t) = log(s_t / s_s) + (s_s² + (m_s - m_t)²) / (2 s_t²) - 1/2``; the logarithms cancel.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, c, ...) and (m, c, ...)
        Maps of one layer for source and target, or features (n, c).
    eps : float, at least 0
        Added to both variances, for layers with channels that are constant in one domain.

    Returns
    -------
    float, at least 0
        0 where all channels have the same mean and variance in both domains. Does not change where a channel is scaled
        or shifted in both (with ``eps=0``).

    Raises
    ------
    TypeError, ValueError
        As for every metric; if a channel is constant in one domain only, or constant at two values, where the
        divergence is infinite.

    References
    ----------
    Pan, Luo, Shi, Tang (2018). Two at once: enhancing learning and generalization capacities via IBN-Net. ECCV,
    arXiv:1807.09441, section 3.1 (the formula is written from memory).

    Examples
    --------
    >>> channel_divergence([[0.0], [2.0]], [[2.0], [4.0]])  # means 1 and 3, variance 1: 4 / 2 + 4 / 2
    4.0
    """
    if not 0 <= eps < math.inf:
        raise ValueError(f"eps must be a number of at least 0, got {eps!r}")
    xs, xt = as_pair(_means(xs, "xs"), _means(xt, "xt"))
    xs, xt = xs.double(), xt.double()
    (vs, vt), gap = (x.var(dim=0, correction=0) + eps for x in (xs, xt)), (xs.mean(0) - xt.mean(0)) ** 2
    same = (vs == 0) & (vt == 0) & (gap == 0)
    endless = int((((vs == 0) | (vt == 0)) & ~same).sum())
    if endless:
        raise ValueError(
            f"{endless} of {len(gap)} channels are constant in one domain and differ in the other, where the "
            "divergence is infinite; leave them out, or pass eps, a variance that is added to all"
        )
    vs, vt = vs.where(~same, 1.0), vt.where(~same, 1.0)
    return float((((vs - vt) ** 2 / (vs * vt) + gap * (1 / vs + 1 / vt)) / 2).mean())


def _means(x: Any, name: str) -> Tensor:
    """(n, c, ...) to the means over all positions, (n, c); anything else is left to ``as_pair``."""
    x = as_tensor(x, name)
    return x.flatten(2).double().mean(2) if x.ndim > 2 and x[0, 0].numel() else x
