"""The polynomial kernel, which compares moments up to its degree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dakit.metrics.pairwise import Pairs


@dataclass(frozen=True)
class Polynomial:
    """The kernel ``(gamma x.y + coef0)^degree``, with the defaults of the kernel inception distance (KID).

    Parameters
    ----------
    degree : int
        At least 1. The MMD of degree p compares all moments up to order p.
    gamma : float, optional
        Positive; by default ``1 / d``, with d the number of features.
    coef0 : float
        At least 0. With 0, only moments of order ``degree`` count.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Bińkowski, Sutherland, Arbel, Gretton (2018). Demystifying MMD GANs. ICLR.

    Examples
    --------
    >>> Polynomial(degree=2)
    Polynomial(degree=2, gamma=None, coef0=1.0)
    """

    degree: int = 3
    gamma: float | None = None
    coef0: float = 1.0

    def __post_init__(self) -> None:
        if self.degree != int(self.degree) or self.degree < 1:
            raise ValueError(f"degree must be a whole number of at least 1, got {self.degree!r}")
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise ValueError(f"gamma must be positive, or None for 1 / d, got {self.gamma!r}")
        if not 0 <= self.coef0 < float("inf"):
            raise ValueError(f"coef0 must be at least 0, got {self.coef0!r}")


class PolynomialPairs(Pairs):
    """Pairs of pooled points under a polynomial kernel, always in float64.

    It is no function of the distance, so that the points cannot be moved to their mean, and its values reach the sixth
    power of the features: an MMD² in float32 would be a difference of large rounded numbers.
    """

    def __init__(self, xs: Tensor, xt: Tensor, spec: Polynomial) -> None:
        self.spec = spec
        gamma = 1 / xs.shape[1] if spec.gamma is None else spec.gamma
        self.rows = torch.cat([xs, xt]).double().mul_(gamma**0.5)
        # Rows too long for their own squares to be finite are too long for the kernel.
        longest = float(self.rows.square().sum(1).max())
        if longest + spec.coef0 > 1e280 ** (1 / spec.degree):
            raise ValueError(
                f"values are too large for a polynomial kernel of degree {spec.degree}: it would overflow; "
                "rescale the features first"
            )

    def values(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        right = self.rows[at]
        shape = len(left), len(right)
        products, powers = (buffer[: shape[0] * shape[1]].view(shape) for buffer in work)
        torch.mm(left, right.T, out=products)
        products += self.spec.coef0
        powers.copy_(products)
        for _ in range(int(self.spec.degree) - 1):
            powers *= products
        return powers.fill_diagonal_(0) if diagonal else powers

    def self_total(self, at: slice) -> float:
        norms = self.rows[at].square().sum(1)
        return float((norms + self.spec.coef0).pow(int(self.spec.degree)).sum())
