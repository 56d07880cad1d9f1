"""SA: turn the principal directions of the source into those of the target.

Subspace alignment describes each domain by its own k principal directions and multiplies the source's coordinates by
the matrix that best aligns the two bases, which has a closed form.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation). Labels do not enter the
map.

Assumes: both domains vary along subspaces that are rotations of one another, with the classes in the leading
directions.

Objective: P_S and P_T the (d, k) orthonormal principal directions of the source (n, d) and the target (m, d),

    min over M of  ||P_S M - P_T||²_F,   solved by  M = P_S' P_T  (k, k);

source rows become (x - mean_S) P_S M, target rows (x - mean_T) P_T.

Fails when: leading directions carry nuisance and not classes, when the order of variances differs between the domains
(a basis is aligned, the spread along it is not), and when k is so large that directions are noise: choose k with a
look at how stable the directions are under resampling.

Paper: Fernando, Habrard, Sebban, Tuytelaars, Unsupervised Visual Domain Adaptation Using Subspace Alignment, ICCV 2013,
arXiv:1409.5241.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.parameters import check_int
from dakit.methods.shallow import DomainAdapter

__all__ = ["SubspaceAlignment", "principal_directions"]


class SubspaceAlignment(DomainAdapter):
    """Subspace alignment.

    Parameters
    ----------
    n_components : int
        k; fewer where a domain spans fewer dimensions. The paper chooses it by a bound and cross-validation of the
        source.
    estimator : classifier, optional
        Trained on the aligned source. By default 1-nearest-neighbour.

    Attributes
    ----------
    n_components_ : int
    alignment_ : array of shape (k, k)
        M.
    source_directions_, target_directions_ : array of shape (d, k)
    source_mean_, target_mean_ : array of shape (d,)
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array([[-2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    >>> turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    >>> adapted = SubspaceAlignment(n_components=1).fit_domains(xs, [0, 0, 1, 1], xs @ turned)
    >>> adapted.predict(xs @ turned).tolist()
    [0, 0, 1, 1]
    >>> adapted.alignment_.round(3).tolist()  # cosine of the angle between the two directions
    [[0.6]]
    """

    def __init__(self, *, n_components: int = 20, estimator: Any = None) -> None:
        self.n_components = n_components
        self.estimator = estimator

    def _align(self, xs, ys, xt):
        k = check_int("n_components", self.n_components, 1)
        self.source_mean_, self.target_mean_ = xs.mean(0), xt.mean(0)
        ps, pt = principal_directions(xs, k, "source"), principal_directions(xt, k, "target")
        self.n_components_ = k = min(ps.shape[1], pt.shape[1])
        self.source_directions_, self.target_directions_ = ps[:, :k], pt[:, :k]
        self.alignment_ = self.source_directions_.T @ self.target_directions_
        return self._map(xs, True), self._map(xt, False)

    def _map(self, x, source):
        if source:
            return (x - self.source_mean_) @ self.source_directions_ @ self.alignment_
        return (x - self.target_mean_) @ self.target_directions_


def principal_directions(x: np.ndarray, k: int, name: str) -> np.ndarray:
    """The k leading principal directions of x (n, d), fewer where its rank is lower: orthonormal columns."""
    centred = x - x.mean(0)
    top = np.abs(centred).max()
    if top <= 1e-12 * np.abs(x).max():
        raise ValueError(f"all {name} rows are equal: they have no principal directions")
    _, lengths, directions = np.linalg.svd(centred / top, full_matrices=False)
    p = directions[: min(k, int((lengths > 1e-10 * lengths[0]).sum()))].T
    # A direction and its opposite are equally good; fixed here so that results do not depend on the library.
    return p * np.where(p[np.abs(p).argmax(0), np.arange(p.shape[1])] < 0, -1, 1)
