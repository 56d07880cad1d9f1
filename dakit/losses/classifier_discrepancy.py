"""How far two classifiers disagree."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def classifier_discrepancy(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Mean absolute difference of two classifiers' probabilities, ``1/(n k) sum_i sum_j |p_ij - q_ij|``.

    Symmetric and a metric on predictions. Where both agree exactly its gradient is taken as 0.

    Parameters
    ----------
    logits1, logits2 : Tensor of shape (n, k)
        Class scores of the same examples.

    Returns
    -------
    Tensor, scalar in [0, 2/k]
        2/k where both are certain and never agree.

    Raises
    ------
    ValueError
        If the shapes differ, are not (n, k), or there is no example.

    References
    ----------
    Saito, Watanabe, Ushiku, Harada (2018). Maximum classifier discrepancy for unsupervised domain adaptation. CVPR,
    eq. 2 and 9.

    Examples
    --------
    >>> import torch
    >>> sure = torch.tensor([[100.0, 0.0]])
    >>> classifier_discrepancy(sure, torch.zeros(1, 2))  # (|1 - 1/2| + |0 - 1/2|) / 2
    tensor(0.5000)
    """
    if logits1.ndim != 2 or 0 in logits1.shape or logits1.shape != logits2.shape:
        raise ValueError(
            "two classifiers need logits of one shape (n, k) with at least one example, "
            f"got {tuple(logits1.shape)} and {tuple(logits2.shape)}"
        )
    return (functional.softmax(logits1, dim=1) - functional.softmax(logits2, dim=1)).abs().mean()
