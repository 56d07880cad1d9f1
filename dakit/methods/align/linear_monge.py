"""Linear Monge map: move the source to the target's mean and covariance by the cheapest affine map.

For Gaussian domains the map of optimal transport is affine and has a closed form. It is used for other distributions as
the transport of their first two moments. Where CORAL takes one of the many maps that match the covariances, this is the
one that moves the rows least.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation). Labels do not enter the
map.

Assumes: an affine shift whose matrix is symmetric and positive definite (stretching, no turning), and equal class
proportions.

Objective: with means μ_S, μ_T and (d, d) covariances C_S, C_T,

    min over maps T of  E |x - T(x)|²  with T(source) ~ target,
    T(x) = μ_T + (x - μ_S) A,   A = C_S^(-1/2) (C_S^(1/2) C_T C_S^(1/2))^(1/2) C_S^(-1/2).

Fails when: the true map turns the data, when class proportions differ, and when d is large beside the number of rows:
raise ``reg`` then.

Paper: Flamary, Lounici, Ferrari, Concentration bounds for linear Monge mapping estimation and optimal transport domain
adaptation, 2019, arXiv:1905.10155; Knott, Smith, On the optimal mapping of distributions, JOTA 43 (1984).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from dakit.methods.parameters import check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["LinearMonge"]


class LinearMonge(DomainAdapter):
    """Optimal transport between Gaussians with the moments of the domains (by POT).

    Parameters
    ----------
    reg : float > 0
        Added to the diagonals of both covariances, as a share of the mean variance of a feature in both domains.
    estimator : classifier, optional
        Trained on the moved source. By default logistic regression.

    Attributes
    ----------
    map_ : array of shape (d, d)
        A, symmetric.
    bias_ : array of shape (d,)
        Source rows become ``x @ map_ + bias_``.
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs, xt = np.array([[-1.0], [0.0], [1.0]]), np.array([[4.0], [7.0], [10.0]])
    >>> adapted = LinearMonge().fit_domains(xs, [0, 0, 1], xt)
    >>> adapted.map_.round(3).tolist(), adapted.bias_.round(3).tolist()
    ([[3.0]], [7.0])
    """

    def __init__(self, *, reg: float = 1e-6, estimator: Any = None) -> None:
        self.reg = reg
        self.estimator = estimator

    def _default_classifier(self):
        return LogisticRegression(max_iter=1000)

    def _align(self, xs, ys, xt):
        from ot.gaussian import empirical_bures_wasserstein_mapping

        reg = check_real("reg", self.reg, open_low=True)
        variance = (xs.var(0).mean() + xt.var(0).mean()) / 2
        if variance <= 1e-24 * max(np.abs(xs).max(), np.abs(xt).max()) ** 2:
            raise ValueError("all rows of each domain are equal: there is no spread to match")
        # In units of the common spread, so that reg means the same in every unit.
        unit = np.sqrt(variance)
        means = xs.mean(0), xt.mean(0)
        self.map_, _ = empirical_bures_wasserstein_mapping(
            (xs - means[0]) / unit, (xt - means[1]) / unit, reg=reg
        )
        self.bias_ = means[1] - means[0] @ self.map_
        return self._map(xs, True), xt

    def _map(self, x, source):
        return x @ self.map_ + self.bias_ if source else x
