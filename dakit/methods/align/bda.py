"""BDA: JDA with a balance between the domains' means and the classes' means, and weights for unequal classes.

Balanced distribution adaptation moves between two cases: where the domains are far apart as wholes, their means are to
be matched; where they overlap but the classes sit elsewhere, the class means. The weighted variant (W-BDA) gives each
class the weight of its share in its domain, for data in which class proportions differ.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: as JDA, and a balance μ that somebody can choose without target labels.

Objective: as for JDA, with C classes, e and e_c the contrasts between the means of the domains and of the classes,

    min over A of  tr(A' K M K A) + λ tr(A' A)   with  A' K H K A = I,
    M = ((1 - μ) C e e' + μ Σ_c e_c e_c') / ||.||_F,

K (n+m, n+m), A (n+m, k). W-BDA: e_c = sqrt(n_c/n) / n_c for source and -sqrt(m_c/m) / m_c for target rows of class c.
μ = 0 is TCA, μ = 1/2 is JDA.

Fails when: the pseudo-labels do; and the gain over JDA stays unproven unless μ is chosen by a rule that sees no target
labels, which the paper does not give. W-BDA estimates the target's proportions from the pseudo-labels.

Paper: Wang, Chen, Hao, Feng, Shen, Balanced Distribution Adaptation for Transfer Learning, ICDM 2017,
arXiv:1807.00516.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.align.jda import JDA, class_contrasts
from dakit.methods.align.tca import mean_contrast
from dakit.methods.parameters import check_real

__all__ = ["BDA"]


class BDA(JDA):
    """Balanced distribution adaptation, and its weighted variant.

    Parameters
    ----------
    mu : float in [0, 1]
        μ: 0 matches the means of the domains alone (TCA), 1 those of the classes alone, 1/2 both (JDA). The first
        iteration, which has no pseudo-labels, matches the domains whatever μ is.
    weighted : bool
        W-BDA.
    iterations, n_components, lambda_, kernel, gamma, normalise_rows, unit_eigenvectors, estimator
        As for :class:`JDA`.

    Attributes
    ----------
    pseudo_labels_, changes_, n_components_, components_, classes_, estimator_
        As for :class:`JDA`.

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.0, 5.0]])
    >>> bda = BDA(mu=0.9, n_components=1, normalise_rows=False)
    >>> bda.fit_domains(xs, [0, 0, 1, 1], xs + [3.0, 0.5]).pseudo_labels_.tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        *,
        mu: float = 0.5,
        weighted: bool = False,
        iterations: int = 10,
        n_components: int = 100,
        lambda_: float = 1.0,
        kernel: str = "linear",
        gamma: float | None = None,
        normalise_rows: bool = True,
        unit_eigenvectors: bool = True,
        estimator: Any = None,
    ) -> None:
        super().__init__(
            iterations=iterations,
            n_components=n_components,
            lambda_=lambda_,
            kernel=kernel,
            gamma=gamma,
            normalise_rows=normalise_rows,
            unit_eigenvectors=unit_eigenvectors,
            estimator=estimator,
        )
        self.mu = mu
        self.weighted = weighted

    def _align(self, xs, ys, xt):
        check_real("mu", self.mu, 0, 1)
        return super()._align(xs, ys, xt)

    def _contrasts(self, ys, pseudo):
        e = np.sqrt((1 - self.mu) * len(self.classes_)) * mean_contrast(len(ys), len(pseudo))
        by_class = np.sqrt(self.mu) * class_contrasts(ys, pseudo, weighted=self.weighted)
        return np.column_stack([e, by_class])
