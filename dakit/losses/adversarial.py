"""The loss of a domain discriminator."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def domain_adversarial(
    domain_logits_source: Tensor,
    domain_logits_target: Tensor,
    *,
    weights_source: Tensor | None = None,
    weights_target: Tensor | None = None,
) -> Tensor:
    """How badly a discriminator tells the domains apart: source is 0, target is 1.

    ``mean_S BCE(g, 0) + mean_T BCE(g, 1) = mean_S log(1 + e^g) + mean_T log(1 + e^-g)``, each domain with the same
    weight whatever the sizes of the batches. It is ``2 log 2 = 1.386`` for a discriminator that always answers one
    half, which an untrained or dead one does as well as one that faces aligned features: this value is no proof of
    alignment.

    The loss is the discriminator's own, to be minimised by it. The features are to maximise it, which a gradient
    reversal layer between the two brings about.

    Parameters
    ----------
    domain_logits_source, domain_logits_target : Tensor of shape (n,) or (n, 1), and (m,) or (m, 1)
        Scores before the sigmoid.
    weights_source, weights_target : Tensor of shape (n,) and (m,), optional
        Positive weights of the examples: each mean becomes ``sum_i w_i loss_i / sum_i w_i``, so that only their ratios
        within a domain count. By default all are equal.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If there is more than one score per example, a batch is empty, or there is not one weight per example.

    References
    ----------
    Ganin et al. (2016). Domain-adversarial training of neural networks. JMLR 17, eq. 9.

    Examples
    --------
    >>> import torch
    >>> domain_adversarial(torch.zeros(4), torch.zeros(2, 1))
    tensor(1.3863)
    """
    for name, g in (("source", domain_logits_source), ("target", domain_logits_target)):
        if not (g.ndim == 1 or (g.ndim == 2 and g.shape[1] == 1)) or len(g) == 0:
            raise ValueError(
                f"the {name} domain logits must hold one score per example, shape (n,) or (n, 1), got {tuple(g.shape)}"
            )
    source = _mean(softplus(domain_logits_source), weights_source, "source")
    return source + _mean(softplus(-domain_logits_target), weights_target, "target")


def _mean(values: Tensor, weights: Tensor | None, name: str) -> Tensor:
    if weights is None:
        return values.mean()
    if weights.shape != values.shape[:1]:
        raise ValueError(
            f"the {name} weights must hold one weight for each of {len(values)} examples, got {tuple(weights.shape)}"
        )
    return (weights * values.flatten()).sum() / weights.sum()
