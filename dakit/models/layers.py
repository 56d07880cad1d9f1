"""Layers that no backbone owns: gradient reversal, input standardisation, group and instance normalisation."""

import inspect

import torch
from torch import Tensor, nn


class _Reverse(torch.autograd.Function):
    """Identity forward, ``-lambda_`` times the gradient backward.

    ``setup_context`` and ``generate_vmap_rule`` make it work under ``torch.func`` (vmap, grad), which the classic
    form with ``ctx`` in ``forward`` does not.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, lambda_: float | Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, lambda_ = inputs
        if isinstance(lambda_, Tensor):
            ctx.save_for_backward(lambda_)
        else:
            ctx.lambda_ = lambda_

    @staticmethod
    def backward(ctx, gradient: Tensor):
        lambda_ = ctx.saved_tensors[0] if ctx.saved_tensors else ctx.lambda_
        return gradient.neg() * lambda_, None


# torch binds the arguments of such a function anew at every call; a signature at hand makes that quick.
_Reverse.forward.__signature__ = inspect.signature(_Reverse.forward)


def gradient_reversal(x: Tensor, lambda_: float | Tensor = 1.0) -> Tensor:
    """The gradient reversal layer R_λ of DANN: x forward, -λ g backward.

    Parameters
    ----------
    x : Tensor of any shape
    lambda_ : float or 0-d Tensor
        What the reversed gradient is multiplied by. No gradient flows to it.

    Returns
    -------
    Tensor of the shape of ``x``, equal to it bit for bit.

    References
    ----------
    Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17 (2016), section 4.2.

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> gradient_reversal(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return _Reverse.apply(x, lambda_)


class GradientReversal(nn.Module):
    """:func:`gradient_reversal` as a layer; ``lambda_`` may be changed between steps."""

    def __init__(self, lambda_: float = 1.0) -> None:
        super().__init__()
        self.lambda_ = lambda_

    def forward(self, x: Tensor) -> Tensor:
        return gradient_reversal(x, self.lambda_)

    def extra_repr(self) -> str:
        return f"lambda_={self.lambda_}"


class Standardise(nn.Module):
    """(x - mean) / sd, channel by channel (images) or feature by feature (flat inputs).

    Parameters
    ----------
    mean, sd : sequence of float, or float
        One entry a channel, or one for all.
    """

    def __init__(self, mean, sd) -> None:
        super().__init__()
        # Not persistent: they are constants of the architecture, kept in its spec, not learned weights.
        self.register_buffer(
            "mean", torch.atleast_1d(torch.as_tensor(mean, dtype=torch.float32)), persistent=False
        )
        self.register_buffer(
            "sd", torch.atleast_1d(torch.as_tensor(sd, dtype=torch.float32)), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return (x - self.mean.view(shape)) / self.sd.view(shape)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``, computed in the memory layout in which it is fast on a CPU.

    On maps with the channels last, torch's kernel takes up to ten times as long as on contiguous ones, more than the
    convolutions around it; two copies cost far less. The output has the layout of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.is_contiguous():
            return super().forward(x)
        return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)


class InstanceNorm(nn.InstanceNorm2d):
    """``nn.InstanceNorm2d`` that tells of maps too small for it, in evaluation as in training."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] < 2:
            raise ValueError(
                f"instance norm needs maps of more than one position, got {tuple(x.shape[2:])}: take larger pictures"
            )
        return super().forward(x)


def activation(name: str) -> nn.Module:
    """A fresh activation layer by name.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()
