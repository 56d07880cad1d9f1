"""A backbone for precomputed features: someone else's frozen network has already done the seeing."""

import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """Standardise features with stored statistics and, if wanted, project them.

    Parameters
    ----------
    shape : (d,)
    projection : int, optional
        Size of a learned linear projection. Without one nothing in the backbone is trained, and a method that aligns
        features has nothing to move: choose a projection, or an MLP, for those.

    Notes
    -----
    Mean and standard deviation are buffers, saved with the weights; :meth:`standardise_by` sets them, which
    ``methods.build`` does with the source. A feature that is constant there is left at zero.
    """

    def __init__(self, shape: tuple[int, ...], *, projection: int | None = None) -> None:
        super().__init__()
        if len(shape) != 1:
            raise ValueError(f"an embedding backbone takes flat features (d,), got {tuple(shape)}")
        if projection is not None and projection < 1:
            raise ValueError(f"projection must be at least 1, got {projection}")
        (d,) = shape
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("sd", torch.ones(d))
        self.project = nn.Identity() if projection is None else nn.Linear(d, projection)
        self.out_features = d if projection is None else projection
        self.spec = {"name": "embedding", "shape": list(shape), "projection": projection}

    @torch.no_grad()
    def standardise_by(self, x: Tensor) -> None:
        """Take mean and standard deviation from features of shape (n, d)."""
        self.mean.copy_(x.mean(dim=0))
        sd = x.std(dim=0, correction=0)
        self.sd.copy_(torch.where(sd > 1e-6 * x.abs().max(), sd, torch.inf))

    def forward(self, x: Tensor) -> Tensor:
        """(b, d) to (b, projection or d)."""
        return self.project((x - self.mean) / self.sd)
