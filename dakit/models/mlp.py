"""A multi-layer perceptron for flat features."""

import math

from torch import Tensor, nn

from dakit.models.layers import activation as activation_layer


class MLP(nn.Module):
    """Fully connected layers with one activation; the last hidden layer is the feature.

    Parameters
    ----------
    shape : tuple of int
        Shape of one example; anything but (d,) is flattened.
    hidden : sequence of int
        Units of each hidden layer. The last is the number of features.
    activation : str
        ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"gelu"`` or ``"leaky_relu"``.
    norm : {"none", "layer", "batch"}
        Normalisation before each activation. ``"batch"`` mixes the examples of a batch, and therefore the domains
        where both pass together.
    dropout : float in [0, 1)
        Share of units dropped after each activation.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        hidden: tuple[int, ...] = (128, 64),
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        if not hidden or min(hidden) < 1:
            raise ValueError(
                f"an MLP needs at least one hidden layer of at least one unit, got hidden={hidden}"
            )
        norms = {"none": None, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
        if norm not in norms:
            raise ValueError(f"unknown norm {norm!r} for an MLP; choose one of {', '.join(norms)}")
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(shape)
        for units in hidden:
            layers.append(nn.Linear(width, units))
            if norms[norm] is not None:
                layers.append(norms[norm](units))
            layers.append(activation_layer(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.layers = nn.Sequential(*layers)
        self.out_features = width
        self.spec = {
            "name": "mlp",
            "shape": list(shape),
            "hidden": list(hidden),
            "activation": activation,
            "norm": norm,
            "dropout": dropout,
        }

    def forward(self, x: Tensor) -> Tensor:
        """(b, ...) to (b, hidden[-1])."""
        return self.layers(x)
