"""CORAL: recolour the source so that it has the target's covariance.

The source is whitened with its own covariance and coloured with the target's; a classifier is then trained on the
moved source rows and applied to target rows as they are. No labels of either domain are used for the map.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift that is a linear distortion around a common mean: standardise each domain first, as the paper
does, and the means are equal.

Objective: with C_S and C_T the (d, d) covariances of the source (n, d) and the target (m, d), and ε I added to both,

    min over A of  ||A' C_S A - C_T||²_F,   solved by  A = C_S^(-1/2) C_T^(1/2),   x -> x A for source rows.

Fails when: the domains differ in mean (left alone) or beyond second moments, when class proportions differ, and when
ε is tiny beside noise directions of a source with n < d: whitening then blows them up. The paper takes ε = 1 for
standardised features.

Paper: Sun, Feng, Saenko, Return of Frustratingly Easy Domain Adaptation, AAAI 2016, arXiv:1511.05547.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.parameters import check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["CORAL"]


class CORAL(DomainAdapter):
    """Correlation alignment of the inputs.

    Parameters
    ----------
    reg : float > 0
        ε, added to the diagonals of both covariances; 1 in the paper.
    estimator : classifier, optional
        Trained on the recoloured source. By default 1-nearest-neighbour.

    Attributes
    ----------
    map_ : array of shape (d, d)
        A.
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs, xt = np.array([[-1.0], [0.0], [1.0]]), np.array([[-3.0], [0.0], [3.0]])
    >>> adapted = CORAL(reg=1e-9).fit_domains(xs, [0, 0, 1], xt)
    >>> adapted.map_.round(3).tolist()  # standard deviations 1 and 3
    [[3.0]]
    >>> adapted.predict(xt).tolist()
    [0, 0, 1]
    """

    def __init__(self, *, reg: float = 1.0, estimator: Any = None) -> None:
        self.reg = reg
        self.estimator = estimator

    def _align(self, xs, ys, xt):
        reg = check_real("reg", self.reg, open_low=True)
        self.map_ = _power(np.cov(xs, rowvar=False), -0.5, reg) @ _power(np.cov(xt, rowvar=False), 0.5, reg)
        return xs @ self.map_, xt

    def _map(self, x, source):
        return x @ self.map_ if source else x


def _power(covariance: np.ndarray, exponent: float, reg: float) -> np.ndarray:
    """(covariance + reg I)^exponent, a symmetric (d, d) matrix."""
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    # A covariance has no negative eigenvalues; rounding may leave some.
    return (vectors * (values.clip(0) + reg) ** exponent) @ vectors.T
