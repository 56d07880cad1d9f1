"""What every metric accepts, and the sentences it answers bad input with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

# Squares of larger values, summed over features, could overflow float64 and end as a silent NaN.
LARGEST = 1e140
_SMALL_INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.bool}


def as_tensor(x: Any, name: str) -> Tensor:
    """``x`` as a detached floating-point tensor of the same shape, on its own device.

    Float32 and float64 keep their precision, which is also the precision of the arithmetic that follows. Shorter
    floats and integers of up to 16 bits become float32, longer integers float64: both hold every value exactly.
    """
    if not isinstance(x, Tensor):
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"{name} must be a numeric array or tensor, got {type(x).__name__} of dtype {array.dtype}"
            )
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.float64)  # torch has few operations for these
        if array.dtype == np.longdouble and array.dtype.itemsize > 8:
            array = array.astype(np.float64)
        # Native byte order, positive strides and writable: what torch.from_numpy asks for.
        x = torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    x = x.detach()
    if x.is_complex():
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    if x.device.type == "mps":
        x = x.cpu()  # there is no float64 there, which sums and moments need
    if x.dtype not in (torch.float32, torch.float64):
        x = x.to(torch.float32 if x.is_floating_point() or x.dtype in _SMALL_INTEGERS else torch.float64)
    return x


def as_sample(x: Any, name: str = "x", *, at_least: int = 2) -> Tensor:
    """``x`` as a finite matrix of shape (n, d), one flattened example a row.

    Raises
    ------
    TypeError
        If ``x`` is not numeric.
    ValueError
        If ``x`` has fewer than 2 axes, fewer than ``at_least`` rows, no features, or values that are NaN,
        infinite or so large that their squares overflow.
    """
    x = as_tensor(x, name)
    if x.ndim < 2:
        raise ValueError(
            f"{name} must have shape (n, d) or (n, ...), got {tuple(x.shape)}; "
            "n single numbers are given as an array of shape (n, 1)"
        )
    if len(x) < at_least:
        raise ValueError(f"{name} needs at least {at_least} example{'s'[: at_least > 1]}, got {len(x)}")
    x = x.flatten(1)
    if x.shape[1] == 0:
        raise ValueError(f"{name} has no features: its shape is {tuple(x.shape)}")
    # One pass finds NaN, infinity and overflow alike: both ends are NaN then, and a comparison with NaN is false.
    low, high = (float(end) for end in torch.aminmax(x))
    if not (low >= -LARGEST and high <= LARGEST):
        bad = int((~torch.isfinite(x)).any(dim=1).sum())
        if bad:
            raise ValueError(
                f"{bad} of the {len(x)} examples of {name} hold NaN or infinite values; drop or fill them first"
            )
        raise ValueError(f"{name} holds values beyond {LARGEST:g}, whose squares overflow; rescale it first")
    return x


def as_pair(xs: Any, xt: Any, *, at_least: int = 2) -> tuple[Tensor, Tensor]:
    """Two samples of one space: matrices of shapes (n, d) and (m, d), of one dtype, on one device.

    Raises
    ------
    TypeError, ValueError
        As :func:`as_sample`, and if an example of ``xs`` has another shape than one of ``xt``.
    """
    shapes = [tuple(np.shape(x))[1:] for x in (xs, xt)]
    xs, xt = as_sample(xs, "xs", at_least=at_least), as_sample(xt, "xt", at_least=at_least)
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"both samples must have the same features, but examples have shape {shapes[0]} in xs and {shapes[1]} in xt"
        )
    dtype = torch.promote_types(xs.dtype, xt.dtype)
    device = xt.device if xs.device.type == "cpu" else xs.device
    return xs.to(device, dtype), xt.to(device, dtype)


def as_labels(y: Any, n: int, name: str = "y") -> np.ndarray:
    """``y`` as an array of class indices, 0 .. k-1 in the sorted order of the labels it holds.

    Raises
    ------
    ValueError
        If ``y`` does not have shape (n,) or holds missing labels.
    """
    y = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if y.shape != (n,):
        raise ValueError(f"{name} must hold one label per example, shape ({n},), got {y.shape}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} holds missing labels (NaN or infinite); drop those examples first")
    if y.dtype.kind == "O":
        if any(label is None or label != label for label in y):
            raise ValueError(f"{name} holds missing labels (None or NaN); drop those examples first")
        y = y.astype(str)
    return np.unique(y, return_inverse=True)[1]
