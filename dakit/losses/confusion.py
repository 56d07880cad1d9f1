"""Confusion between the classes, estimated from predictions alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dakit.losses.conditioning import certainty


def class_confusion(logits: Tensor, *, temperature: float = 2.5) -> Tensor:
    """Minimum class confusion: how much of each class's probability goes to examples that also look like another.

    With ``Y = softmax(z / t)`` of shape (n, k) and ``W`` the diagonal matrix of weights ``1 + exp(-H(Y_i))``, scaled to
    sum to ``n``: ``C = Y^T W Y``, each row divided by its sum, and the loss is the sum of all entries off the diagonal,
    divided by ``k``. No gradient flows through the weights.

    It is 0 only if every prediction is certain and every class occurs, and ``1 - 1/k`` if all predictions are uniform.
    A class that no example predicts counts as fully confused: unlike entropy, the loss does not reward a collapse to
    one class.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Class scores of a batch, of the target in MCC.
    temperature : float, positive
        Divides the scores: above 1 it makes the predictions less certain.

    Returns
    -------
    Tensor, scalar in [0, 1]
        At most ``1 - 1/k``, up to rounding.

    Raises
    ------
    ValueError
        If ``logits`` is not of shape (n, k), or empty, or ``temperature`` is not positive.

    References
    ----------
    Jin, Wang, Long, Wang (2020). Minimum class confusion for versatile domain adaptation. ECCV, eq. 3 to 7.

    Examples
    --------
    >>> import torch
    >>> class_confusion(torch.zeros(3, 4))  # knows nothing: 3/4
    tensor(0.7500)
    """
    w = certainty(logits, temperature=temperature)
    y = functional.softmax(logits / temperature, dim=1)
    confusion = y.T @ (y * (len(y) * w / w.sum())[:, None])
    # A class whose probabilities underflow has a row of zeros: 0 / tiny is the limit of its diagonal entry.
    rows = confusion.sum(1).clamp(min=torch.finfo(confusion.dtype).tiny)
    return 1 - (confusion.diagonal() / rows).mean()
