"""Pictures of two digits in which every pixel has a class, in the sun and in fog."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

import dakit
from dakit import models

CLASSES = 6  # the ground, and the digits 0 to 4


def scenes(n: int, foggy: bool, *, part: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 16, 32) and classes of their pixels (n, 16, 32).

    Two digits side by side in colours of their own on a dark, uneven ground. Fog is that of one distance:
    x' = t x + (1 - t) A, with t between 0.2 and 0.7 and a nearly white A, drawn for each picture. Training and test
    (``part`` 0 and 1) have digits of their own, and equal seeds the same scene in the sun and in fog.
    """
    generator = torch.Generator().manual_seed(2 * seed + part)
    digits = dakit.load("digits")["mnist"]
    digits = digits.subset(torch.nonzero(digits.y < 5).flatten()).split(0.5, seed=seed)[part]
    rows = torch.randint(len(digits), (n, 2), generator=generator)
    ink = digits.x[rows][:, :, 0]  # (n, 2, 16, 16)
    ink = torch.cat([ink[:, 0], ink[:, 1]], dim=2)
    names = (digits.y[rows] + 1).repeat_interleave(16, dim=1)[:, None].expand(-1, 16, -1)
    colour = 0.6 + 0.4 * torch.rand(n, 3, 1, 2, generator=generator).repeat_interleave(16, dim=3)
    ground = 0.1 + 0.1 * torch.rand(n, 3, 4, 8, generator=generator)
    ground = interpolate(ground, scale_factor=4, mode="bilinear")
    x = ground + ink[:, None] * (colour - ground)
    t = 0.2 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator)
    air = 0.85 + 0.15 * torch.rand(n, 3, 1, 1, generator=generator)
    return t * x + (1 - t) * air if foggy else x, torch.where(ink > 0.4, names, 0)


class Dense(nn.Module):
    """Class scores of each pixel: every stage of a ResNet-8 has its say, enlarged to the size of the picture."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.backbone = models.build("resnet8", (3, 16, 32), **options)
        widths = [self.backbone.spec["width"] * k for k in (1, 2, 4)]
        self.heads = nn.ModuleList([nn.Conv2d(w, CLASSES, 1) for w in widths])

    def forward(self, x: Tensor) -> Tensor:
        maps = self.backbone.maps(x)[1:]
        size = x.shape[2:]
        return sum(interpolate(h(m), size=size, mode="bilinear") for h, m in zip(self.heads, maps))


def train_dense(options: dict, seed: int, steps: int) -> Dense:
    """A network for pixels, trained in the sun."""
    torch.manual_seed(seed)
    net = Dense(**options).to(memory_format=torch.channels_last)
    x, y = scenes(1500, False, part=0, seed=seed)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (32,))
        optimiser.zero_grad()
        cross_entropy(net(x[rows].to(memory_format=torch.channels_last)), y[rows]).backward()
        optimiser.step()
        rates.step()
    return net.eval()


@torch.no_grad()
def mean_iou(net: Dense, foggy: bool, seed: int) -> float:
    """Intersection over union of predicted and true pixels, averaged over the classes, on 600 new scenes."""
    x, y = scenes(600, foggy, part=1, seed=seed)
    guess = torch.cat([net(chunk).argmax(1) for chunk in x.split(200)])
    table = torch.bincount((y * CLASSES + guess).flatten(), minlength=CLASSES**2).view(CLASSES, CLASSES)
    hit = table.diagonal()
    return float((hit / (table.sum(0) + table.sum(1) - hit)).mean())
