"""Maximum mean discrepancy of the joint distribution of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor

from dakit.losses.mmd import _estimate, _kernel_matrix


def joint_mmd(
    xs: Sequence[Tensor],
    xt: Sequence[Tensor],
    *,
    bandwidths: Sequence[float | Sequence[float] | None] | None = None,
    kernel: str = "rbf",
    unbiased: bool = False,
) -> Tensor:
    """Squared maximum mean discrepancy between the joint distributions of several layers.

    ``mean K(i, i') + mean K(j, j') - 2 mean K(i, j)`` over examples i of the source and j of the target, with the
    product kernel ``K(i, j) = prod_l k_l(xs_l[i], xt_l[j])``: two examples are alike only where they are alike in every
    layer. With one layer it is :func:`mmd`.

    A sum of the layers' own MMDs compares their marginal distributions. It is 0 where the features have one
    distribution and the predictions have one distribution, even if features of one class go with predictions of
    another; the joint MMD is not.

    Parameters
    ----------
    xs, xt : sequence of Tensors of shape (n, d_l) and (m, d_l)
        One tensor a layer, such as features and softmax outputs; row i of each belongs to example i.
    bandwidths : sequence with one entry a layer, optional
        Scales of the squared distance in that layer, as for :func:`mmd`; an entry None, or None for all, takes
        :func:`median_bandwidth` of the layer times ¼, ½, 1, 2, 4, without gradient.
    kernel : {"rbf", "laplace", "imq"}
    unbiased : bool
        Leave out the pairs of an example with itself: right on average, single values may be negative.

    Returns
    -------
    Tensor, scalar
        At least 0 unless ``unbiased``.

    Raises
    ------
    ValueError
        If the layers, their shapes or the bandwidths do not go together, a batch holds fewer than 2 examples, or the
        kernel is unknown.

    References
    ----------
    Long, Zhu, Wang, Jordan (2017). Deep transfer learning with joint adaptation networks. ICML.

    Examples
    --------
    >>> import torch
    >>> a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])
    >>> joint_mmd([a, a], [a, b], bandwidths=[1.0, 1.0])  # the second layer in the other order: (1 - 1/e)²
    tensor(0.3996)
    >>> joint_mmd([a], [b], bandwidths=[1.0])
    tensor(0.)
    """
    layers = _layers(xs, xt)
    if bandwidths is None:
        bandwidths = [None] * len(layers)
    elif not isinstance(bandwidths, Sequence) or len(bandwidths) != len(layers):
        raise ValueError(
            f"joint_mmd needs bandwidths for each of its {len(layers)} layers, one entry a layer, got {bandwidths!r}"
        )
    k = prod(_kernel_matrix(s, t, b, kernel) for (s, t), b in zip(layers, bandwidths))
    return _estimate(k, len(xs[0]), len(xt[0]), unbiased)


def _layers(xs: Sequence[Tensor], xt: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    # A tensor is a sequence of its rows: a single layer without brackets would be read as many.
    if isinstance(xs, Tensor) or isinstance(xt, Tensor) or len(xs) != len(xt) or len(xs) == 0:
        raise ValueError(
            "joint_mmd needs two lists with one tensor a layer and as many layers in each; "
            "wrap a single layer in brackets, or use mmd"
        )
    layers = list(zip(xs, xt))
    for s, t in layers:
        fits = s.ndim == 2 and t.ndim == 2 and s.shape[1] == t.shape[1]
        if not fits or len(s) != len(xs[0]) or len(t) != len(xt[0]) or min(len(s), len(t)) < 2:
            shapes = ", ".join(f"{tuple(a.shape)} and {tuple(b.shape)}" for a, b in layers)
            raise ValueError(
                "joint_mmd needs layers of shape (n, d_l) and (m, d_l), at least 2 examples each and the same n and m "
                f"in all, got {shapes}"
            )
    return layers
