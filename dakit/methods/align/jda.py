"""JDA: TCA in which the classes of both domains meet one by one, too.

Joint distribution adaptation adds to the distance between the domains' means the distances between the means of each
class. Target labels are unknown: a classifier of the mapped source gives pseudo-labels, with which the map is solved
again, and so on.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: marginal and class-conditional distributions both differ, in ways that a linear map of the (kernel) features
can bring together, and pseudo-labels that are mostly right.

Objective: as for TCA, with K the (n+m, n+m) kernel matrix, A of shape (n+m, k) and H the centring matrix,

    min over A of  tr(A' K M K A) + λ tr(A' A)   with  A' K H K A = I,
    M = (C e e' + Σ_c e_c e_c') / ||.||_F,

C classes, e = 1/n for source and -1/m for target rows, e_c = 1/n_c for source rows of class c, -1/m_c for target rows
with pseudo-label c, 0 elsewhere. The first iteration knows no pseudo-labels and is TCA.

Fails when: the first pseudo-labels are wrong in a systematic way, which the iterations then confirm, when class
proportions differ much (the marginal term fights the conditional ones: see BDA), and when a class is missing.

Paper: Long, Wang, Ding, Sun, Yu, Transfer Feature Learning with Joint Distribution Adaptation, ICCV 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.align.tca import TCA, mean_contrast
from dakit.methods.parameters import check_int

__all__ = ["JDA"]


class JDA(TCA):
    """Joint distribution adaptation.

    Parameters
    ----------
    iterations : int
        How often the map is solved; 10 in the paper. One iteration is TCA.
    n_components : int
        k; 100 in the paper.
    lambda_, kernel, gamma, normalise_rows, unit_eigenvectors, estimator
        As for :class:`TCA`. The classifier also gives the pseudo-labels.

    Attributes
    ----------
    pseudo_labels_ : array of shape (m,)
        Classes of the target rows after the last iteration.
    changes_ : list of int
        How many pseudo-labels changed in the second and every later iteration. Zeros say that it has settled.
    n_components_, components_, classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.0, 5.0]])
    >>> jda = JDA(n_components=1, normalise_rows=False, iterations=3)
    >>> jda.fit_domains(xs, ["a", "a", "b", "b"], xs + [3.0, 0.5]).pseudo_labels_.tolist()
    ['a', 'a', 'b', 'b']
    >>> jda.changes_
    [0, 0]
    """

    def __init__(
        self,
        *,
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
            n_components=n_components,
            lambda_=lambda_,
            kernel=kernel,
            gamma=gamma,
            normalise_rows=normalise_rows,
            unit_eigenvectors=unit_eigenvectors,
            estimator=estimator,
        )
        self.iterations = iterations

    def _align(self, xs, ys, xt):
        check_int("iterations", self.iterations, 1)
        self._span(xs, xt)
        self.changes_ = []
        zs, zt = self._embed(mean_contrast(len(xs), len(xt))[:, None])
        pseudo = self._classifier().fit(zs, ys).predict(zt)
        for _ in range(self.iterations - 1):
            zs, zt = self._embed(self._contrasts(ys, pseudo))
            before, pseudo = pseudo, self._classifier().fit(zs, ys).predict(zt)
            self.changes_.append(int((pseudo != before).sum()))
        del self._problem
        self.pseudo_labels_ = self.classes_[pseudo]
        return zs, zt

    def _contrasts(self, ys: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
        """E of shape (n+m, 1 + classes) with M ~ E E'."""
        e = mean_contrast(len(ys), len(pseudo))
        return np.column_stack([np.sqrt(len(self.classes_)) * e, class_contrasts(ys, pseudo)])


def class_contrasts(ys: np.ndarray, pseudo: np.ndarray, *, weighted: bool = False) -> np.ndarray:
    """The e_c of the classes that both domains have, shape (n+m, at most k).

    ``weighted`` multiplies either side by the square root of the class's share in its domain.
    """
    columns = []
    for c in np.unique(ys):
        parts = []
        for rows, sign in ((ys == c, 1), (pseudo == c, -1)):
            share = rows.mean()
            weight = np.sqrt(share) if weighted else 1.0
            parts.append(sign * weight * rows / max(rows.sum(), 1))
        # A class without pseudo-labels has no target mean: nothing to compare.
        if parts[1].any():
            columns.append(np.concatenate(parts))
    return np.column_stack(columns)
