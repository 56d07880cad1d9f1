"""What it costs to move labelled source examples onto target examples."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from dakit.losses.mmd import _squared_distances


def joint_transport_costs(xs: Tensor, xt: Tensor, ys: Tensor, logits_t: Tensor) -> tuple[Tensor, Tensor]:
    """Costs of every pair of a source and a target example, in features and in labels.

    ``D_ij = |xs_i - xt_j|²`` and ``L_ij = -log softmax(logits_t_j)[ys_i]``: how far the features lie apart, and how
    unlikely the source's label is to the classifier on the target. Both are differentiable; a plan γ of optimal
    transport makes the loss ``sum_ij γ_ij (α D_ij + λ L_ij)`` of them.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    ys : Tensor of shape (n,), int64
        Source labels in [0, k).
    logits_t : Tensor of shape (m, k)

    Returns
    -------
    (Tensor, Tensor), each of shape (n, m), at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit or a batch is empty.

    References
    ----------
    Damodaran, Kellenberger, Flamary, Tuia, Courty (2018). DeepJDOT: Deep joint distribution optimal transport for
    unsupervised domain adaptation. ECCV.

    Examples
    --------
    >>> import torch
    >>> xs, xt, ys = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]), torch.tensor([0, 1])
    >>> distance, label = joint_transport_costs(xs, xt, ys, torch.tensor([[0.0, 2.0]]))
    >>> distance.T, label.T  # the second label is the likelier one
    (tensor([[9., 4.]]), tensor([[2.1269, 0.1269]]))
    """
    n, m = len(xs), len(xt)
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or min(n, m) == 0:
        raise ValueError(
            "joint_transport_costs needs batches of shape (n, d) and (m, d), at least 1 example each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    if ys.shape != (n,) or logits_t.ndim != 2 or len(logits_t) != m:
        raise ValueError(
            f"joint_transport_costs needs a label for each of {n} source examples and logits of shape ({m}, k) for the "
            f"target, got {tuple(ys.shape)} and {tuple(logits_t.shape)}"
        )
    distance = _squared_distances(xs, xt)[:n, n:]
    return distance, -functional.log_softmax(logits_t, dim=1).T.index_select(0, ys)
