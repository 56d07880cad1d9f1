"""Residual networks: ResNet-18, with a stem for small pictures or the published one, and a ResNet-8 for quick runs.

He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016. Parameters carry the names of
torchvision's ``resnet18``, so that a state dict of that layout (without its ``fc``) fits.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dakit.models.ibn import add_ibn
from dakit.models.layers import InstanceNorm, Standardise

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
NORMS = {"batch": nn.BatchNorm2d, "instance": lambda maps: InstanceNorm(maps, affine=True)}


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; ``last`` is a norm after their sum, if there is one."""

    def __init__(self, channels: int, maps: int, stride: int, norm: str = "batch") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.bn1 = NORMS[norm](maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = NORMS[norm](maps)
        self.downsample = None
        if stride != 1 or channels != maps:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, maps, 1, stride, bias=False), NORMS[norm](maps)
            )
        self.last: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x))
        return torch.relu(y if self.last is None else self.last(y))


class ResNet(nn.Module):
    """Residual blocks in stages, up to the pooled features.

    Batch normalisation sees a mixture of both domains wherever a method passes them together.

    Parameters
    ----------
    shape : (channels, height, width)
    stem : {"auto", "small", "imagenet"}
        ``"imagenet"``: 7x7 convolution of stride 2 and max pooling, as published. ``"small"``: one 3x3 convolution,
        for pictures of 16 to 64 pixels, which the other would shrink to nothing. ``"auto"``: small below 128 pixels.
    width : int
        Maps of the first stage; each further stage doubles them.
    norm : {"batch", "instance"}
        Every normalisation layer. ``"instance"`` treats each picture and each of its channels alone.
    ibn : {None, "a", "b"}
        Instance norm in early layers only; see :func:`dakit.models.ibn.add_ibn`.
    ratio : float in [0, 1]
        Share of channels under instance norm in a layer of ``ibn="a"``.
    weights : path, optional
        A safetensors file with a state dict of torchvision's layout. Pictures of 3 channels in [0, 1] are then
        normalised as ImageNet's were.
    """

    blocks: tuple[int, ...]
    """Blocks of each stage."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        stem: str = "auto",
        width: int = 64,
        norm: str = "batch",
        ibn: str | None = None,
        ratio: float = 0.5,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__.lower()
        if len(shape) != 3:
            raise ValueError(f"{name} needs pictures (channels, height, width), got {tuple(shape)}")
        if stem == "auto":
            stem = "small" if min(shape[1:]) < 128 else "imagenet"
        if stem not in ("small", "imagenet"):
            raise ValueError(f"stem must be 'small', 'imagenet' or 'auto', got {stem!r}")
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r} for {name}; choose one of {', '.join(NORMS)}")
        channels = shape[0]
        self.standardise = (
            Standardise(IMAGENET_MEAN, IMAGENET_SD) if channels == 3 else Standardise(0.5, 0.25)
        )
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = NORMS[norm](width)
        maps = width
        for i, count in enumerate(self.blocks):
            first = Block(maps, width * 2**i, 1 if i == 0 else 2, norm)
            maps = width * 2**i
            stage = nn.Sequential(first, *(Block(maps, maps, 1, norm) for _ in range(count - 1)))
            self.add_module(f"layer{i + 1}", stage)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        self.out_features = maps
        # Not the weights file: what is saved later are the weights themselves.
        self.spec = {
            "name": name,
            "shape": list(shape),
            "stem": stem,
            "width": width,
            "norm": norm,
            "ibn": None,
            "ratio": ratio,
        }
        if ibn is not None:
            add_ibn(self, ibn, ratio)
        if weights is not None:
            load_torchvision(self, weights)

    @property
    def early(self) -> tuple[str, ...]:
        """Names of all stages but the last."""
        return tuple(f"layer{i + 1}" for i in range(len(self.blocks) - 1))

    @property
    def stages(self) -> list[nn.Sequential]:
        """The stages in order, each a Sequential of blocks."""
        return [getattr(self, f"layer{i + 1}") for i in range(len(self.blocks))]

    def maps(self, x: Tensor) -> list[Tensor]:
        """Maps after the stem and after each stage, (b, c, h, w) each."""
        maps = [self.maxpool(torch.relu(self.bn1(self.conv1(self.standardise(x)))))]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) to (b, out_features)."""
        return self.maps(x)[-1].mean(dim=(2, 3))


class ResNet18(ResNet):
    """ResNet-18: four stages of two blocks, 8 * width features; the options are those of :class:`ResNet`."""

    blocks = (2, 2, 2, 2)


class ResNet8(ResNet):
    """Three stages of one block, 4 * width features: 77 thousand weights at width 16, for small pictures."""

    blocks = (1, 1, 1)

    def __init__(self, shape: tuple[int, int, int], *, width: int = 16, **options) -> None:
        super().__init__(shape, width=width, **options)


def load_torchvision(model: nn.Module, path: str | Path) -> None:
    """Load a state dict of torchvision's layout from a safetensors file, leaving its classifier ``fc`` out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no safetensors file, or its tensors do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights file {str(path)!r}")
    try:
        tensors = load_file(path)
    except SafetensorError:
        raise ValueError(
            f"{str(path)!r} is no safetensors file; convert it with safetensors.torch.save_file(state_dict, path)"
        ) from None
    tensors = {k: v for k, v in tensors.items() if not k.startswith("fc.")}
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).split("\n", 2)[1].strip()
        raise ValueError(
            f"the weights in {str(path)!r} do not fit this {type(model).__name__}: {reason}"
        ) from None
