"""Maximum mean discrepancy class by class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dakit.losses.mmd import _kernel_matrix


def local_mmd(
    xs: Tensor,
    xt: Tensor,
    ys: Tensor,
    pt: Tensor,
    *,
    bandwidths: float | Sequence[float] | Tensor | None = None,
    kernel: str = "rbf",
) -> Tensor:
    """Local maximum mean discrepancy: the mean over classes of the squared MMD between weighted batches.

    ``1/C sum_c |sum_i w_ic φ(xs_i) - sum_j v_jc φ(xt_j)|²`` with ``w_ic = [ys_i = c] / sum_i [ys_i = c]`` and
    ``v_jc = pt_jc / sum_j pt_jc``. A target example counts towards every class by its probability; with one class it is
    the biased :func:`mmd`. No gradient flows through the weights.

    The mean runs over the C classes that are there in both batches: some source example has the label, and some target
    example has no more probable class. Without a source example the weights would be 0/0, and without a target example
    they would make a class of those that are least unlike it. Without any such class the value is 0.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    ys : Tensor of shape (n,), int64
        Source labels in [0, k).
    pt : Tensor of shape (m, k)
        Class probabilities of the target examples.
    bandwidths : float, sequence of float or Tensor, optional
        Scales of the squared distance, as for :func:`mmd`; by default the median of the batch times ¼, ½, 1, 2, 4.
    kernel : {"rbf", "laplace", "imq"}

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch holds fewer than 2 examples, or the kernel is unknown.

    References
    ----------
    Zhu et al. (2021). Deep subdomain adaptation network for image classification. IEEE TNNLS 32.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    >>> local_mmd(x, x, y, torch.eye(2), bandwidths=1.0)
    tensor(0.)
    >>> local_mmd(x, x, y, torch.eye(2).flip(0), bandwidths=1.0)  # the classes in the other order: 2 - 2/e
    tensor(1.2642)
    """
    n, m = len(xs), len(xt)
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or min(n, m) < 2:
        raise ValueError(
            "local_mmd needs batches of shape (n, d) and (m, d), at least 2 examples each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    if ys.shape != (n,) or pt.ndim != 2 or len(pt) != m or pt.shape[1] == 0:
        raise ValueError(
            f"local_mmd needs a label for each of {n} source examples and probabilities of shape ({m}, k) for the "
            f"target, got {tuple(ys.shape)} and {tuple(pt.shape)}"
        )
    w, count = _signed_weights(ys, pt.detach().to(xs))
    k = _kernel_matrix(xs, xt, bandwidths, kernel)
    # Rounding can leave a squared norm a little below zero.
    return (w * (k @ w)).sum().clamp(min=0) / count.clamp(min=1)


def _signed_weights(ys: Tensor, pt: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the pooled examples, (n + m, k), negative for the target and 0 for absent classes; how many count."""
    classes = torch.arange(pt.shape[1], device=pt.device)
    of_source = (ys[:, None] == classes).to(pt)
    of_target = (pt == pt.amax(1, keepdim=True)).any(0)
    there = (of_source.any(0) & of_target).to(pt)
    tiny = torch.finfo(pt.dtype).tiny
    w = of_source / of_source.sum(0).clamp(min=1)
    v = pt / pt.sum(0).clamp(min=tiny)
    return torch.cat([w, -v]) * there, there.sum()
