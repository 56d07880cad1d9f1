"""How evenly the predictions of a batch are spread over the classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dakit.losses.classification import _check_logits


def marginal_entropy(logits: Tensor) -> Tensor:
    """Entropy of the mean prediction of a batch, in nats: ``- sum_k m_k log m_k`` with ``m = mean_i softmax(z_i)``.

    It is largest if every class gets an equal share of the batch. Maximised beside a small :func:`entropy` of each
    example, it keeps them from all falling into one class; the difference of the two is the mutual information of
    example and class. The Kullback-Leibler divergence of ``m`` from equal shares is ``log k`` minus it.

    Parameters
    ----------
    logits : Tensor of shape (n, k)

    Returns
    -------
    Tensor, scalar in [0, log k]

    Raises
    ------
    ValueError
        If ``logits`` is not of shape (n, k), or empty.

    References
    ----------
    Krause, Perona, Gomes (2010). Discriminative clustering by regularized information maximization. NIPS.

    Examples
    --------
    >>> import torch
    >>> marginal_entropy(torch.tensor([[100.0, 0.0], [0.0, 100.0]]))  # each sure, the classes even: log 2
    tensor(0.6931)
    """
    _check_logits(logits)
    mean = functional.softmax(logits, dim=1).mean(dim=0)
    return -(mean * mean.clamp(min=torch.finfo(mean.dtype).tiny).log()).sum()
