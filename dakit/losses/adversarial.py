"""The loss of a domain discriminator."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def domain_adversarial(domain_logits_source: Tensor, domain_logits_target: Tensor) -> Tensor:
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

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If there is more than one score per example, or a batch is empty.

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
    return softplus(domain_logits_source).mean() + softplus(-domain_logits_target).mean()
