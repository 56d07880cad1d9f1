"""Backbones, heads and layers.

:func:`build` makes a backbone by name. Every backbone maps (b, ...) to (b, d), has ``out_features = d``, and has a
``spec``, a dictionary of plain values from which :func:`build` makes it again.
"""

from torch import nn

from dakit.models.layers import GradientReversal, gradient_reversal

__all__ = ["NAMES", "GradientReversal", "build", "gradient_reversal"]

NAMES = {
    "auto": "mlp for flat features, lenet for pictures",
    "mlp": "multi-layer perceptron",
    "lenet": "two convolutions and a fully connected layer, for pictures of 16 to 64 pixels",
    "resnet8": "residual network of three blocks, for quick runs on pictures of 16 to 32 pixels",
    "resnet18": 'ResNet-18; stem="small" below 128 pixels, "imagenet" as published',
    "se_cnn": "small residual network with channel attention in every block",
    "embedding": "precomputed features: standardised, optionally with a learned projection",
    "imagenet": "efficientnet-lite0 with ImageNet weights, frozen; from the packages of dakit[features]",
    "hub:PATH": "any image or text backbone of transformers that lies on disk",
}


def build(name: str, shape: tuple[int, ...], **kwargs) -> nn.Module:
    """Make a backbone.

    Parameters
    ----------
    name : str
        A key of ``models.NAMES``; ``"auto"`` picks by the shape.
    shape : tuple of int
        Shape of one example: ``domain.shape``.
    **kwargs
        Passed to the backbone, for example ``hidden=(256,)`` for an MLP or ``norm="batch"`` for lenet.

    Returns
    -------
    nn.Module
        With ``out_features`` and ``spec``.

    Raises
    ------
    ValueError
        If the name is unknown, or no backbone suits the shape.

    Examples
    --------
    >>> build("auto", (2,), hidden=(15,)).out_features
    15
    >>> build("auto", (3, 32, 32)).spec["name"]
    'lenet'
    """
    shape = tuple(int(n) for n in shape)
    if name == "auto":
        automatic = {1: "mlp", 3: "lenet"}
        if len(shape) not in automatic:
            raise ValueError(
                f"no automatic backbone for examples of shape {shape}; pass a backbone of your own"
            )
        name = automatic[len(shape)]
    if name == "mlp":
        from dakit.models.mlp import MLP

        return MLP(shape, **kwargs)
    if name == "lenet":
        from dakit.models.lenet import LeNet

        return LeNet(shape, **kwargs)
    if name in ("resnet8", "resnet18"):
        from dakit.models.resnet import ResNet8, ResNet18

        return (ResNet8 if name == "resnet8" else ResNet18)(shape, **kwargs)
    if name == "se_cnn":
        from dakit.models.se_cnn import SECNN

        return SECNN(shape, **kwargs)
    if name == "embedding":
        from dakit.models.embedding import Embedding

        return Embedding(shape, **kwargs)
    if name == "imagenet":
        from dakit.models.imagenet import load as load_imagenet

        return load_imagenet(shape, **kwargs)
    if name.startswith("hub:"):
        from dakit.models.hub import load

        return load(name.removeprefix("hub:"), shape, **kwargs)
    raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(NAMES)}")
