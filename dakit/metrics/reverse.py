"""Reverse validation: can the source be recovered from the target's pseudo-labels?"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from dakit.metrics.samples import as_labels, as_pair


def reverse_validation(zs: Any, ys: Any, zt: Any, pseudo: Any, *, estimator: Any = None) -> float:
    """Accuracy on the source of a classifier trained on the target's pseudo-labels. Higher is better.

    ``mean_i [ h(zs_i) = ys_i ]`` with ``h`` trained on ``(zt, pseudo)``. If the pseudo-labels are right and the
    features carry the classes over, the way back loses nothing. Errors that lead there and back again go unseen.

    Parameters
    ----------
    zs, zt : array or tensor of shape (n, d) and (m, d)
        Source and target, inputs or features.
    ys : array or tensor of shape (n,)
        Labels of the source, best of examples held out from training.
    pseudo : array or tensor of shape (m,)
        Predicted classes of the target, in the same names.
    estimator : object with ``fit(x, y)`` and ``predict(x)``, optional
        By default logistic regression on standardised features. To follow the papers to the letter, pass an estimator
        that adapts from the pseudo-labelled target to the source.

    Returns
    -------
    float in [0, 1]
        Where one class alone is predicted on the target, the share of that class in the source.

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, labels are missing, or no pseudo-label occurs
        among the source's labels.

    References
    ----------
    Zhong, Fan, Yang, Verscheure, Ren (2010). Cross validation framework to choose amongst models and datasets for
    transfer learning. ECML PKDD. Ganin et al. (2016). Domain-adversarial training of neural networks. JMLR 17, 5.1.2.

    Examples
    --------
    >>> reverse_validation([[0.0], [1.0]], ["a", "b"], [[0.2], [1.2], [1.3]], ["a", "b", "b"])
    1.0
    """
    zs, zt = as_pair(zs, zt, at_least=1)
    ys, pseudo = (np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y) for y in (ys, pseudo))
    as_labels(ys, len(zs), "ys")
    as_labels(pseudo, len(zt), "pseudo")
    if not np.isin(np.unique(pseudo), ys).any():
        raise ValueError(
            f"no pseudo-label occurs among the labels of the source: {np.unique(pseudo)[:5].tolist()} against "
            f"{np.unique(ys)[:5].tolist()}; both need the same names"
        )
    labels = as_labels(np.concatenate([ys, pseudo]), len(ys) + len(pseudo))
    ys, pseudo = labels[: len(ys)], labels[len(ys) :]
    if (pseudo == pseudo[0]).all():
        return float((ys == pseudo[0]).mean())
    zs, zt = zs.double().cpu().numpy(), zt.double().cpu().numpy()
    if estimator is not None:
        return float((np.asarray(estimator.fit(zt, pseudo).predict(zs)) == ys).mean())
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    centre, scale = zt.mean(0), zt.std(0)
    scale[scale <= 1e-12 * np.abs(zt).max(0)] = np.inf
    with threadpool_limits(1, user_api="blas"):
        fitted = LogisticRegression(max_iter=2000).fit((zt - centre) / scale, pseudo)
        return float((fitted.predict((zs - centre) / scale) == ys).mean())
