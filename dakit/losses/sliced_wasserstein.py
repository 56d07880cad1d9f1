"""How far the predictions of two classifiers lie apart, as clouds of points."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def sliced_wasserstein_discrepancy(logits1: Tensor, logits2: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein discrepancy of two classifiers, ``mean_u 1/n sum_i (sort(P u)_i - sort(Q u)_i)²``.

    P and Q hold the probabilities of both classifiers, one example a row. Along each direction u the projections are
    sorted, and compared rank by rank: the squared Wasserstein distance of order 2 on a line. It asks how much the two
    clouds of predictions differ; which example has which prediction does not count, other than for
    :func:`classifier_discrepancy`. With one example nothing is left to sort, and directions along the axes give
    ``|p - q|² / k``.

    Parameters
    ----------
    logits1, logits2 : Tensor of shape (n, k)
        Class scores of the same examples.
    directions : Tensor of shape (k, r)
        Unit vectors in columns, drawn evenly from the sphere: ``functional.normalize(torch.randn(k, r), dim=0)``.

    Returns
    -------
    Tensor, scalar in [0, 2]
        At most 2/k on average over directions.

    Raises
    ------
    ValueError
        If the shapes of the logits differ, are not (n, k), there is no example, or the directions do not fit.

    References
    ----------
    Lee, Batra, Baig, Ulbricht (2019). Sliced Wasserstein discrepancy for unsupervised domain adaptation. CVPR.

    Examples
    --------
    >>> import torch
    >>> sure = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    >>> sliced_wasserstein_discrepancy(sure, torch.zeros(2, 2), torch.eye(2))  # (1 - 1/2)² everywhere
    tensor(0.2500)
    >>> sliced_wasserstein_discrepancy(sure, sure.flip(0), torch.eye(2))
    tensor(0.)
    """
    if logits1.ndim != 2 or 0 in logits1.shape or logits1.shape != logits2.shape:
        raise ValueError(
            "two classifiers need logits of one shape (n, k) with at least one example, "
            f"got {tuple(logits1.shape)} and {tuple(logits2.shape)}"
        )
    if directions.ndim != 2 or len(directions) != logits1.shape[1] or directions.shape[1] == 0:
        raise ValueError(
            f"{logits1.shape[1]} classes need directions of shape ({logits1.shape[1]}, r), at least one, "
            f"got {tuple(directions.shape)}"
        )
    p, q = ((functional.softmax(z, dim=1) @ directions).sort(dim=0).values for z in (logits1, logits2))
    return (p - q).square().mean()
