"""Losses on class scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, y: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy between labels and predicted probabilities.

    ``- mean_i sum_k q_ik log p_ik`` with ``p = softmax(logits)`` and ``q_ik = (1 - s) [k = y_i] + s / k_max`` for
    smoothing ``s`` among ``k_max`` classes. Smoothing keeps the logits from growing without bound, and the features of
    a class together.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    y : Tensor of shape (n,), int64
    label_smoothing : float in [0, 1]

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, the batch is empty, or ``label_smoothing`` lies outside [0, 1].

    References
    ----------
    Szegedy et al. (2016). Rethinking the inception architecture for computer vision. CVPR, section 7.

    Examples
    --------
    >>> import torch
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """
    _check_logits(logits)
    if y.shape != logits.shape[:1]:
        raise ValueError(
            f"y must hold one label for each of the {len(logits)} rows of logits, got {tuple(y.shape)}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
    return functional.cross_entropy(logits, y, label_smoothing=label_smoothing)


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the predicted probabilities, in nats: ``- mean_i sum_k p_ik log p_ik``.

    The sum runs over the classes of each example, not over the batch. Minimised on the target, it pushes decision
    boundaries away from the examples; alone, it is also minimal when every example has one and the same class.

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
    Grandvalet, Bengio (2005). Semi-supervised learning by entropy minimization. NIPS.

    Examples
    --------
    >>> import torch
    >>> entropy(torch.zeros(2, 4))  # log 4
    tensor(1.3863)
    """
    _check_logits(logits)
    log_p = functional.log_softmax(logits, dim=1)
    # A score of -inf rules a class out: 0 log 0 is 0, and where(...) keeps the gradient from becoming NaN.
    return (
        -torch.where(log_p == -torch.inf, 0.0, log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min))
        .sum(1)
        .mean()
    )


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


def _check_logits(logits: Tensor) -> None:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(
            f"logits must have shape (n, k) with at least one example, got {tuple(logits.shape)}"
        )
