"""GFK: compare rows along the whole path of subspaces from source to target.

The principal subspaces of the two domains are points on a Grassmann manifold. The geodesic flow kernel projects two
rows on every subspace of the shortest path between them and adds up the inner products, which has a closed form: what
both domains share counts in full, what only one of them shows counts in part.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation). Labels do not enter the
kernel.

Assumes: a change of domain that is gradual in the space of subspaces, with the classes in the leading directions.
Standardise the features first, as the paper does.

Objective: P_S and P_T the (d, k) principal directions, Φ(t) the geodesic with Φ(0) = P_S and Φ(1) = P_T, (d, k),

    G = ∫ Φ(t) Φ(t)' dt  over t in [0, 1],   distance² of two rows  (x - y)' G (x - y).

With θ_i the principal angles, a_i the principal vectors of the source and b_i = a_i cos θ_i + n_i sin θ_i those of the
target, Φ has the columns a_i cos(t θ_i) + n_i sin(t θ_i), and G is a sum of k blocks in the planes (a_i, n_i).

Fails when: the two subspaces are nearly orthogonal (the path is then arbitrary), and where domains differ inside a
shared subspace, in means or spreads, which G does not see.

Paper: Gong, Shi, Sha, Grauman, Geodesic Flow Kernel for Unsupervised Domain Adaptation, CVPR 2012.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.align.sa import principal_directions
from dakit.methods.parameters import check_int
from dakit.methods.shallow import DomainAdapter

__all__ = ["GFK", "geodesic_flow_factor"]


class GFK(DomainAdapter):
    """Geodesic flow kernel.

    Rows are mapped to x L with G = L L', so that distances and inner products of mapped rows are those of the kernel
    and any classifier can follow.

    Parameters
    ----------
    n_components : int
        k, the dimension of both subspaces; fewer where a domain spans fewer. The paper takes 10 or 20, by a measure of
        how well the subspaces agree.
    estimator : classifier, optional
        Trained on the mapped source. By default 1-nearest-neighbour.

    Attributes
    ----------
    n_components_ : int
    factor_ : array of shape (d, 2 k)
        L.
    angles_ : array of shape (k,)
        Principal angles θ between the subspaces, in radians, smallest first.
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array([[-2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    >>> turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    >>> adapted = GFK(n_components=1).fit_domains(xs, [0, 0, 1, 1], xs @ turned)
    >>> round(float(np.cos(adapted.angles_[0])), 3)
    0.6
    >>> adapted.predict(xs @ turned).tolist()
    [0, 0, 1, 1]
    """

    def __init__(self, *, n_components: int = 20, estimator: Any = None) -> None:
        self.n_components = n_components
        self.estimator = estimator

    def _align(self, xs, ys, xt):
        k = check_int("n_components", self.n_components, 1)
        ps, pt = principal_directions(xs, k, "source"), principal_directions(xt, k, "target")
        self.n_components_ = k = min(ps.shape[1], pt.shape[1])
        self.factor_, self.angles_ = geodesic_flow_factor(ps[:, :k], pt[:, :k])
        return self._map(xs, True), self._map(xt, False)

    def _map(self, x, source):
        return x @ self.factor_


def geodesic_flow_factor(ps: np.ndarray, pt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L (d, 2k) with G = L L', and the k principal angles, of two (d, k) orthonormal bases."""
    left, cosine, right = np.linalg.svd(ps.T @ pt)
    a, b = ps @ left, pt @ right.T
    n = b - a * cosine  # sin θ_i n_i; its length tells small angles better than the cosine does
    sine = np.linalg.norm(n, axis=0)
    n = n / np.where(sine > 1e-14, sine, 1)
    theta = np.arctan2(sine, cosine)
    # The integrals over t of cos², cos sin and sin² of t θ; np.sinc(x) is sin(πx) / (πx).
    cos2 = (1 + np.sinc(2 * theta / np.pi)) / 2
    sin2 = (1 - np.sinc(2 * theta / np.pi)) / 2
    both = np.sin(theta) * np.sinc(theta / np.pi) / 2
    blocks = np.stack([np.stack([cos2, both], -1), np.stack([both, sin2], -1)], -1)
    values, vectors = np.linalg.eigh(blocks)
    roots = (vectors * np.sqrt(values.clip(0))[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    planes = np.stack([a, n])  # (2, d, k)
    factor = np.einsum("pdk,kpq->dkq", planes, roots)
    return factor.reshape(len(ps), -1), theta
