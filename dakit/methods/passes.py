"""A pass over a whole domain, for methods that look at all of it in ``prepare``."""

from __future__ import annotations

import torch
from torch import Tensor

from dakit.methods.method import Method


@torch.no_grad()
def whole(method: Method, x: Tensor, *, batch_size: int = 512) -> tuple[Tensor, Tensor]:
    """Features (n, d) and logits (n, k) of all rows of ``x``, in evaluation mode, on the method's device.

    Parameters
    ----------
    method : Method
    x : Tensor of shape (n, ...)
        On any device; ``batch_size`` rows at a time go to the method's.
    batch_size : int
        Rows in memory at once.
    """
    device, training = method.head.weight.device, method.training
    features, logits = [], []
    method.eval()
    try:
        for chunk in x.split(batch_size):
            z = method.features(chunk.to(device))
            features.append(z)
            logits.append(method.head(z))
    finally:
        method.train(training)
    return torch.cat(features), torch.cat(logits)
