"""A LeNet-size convolutional network for small pictures."""

import torch
from torch import Tensor, nn

from dakit.models.ibn import add_ibn
from dakit.models.layers import GroupNorm, Standardise


class LeNet(nn.Module):
    """Two 5x5 convolutions with pooling, then one fully connected layer: 0.2 million weights at 32x32.

    With ``width=32, norm="none"`` the convolutions are those of the digit network of the DANN paper (32 and 48 maps).
    Pictures beyond 32 pixels are pooled to an 8x8 map before the fully connected layer, so that its size stays bounded.

    Parameters
    ----------
    shape : (channels, height, width)
        1 or 3 channels (others work), 16 to 64 pixels a side (at least 8).
    width : int
        Maps of the first convolution; the second has one and a half times as many.
    features : int
        Units of the fully connected layer, the feature of the head and of every alignment loss.
    norm : {"none", "group", "batch"}
        Normalisation after each convolution. ``"group"`` treats each picture alone; ``"batch"`` mixes the examples of
        a batch, and therefore the domains where both pass together.
    ibn : {None, "a"}
        With ``norm="batch"``: instance norm for part of the first convolution's maps; see
        :func:`dakit.models.ibn.add_ibn`.
    ratio : float in [0, 1]
        Which share of those maps.
    dropout : float in [0, 1)
        Share of the pooled maps' entries dropped before the fully connected layer.
    """

    cpu_memory_format = (
        torch.channels_last
    )  # with few channels, NCHW convolutions and pooling do not vectorise

    early = ("maps.4",)
    """Where the first stage ends: after its pooling."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        width: int = 16,
        features: int = 128,
        norm: str = "group",
        ibn: str | None = None,
        ratio: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 8:
            raise ValueError(
                f"lenet needs pictures (channels, height, width) of at least 8 pixels, got {tuple(shape)}"
            )
        channels, height, breadth = shape
        norms = {"none": nn.Identity, "group": lambda c: GroupNorm(_groups(c), c), "batch": nn.BatchNorm2d}
        if norm not in norms:
            raise ValueError(f"unknown norm {norm!r} for lenet; choose one of {', '.join(norms)}")
        second = width * 3 // 2
        grid = (min(height // 4, 8), min(breadth // 4, 8))
        pool = nn.Identity() if grid == (height // 4, breadth // 4) else nn.AdaptiveAvgPool2d(grid)
        self.maps = nn.Sequential(
            Standardise(0.5, 0.25),  # pixels arrive in [0, 1]; centred inputs train faster
            nn.Conv2d(channels, width, 5, padding=2),
            norms[norm](width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, second, 5, padding=2),
            norms[norm](second),
            nn.ReLU(),
            nn.MaxPool2d(2),
            pool,
        )
        self.dropout = nn.Dropout(dropout)
        self.full = nn.Linear(second * grid[0] * grid[1], features)
        self.out_features = features
        self.spec = {
            "name": "lenet",
            "shape": list(shape),
            "width": width,
            "features": features,
            "norm": norm,
            "ibn": None,
            "ratio": ratio,
            "dropout": dropout,
        }
        if ibn is not None:
            add_ibn(self, ibn, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) to (b, features)."""
        maps = self.maps(x).flatten(1)
        return torch.relu(self.full(self.dropout(maps)))


def _groups(channels: int) -> int:
    """Largest divisor of the channels that is at most 8."""
    return max(g for g in range(1, 9) if channels % g == 0)
