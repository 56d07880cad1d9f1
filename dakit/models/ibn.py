"""Instance-batch normalisation (IBN): part of the channels forget a picture's style, the others keep it.

Pan, Luo, Shi, Tang, Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net, ECCV 2018,
arXiv:1807.09441.
"""

import torch
from torch import Tensor, nn

from dakit.models.layers import InstanceNorm

VARIANTS = ("a", "b")


class InstanceBatchNorm(nn.Module):
    """Instance norm on the first channels of a map, batch norm on the others.

    Instance norm is ``y = γ_c (x - μ_nc) / sqrt(σ²_nc + ε) + β_c`` with mean and variance over the positions of one
    channel of one picture: what multiplies or shifts that channel of that picture disappears. It keeps no running
    statistics and does the same in training and evaluation. Batch norm takes mean and variance over the batch as well.

    Parameters
    ----------
    channels : int
    ratio : float in [0, 1]
        Share of channels, rounded down, under instance norm: 0 is batch norm, 1 is instance norm.

    Examples
    --------
    >>> layer = InstanceBatchNorm(5)
    >>> layer.instance.num_features, layer.batch.num_features
    (2, 3)
    """

    def __init__(self, channels: int, ratio: float = 0.5) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must lie in [0, 1], got {ratio!r}")
        self.split = int(channels * ratio)
        self.instance = InstanceNorm(self.split, affine=True) if self.split else None
        self.batch = nn.BatchNorm2d(channels - self.split) if self.split < channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        if self.instance is None:
            return self.batch(x)
        if self.batch is None:
            return self.instance(x)
        return torch.cat([self.instance(x[:, : self.split]), self.batch(x[:, self.split :])], dim=1)


def add_ibn(model: nn.Module, variant: str, ratio: float = 0.5) -> None:
    """Put IBN into a backbone with batch norm, in place; all other layers keep their weights.

    Variant ``"a"`` splits the first norm of each residual block, in all stages but the last. Variant ``"b"`` makes the
    stem's norm an instance norm and adds one after the sum that ends each of the first two stages. The identity paths
    stay as they are. In a lenet (``norm="batch"``), which has no blocks, ``"a"`` splits the first of its two norms.

    Parameters
    ----------
    model : nn.Module
        A backbone of :mod:`dakit.models.resnet` or a lenet.
    variant : {"a", "b"}
    ratio : float in [0, 1]
        Share of channels under instance norm, for ``"a"``.

    Raises
    ------
    ValueError
        If the variant is unknown, or there is nothing in the backbone to put it into.
    """
    if variant not in VARIANTS:
        raise ValueError(f"ibn must be 'a' or 'b', got {variant!r}")
    spec = getattr(model, "spec", {})
    stages = list(model.stages) if hasattr(model, "stages") else []
    if spec.get("ibn"):
        raise ValueError(f"this backbone already has ibn={spec['ibn']!r}")
    if stages and spec.get("norm") == "batch":
        if variant == "a":
            for stage in stages[:-1]:
                for block in stage:
                    block.bn1 = InstanceBatchNorm(block.bn1.num_features, ratio)
        else:
            model.bn1 = InstanceNorm(model.bn1.num_features, affine=True)
            for stage in stages[:2]:
                stage[-1].last = InstanceNorm(stage[-1].bn2.num_features, affine=True)
    elif spec.get("name") == "lenet" and spec["norm"] == "batch" and variant == "a":
        first = next(n for n, m in model.maps.named_children() if isinstance(m, nn.BatchNorm2d))
        channels = getattr(model.maps, first).num_features
        setattr(model.maps, first, InstanceBatchNorm(channels, ratio))
    else:
        raise ValueError(
            f"ibn={variant!r} needs a backbone with residual blocks and batch norm, such as "
            '{"name": "resnet8"} or "resnet18"'
            + (', or {"name": "lenet", "norm": "batch"}' if variant == "a" else "")
            + f"; got {spec.get('name', type(model).__name__)}"
            + (f" with norm={spec['norm']!r}" if "norm" in spec else "")
        )
    model.spec = {**spec, "ibn": variant, "ratio": ratio}
