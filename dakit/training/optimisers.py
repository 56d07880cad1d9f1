"""Optimisers by name, one a player."""

import torch
from torch import Tensor, nn

from dakit.methods.method import Method

NAMES = ("sgd", "adam", "adamw")


def build(
    name: str, parameters: list[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser, in its fused form where the device has one.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    fused = {p.device.type for p in parameters} <= {"cpu", "cuda"} or None
    if name == "sgd":
        sgd = torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused)
        if (
            momentum
        ):  # from the start, as the fused kernel needs it for all or for none; a zero changes no first step
            for p in parameters:
                sgd.state[p]["momentum_buffer"] = torch.zeros_like(p)
        return sgd
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
    raise ValueError(f"unknown optimizer {name!r}; choose one of {', '.join(NAMES)}")


def players(
    method: Method, **settings
) -> tuple[list[tuple[str, list[nn.Parameter]]], dict[str, torch.optim.Optimizer]]:
    """The phases of a method with their trainable parameters, and one optimiser for each name.

    Raises
    ------
    ValueError
        If a phase has nothing to train.
    """
    phases = [(name, [p for p in parameters if p.requires_grad]) for name, parameters in method.phases()]
    for name, parameters in phases:
        if not parameters:
            raise ValueError(f"phase {name!r} of {type(method).__name__} has no parameter that is trained")
    return phases, {
        name: build(parameters=parameters, **settings) for name, parameters in dict(phases).items()
    }


def pack(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict]:
    """The state of an optimiser as named tensors and plain values."""
    tensors, values = {}, {}
    for position, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{position}.{key}"] = value
            else:
                values[f"{position}.{key}"] = value
    return tensors, values


def unpack(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], values: dict) -> None:
    """Give an optimiser the state that :func:`pack` took."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for name, value in [*tensors.items(), *values.items()]:
        position, key = name.split(".", 1)
        parameter = parameters[int(position)]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # In the parameter's own memory order: fused kernels walk both side by side.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        elif isinstance(value, Tensor):
            value = value.clone()
            if parameter.device.type == "cuda":
                value = value.to(parameter.device)
        optimiser.state[parameter][key] = value
