"""Features and predictions as one variable, and how sure a prediction is."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional


def multilinear(f: Tensor, g: Tensor) -> Tensor:
    """Multilinear map: all products of a feature with a class probability, ``T(f, g) = f ⊗ g``, flattened.

    The mean of ``f ⊗ g`` over a sample holds a mean feature for each class, where ``f`` and ``g`` side by side hold
    only the two overall means. Inner products multiply: ``<T(f, g), T(f', g')> = <f, f'> <g, g'>``.

    Parameters
    ----------
    f : Tensor of shape (n, d)
        Features.
    g : Tensor of shape (n, k)
        Class probabilities.

    Returns
    -------
    Tensor of shape (n, d k)
        ``f_i g_j`` at column ``i k + j``.

    Raises
    ------
    ValueError
        If there is not one row of ``g`` for each row of ``f``.

    References
    ----------
    Long, Cao, Wang, Jordan (2018). Conditional adversarial domain adaptation. NeurIPS, section 3.1.

    Examples
    --------
    >>> import torch
    >>> multilinear(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.25, 0.75]]))
    tensor([[0.2500, 0.7500, 0.5000, 1.5000]])
    """
    _check_rows(f, g)
    return (f[:, :, None] * g[:, None, :]).flatten(1)


def randomised_multilinear(f: Tensor, g: Tensor, rf: Tensor, rg: Tensor) -> Tensor:
    """Multilinear map in fewer dimensions, ``T(f, g) = (f R_f) ⊙ (g R_g) / sqrt(r)``.

    Inner products are those of :func:`multilinear` on average over ``R_f`` and ``R_g``, if their entries are
    independent with mean 0 and variance 1.

    Parameters
    ----------
    f : Tensor of shape (n, d)
        Features.
    g : Tensor of shape (n, k)
        Class probabilities.
    rf, rg : Tensor of shape (d, r) and (k, r)
        Drawn once and kept.

    Returns
    -------
    Tensor of shape (n, r)

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    Long, Cao, Wang, Jordan (2018). Conditional adversarial domain adaptation. NeurIPS, eq. 6.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(2, 1)
    >>> randomised_multilinear(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.5]]), one, one)
    tensor([[3.]])
    """
    _check_rows(f, g)
    if (
        rf.ndim != 2
        or rg.ndim != 2
        or (len(rf), len(rg), rf.shape[1]) != (f.shape[1], g.shape[1], rg.shape[1])
    ):
        raise ValueError(
            f"features of width {f.shape[1]} and {g.shape[1]} classes need random matrices of shape "
            f"({f.shape[1]}, r) and ({g.shape[1]}, r), got {tuple(rf.shape)} and {tuple(rg.shape)}"
        )
    return (f @ rf) * (g @ rg) / sqrt(rf.shape[1])


def certainty(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Weight of each example by how sure its prediction is: ``1 + exp(-H(softmax(z / t)))``, without gradient.

    2 for a certain prediction, ``1 + 1/k`` for one that gives all ``k`` classes the same probability.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    temperature : float, positive

    Returns
    -------
    Tensor of shape (n,), in [1 + 1/k, 2]

    Raises
    ------
    ValueError
        If ``logits`` is not of shape (n, k), or empty, or ``temperature`` is not positive.

    References
    ----------
    Long, Cao, Wang, Jordan (2018). Conditional adversarial domain adaptation. NeurIPS, section 3.2.

    Examples
    --------
    >>> import torch
    >>> certainty(torch.tensor([[0.0, 0.0], [100.0, 0.0]]))
    tensor([1.5000, 2.0000])
    """
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(
            f"logits must have shape (n, k) with at least one example, got {tuple(logits.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    with torch.no_grad():
        p = functional.softmax(logits / temperature, dim=1)
        return 1 + (-torch.special.entr(p).sum(1)).exp()


def _check_rows(f: Tensor, g: Tensor) -> None:
    if f.ndim != 2 or g.ndim != 2 or len(f) != len(g):
        raise ValueError(
            "features and probabilities must have shapes (n, d) and (n, k), one row an example, "
            f"got {tuple(f.shape)} and {tuple(g.shape)}"
        )
