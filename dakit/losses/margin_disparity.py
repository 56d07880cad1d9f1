"""Margin disparity discrepancy as a loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def margin_disparity(
    adversary_s: Tensor, adversary_t: Tensor, hs: Tensor, ht: Tensor, *, gamma: float = 4.0
) -> Tensor:
    """Loss of a second head that is to agree with the first on the source and to disagree on the target.

    ``γ mean_S -log p'[hs] + mean_T -log(1 - p'[ht])`` with p' the probabilities of the second head and h the classes
    that the first one predicts. Its negative is the paper's surrogate of the margin disparity discrepancy; the second
    head descends this loss, and the features ascend it, which a gradient reversal layer brings about.

    ``log(1 - p'[h])`` is taken from the scores of the other classes: exact, and with a gradient, where p'[h] rounds to
    1. A head with the margin γ in mind is in balance at ``p'[h] = γ / (1 + γ)`` where the domains are alike.

    Parameters
    ----------
    adversary_s, adversary_t : Tensor of shape (n, k) and (m, k)
        Scores of the second head, k at least 2.
    hs, ht : Tensor of shape (n,) and (m,), int64
        Classes in [0, k) that the first head predicts.
    gamma : float, positive
        γ, exp of the margin.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, there is one class only, or ``gamma`` is not positive.

    References
    ----------
    Zhang, Liu, Long, Jordan (2019). Bridging theory and algorithm for domain adaptation. ICML.

    Examples
    --------
    >>> import torch
    >>> h = torch.tensor([0])
    >>> margin_disparity(torch.zeros(1, 2), torch.zeros(1, 2), h, h, gamma=1.0)  # log 2 + log 2
    tensor(1.3863)
    """
    shapes = (adversary_s, hs), (adversary_t, ht)
    fits = all(z.ndim == 2 and len(z) > 0 and z.shape[1] > 1 and h.shape == z.shape[:1] for z, h in shapes)
    if not fits or adversary_s.shape[1] != adversary_t.shape[1]:
        raise ValueError(
            "margin_disparity needs scores of shape (n, k) and (m, k), k at least 2, and a predicted class for each "
            f"row, got {', '.join(str(tuple(x.shape)) for pair in shapes for x in pair)}"
        )
    if not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma}")
    agree = functional.cross_entropy(adversary_s, hs)
    log_p = functional.log_softmax(adversary_t, dim=1)
    others = log_p.scatter(1, ht[:, None], -torch.inf)
    return gamma * agree - torch.logsumexp(others, dim=1).mean()
