"""ResNet-18, with a stem for small pictures or the published one.

He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016. Parameters carry the names of
torchvision's ``resnet18``, so that a state dict of that layout (without its ``fc``) fits.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dakit.models.layers import Standardise

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, maps: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)
        self.downsample = None
        if stride != 1 or channels != maps:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, maps, 1, stride, bias=False), nn.BatchNorm2d(maps)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """ResNet-18 up to the pooled features, (b, 8 * width).

    Batch normalisation sees a mixture of both domains wherever a method passes them together.

    Parameters
    ----------
    shape : (channels, height, width)
    stem : {"auto", "small", "imagenet"}
        ``"imagenet"``: 7x7 convolution of stride 2 and max pooling, as published. ``"small"``: one 3x3 convolution,
        for pictures of 32 to 64 pixels, which the other would shrink to nothing. ``"auto"``: small below 128 pixels.
    width : int
        Maps of the first stage; 64 as published.
    weights : path, optional
        A safetensors file with a state dict of torchvision's layout. Pictures of 3 channels in [0, 1] are then
        normalised as ImageNet's were.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        stem: str = "auto",
        width: int = 64,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"resnet18 needs pictures (channels, height, width), got {tuple(shape)}")
        if stem == "auto":
            stem = "small" if min(shape[1:]) < 128 else "imagenet"
        if stem not in ("small", "imagenet"):
            raise ValueError(f"stem must be 'small', 'imagenet' or 'auto', got {stem!r}")
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
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(Block(width, width, 1), Block(width, width, 1))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(Block(2 * width, 4 * width, 2), Block(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(Block(4 * width, 8 * width, 2), Block(8 * width, 8 * width, 1))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        self.out_features = 8 * width
        # Not the weights file: what is saved later are the weights themselves.
        self.spec = {"name": "resnet18", "shape": list(shape), "stem": stem, "width": width}
        if weights is not None:
            load_torchvision(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) to (b, 8 * width)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(self.standardise(x)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


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
