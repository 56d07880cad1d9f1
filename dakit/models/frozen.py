"""A network used as it is: features of a named layer, a checksum of the weights, and the untrained twin."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["checksum", "frozen_features", "untrained"]


def frozen_features(
    backbone: nn.Module, x: Tensor | np.ndarray, *, layer: str | None = None, batch_size: int = 256
) -> np.ndarray:
    """Features of a network that is not trained: f(x), or what a layer inside it puts out.

    The network runs in evaluation mode and without gradients, and is left in the mode in which it came.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d).
    x : Tensor or array of shape (n, ...)
    layer : str, optional
        A name of ``backbone.named_modules()``. Maps (b, channels, height, width) are averaged over the picture;
        other outputs are flattened. By default the output of the network.
    batch_size : int

    Returns
    -------
    array of shape (n, d), float64

    Raises
    ------
    ValueError
        If there is no such layer, or it did not run or ran more than once for a batch.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> frozen_features(net, torch.zeros(4, 2), layer="1").shape
    (4, 3)
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    parts = dict(backbone.named_modules())
    if layer is not None and (layer not in parts or layer == ""):
        raise ValueError(f"the network has no layer {layer!r}; it has {', '.join(filter(None, parts))}")
    x = torch.as_tensor(x)
    like = next(backbone.parameters(), None)
    device, dtype = (x.device, x.dtype) if like is None else (like.device, like.dtype)
    modes = {part: part.training for part in parts.values()}
    caught: list[Tensor] = []
    hook = None
    if layer is not None:
        hook = parts[layer].register_forward_hook(lambda module, inputs, output: caught.append(output))
    out = []
    try:
        backbone.eval()
        with torch.inference_mode():
            for batch in x.split(batch_size):
                caught.clear()
                z = backbone(batch.to(device, dtype))
                if layer is not None:
                    if len(caught) != 1 or not isinstance(caught[0], Tensor):
                        raise ValueError(
                            f"layer {layer!r} gave {len(caught)} outputs for a batch, not 1 tensor"
                        )
                    z = caught[0].mean((2, 3)) if caught[0].ndim == 4 else caught[0]
                out.append(z.flatten(1).double().cpu())
    finally:
        if hook is not None:
            hook.remove()
        for part, mode in modes.items():
            part.training = mode
    return torch.cat(out).numpy()


def checksum(module: nn.Module) -> str:
    """SHA-256 of all weights and buffers with their names, to show that nothing in a network has moved.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> before = checksum(net)
    >>> _ = nn.init.zeros_(net.weight)
    >>> checksum(net) == before
    False
    """
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def untrained(backbone: nn.Module, *, seed: int = 0, x: Tensor | None = None) -> nn.Module:
    """A copy of a network with fresh random weights: the control for what training has given it.

    Parameters
    ----------
    backbone : nn.Module
        Left as it is.
    seed : int
        The global random state is left alone.
    x : Tensor of shape (n, ...), optional
        Unlabelled examples that set the statistics of batch normalisation. Without them these are mean 0 and variance
        1, and through many layers features can shrink to nearly nothing. That is not the same as useless: on rows
        brought to length 1 either control may be the stronger, so report both where there is batch normalisation.

    Raises
    ------
    ValueError
        If a part has weights and no way to draw them anew (``reset_parameters``).

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> torch.equal(untrained(net).weight, untrained(net, seed=1).weight)
    False
    """
    twin = copy.deepcopy(backbone)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for name, part in twin.named_modules():
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if reset is not None:
                reset()
            elif any(True for _ in part.parameters(recurse=False)):
                raise ValueError(
                    f"{type(part).__name__} {name!r} has weights and no reset_parameters: build the untrained network "
                    "yourself"
                )
        if x is not None:
            _settle(twin, x)
    return twin


def _settle(network: nn.Module, x: Tensor) -> None:
    """Mean and variance of batch normalisation from x, averaged over its batches."""
    modes = {part: part.training for part in network.modules()}
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for batch in x.split(256):
        network(batch)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    for part, mode in modes.items():
        part.training = mode
