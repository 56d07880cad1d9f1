"""A small residual network with channel attention in every block, shared or by domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dakit.models.domain_attention import DomainAttention
from dakit.models.layers import Standardise


class SEBlock(nn.Module):
    """Two 3x3 convolutions, channel attention on what they add, and a shortcut."""

    def __init__(self, channels: int, maps: int, stride: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)
        self.attention = DomainAttention(maps, reduction=reduction)
        self.shortcut = None
        if stride != 1 or channels != maps:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)
            )

    def forward(self, x: Tensor, split: int | None = None) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.attention(self.bn2(self.conv2(y)), split)
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class SECNN(nn.Module):
    """Residual blocks with squeeze-and-excitation, (b, channels, h, w) to (b, widths[-1]).

    In methods that know nothing of domains it is a plain network with channel attention (A_0 of
    :class:`DomainAttention` throughout). Batch normalisation sees a mixture of both domains wherever a method passes
    them together in training mode.

    Parameters
    ----------
    shape : (channels, height, width)
    widths : sequence of int
        Maps of each stage; every stage after the first halves the picture.
    depth : int
        Blocks in each stage.
    reduction : int
        By how much the attention squeezes the channels; 16 in the wide networks of the paper.
    """

    cpu_memory_format = torch.channels_last

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        widths: tuple[int, ...] = (16, 32, 64),
        depth: int = 1,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        widths = tuple(int(w) for w in widths)
        if len(shape) != 3:
            raise ValueError(f"se_cnn needs pictures (channels, height, width), got {tuple(shape)}")
        if not widths or min(widths) < 1 or depth < 1 or reduction < 1:
            raise ValueError(
                "se_cnn needs at least one stage of at least one map, and depth and reduction of at least 1, "
                f"got widths={widths}, depth={depth}, reduction={reduction}"
            )
        if min(shape[1:]) < 2 ** len(widths):
            raise ValueError(
                f"se_cnn with {len(widths)} stages needs pictures of at least {2 ** len(widths)} pixels, "
                f"got {tuple(shape)}"
            )
        self.standardise = Standardise(0.5, 0.25)  # pixels arrive in [0, 1]
        self.stem = nn.Sequential(
            nn.Conv2d(shape[0], widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        before = [widths[0], *widths]
        self.blocks = nn.ModuleList(
            SEBlock(before[i] if j == 0 else w, w, 2 if i and j == 0 else 1, reduction)
            for i, w in enumerate(widths)
            for j in range(depth)
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        self.out_features = widths[-1]
        self.spec = {
            "name": "se_cnn",
            "shape": list(shape),
            "widths": list(widths),
            "depth": depth,
            "reduction": reduction,
        }

    def forward(self, x: Tensor, split: int | None = None) -> Tensor:
        """(b, channels, h, w) to (b, widths[-1]).

        With ``split`` the batch holds that many rows of the source, then rows of the target; without, all are of the
        domain that the attention layers have as their ``side``.
        """
        x = self.stem(self.standardise(x))
        for block in self.blocks:
            x = block(x, split)
        return x.mean(dim=(2, 3))
