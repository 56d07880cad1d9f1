"""TCA: a few directions in which the means of both domains meet and the variance stays.

Transfer component analysis looks for a linear map of the (kernel) features under which the maximum mean discrepancy of
source and target is small while the data keep their spread. A classifier of the mapped source is then applied to the
mapped target.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation). Labels do not enter the
map.

Assumes: covariate shift, and directions that carry the classes and do not carry the domain.

Objective: K the (n+m, n+m) kernel matrix of the rows of both domains, e = (1/n, ..., -1/m, ...), M = e e' / ||e e'||_F,
H = I - 1/(n+m) the centring matrix and A of shape (n+m, k),

    min over A of  tr(A' K M K A) + λ tr(A' A)   with  A' K H K A = I,

solved by the k leading eigenvectors of (K M K + λ I)^(-1) K H K. Rows become K A.

Fails when: the domains differ in more than a mean, when class proportions differ (equal means are then wrong), and when
the direction between the domains also separates the classes.

Paper: Pan, Tsang, Kwok, Yang, Domain Adaptation via Transfer Component Analysis, IEEE Transactions on Neural Networks
22 (2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.metrics.pairwise import rbf_kernel

from dakit.methods.parameters import check_choice, check_int, check_real
from dakit.methods.shallow import DomainAdapter
from dakit.metrics.kernels import median_heuristic

__all__ = ["TCA"]


class TCA(DomainAdapter):
    """Transfer component analysis.

    The defaults are those of the code behind the published tables of JDA, in which TCA is the first iteration: rows of
    unit length before and after the map, eigenvectors of unit length, and M of Frobenius norm 1, which sets the scale
    of λ. None of these is in the TCA paper, and the accuracy depends on them.

    Parameters
    ----------
    n_components : int
        k; fewer where the kernel matrix has a lower rank.
    lambda_ : float > 0
        λ, the weight of the regulariser. As it grows only the variance counts: PCA, for rows whose joint mean is 0. The
        other terms grow with the number of rows: raise λ where chance differences of the means choose the directions.
    kernel : {"linear", "rbf"}
        ``x.y`` or ``exp(-gamma |x - y|²)``.
    gamma : float > 0, optional
        Of the RBF kernel. By default the inverse of the median squared distance between rows.
    normalise_rows : bool
        Divide every row by its length, before the map and after it. In few dimensions the length says much: use False
        there.
    unit_eigenvectors : bool
        Columns of A of length 1. With False they are scaled so that A' K H K A = I, as the formula has it: all
        components then have the same variance.
    estimator : classifier, optional
        Trained on the mapped source. By default 1-nearest-neighbour.

    Attributes
    ----------
    n_components_ : int
    components_ : array of shape (d, k) for the linear kernel, (n+m, k) otherwise
        X' A, or A itself: rows of one domain or the other, or kernel values, times this are the new features.
    classes_, estimator_

    Notes
    -----
    The linear kernel never builds K: the problem is solved in the span of the rows, of min(n+m, d) dimensions. The RBF
    kernel does, and needs its (n+m)² numbers a few times over.

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array(
    ...     [[0.0, 0.0], [0.0, 1.0], [0.0, 4.0], [0.0, 5.0]]
    ... )  # the classes differ in the second feature
    >>> xt = xs + [3.0, 0.0]  # the domains in the first
    >>> tca = TCA(n_components=1, normalise_rows=False, lambda_=1e-3).fit_domains(xs, [0, 0, 1, 1], xt)
    >>> tca.predict(xt).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        *,
        n_components: int = 30,
        lambda_: float = 1.0,
        kernel: str = "linear",
        gamma: float | None = None,
        normalise_rows: bool = True,
        unit_eigenvectors: bool = True,
        estimator: Any = None,
    ) -> None:
        self.n_components = n_components
        self.lambda_ = lambda_
        self.kernel = kernel
        self.gamma = gamma
        self.normalise_rows = normalise_rows
        self.unit_eigenvectors = unit_eigenvectors
        self.estimator = estimator

    def _align(self, xs, ys, xt):
        self._span(xs, xt)
        zs, zt = self._embed(mean_contrast(len(xs), len(xt))[:, None])
        del self._problem
        return zs, zt

    def _map(self, x, source):
        x = unit_rows(x) if self.normalise_rows else x
        if self.kernel == "rbf":
            x = rbf_kernel(x, self.rows_, gamma=self.gamma_)
        z = x @ self.components_
        return unit_rows(z) if self.normalise_rows else z

    def _span(self, xs: np.ndarray, xt: np.ndarray) -> None:
        """Coordinates F of the rows in the span of the kernel, K = F F', in which A = U c and K A = F (s c).

        U (n+m, r) and s² are the eigenvectors and eigenvalues of K, and F = U s. What is orthogonal to U has no part
        in the solution.
        """
        check_int("n_components", self.n_components, 1)
        check_real("lambda_", self.lambda_, open_low=True)
        check_choice("kernel", self.kernel, ("linear", "rbf"))
        if self.gamma is not None:
            check_real("gamma", self.gamma, open_low=True)
        x = np.concatenate([xs, xt])
        x = unit_rows(x) if self.normalise_rows else x
        if (x == x[0]).all() or np.ptp(x, axis=0).max() <= 1e-12 * np.abs(x).max():
            hint = "; with normalise_rows=True only their direction counts" if self.normalise_rows else ""
            raise ValueError(f"all rows are equal, n_features={x.shape[1]}: there is nothing to map{hint}")
        if self.kernel == "rbf":
            self.rows_ = x
            self.gamma_ = (
                1 / median_heuristic(xs=x[: len(xs)], xt=x[len(xs) :]) if self.gamma is None else self.gamma
            )
            x = rbf_kernel(x, gamma=self.gamma_)
            values, basis = positive_part(x)  # K = U s² U'
            basis = basis / np.sqrt(values)
        elif x.shape[0] <= x.shape[1]:
            values, basis = positive_part(x @ x.T)
            basis = x.T @ (basis / np.sqrt(values))
        else:
            values, basis = positive_part(x.T @ x)
        scale, coordinates = np.sqrt(values), x @ basis
        centred = coordinates - coordinates.mean(0)
        # Divided by s_1² on either side, as all that follows: the eigenvectors are the same, and nothing overflows.
        spread = (centred / scale[0]) * (scale / scale[0])
        self._problem = len(xs), basis, coordinates, scale, spread.T @ spread

    def _embed(self, contrasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of both domains, mapped by the A for M = E E' / ||E E'||_F with E of shape (n+m, columns)."""
        n, basis, coordinates, scale, spread = self._problem
        s = scale / scale[0]
        g = s[:, None] * ((coordinates / scale[0]).T @ contrasts)
        penalty = g @ g.T / np.linalg.norm(contrasts.T @ contrasts)
        # λ / s_1⁴; smaller ones are lost in rounding, larger ones outweigh all else anyway.
        ridge = min(max(self.lambda_**0.25 / scale[0], 5e-4), 1e60) ** 4
        penalty.flat[:: len(penalty) + 1] += ridge
        r = len(s)
        k = min(self.n_components, r)
        values, c = eigh(spread, penalty, subset_by_index=[r - k, r - 1])
        kept = values > 1e-12 * values[-1]  # centring takes a dimension: a direction without variance is none
        values, c = values[kept][::-1], c[:, kept][:, ::-1]
        c *= np.where(c[np.abs(c).argmax(0), np.arange(c.shape[1])] < 0, -1, 1)
        self.n_components_ = c.shape[1]
        if self.unit_eigenvectors:
            weights = scale[:, None] * (c / np.linalg.norm(c, axis=0))
        else:
            c /= np.sqrt(np.einsum("ij,ik,kj->j", c, spread, c, optimize=True))
            weights = s[:, None] * (c / scale[0])  # s c / s_1²
        self.components_ = basis @ weights
        z = coordinates @ weights
        z = unit_rows(z) if self.normalise_rows else z
        return z[:n], z[n:]


def mean_contrast(n: int, m: int) -> np.ndarray:
    """e of shape (n+m,): 1/n for source rows and -1/m for target rows, so that e'X is the difference of the means."""
    return np.repeat([1 / n, -1 / m], [n, m])


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)


def positive_part(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues above the rounding error, largest first, and their eigenvectors."""
    values, vectors = np.linalg.eigh(matrix)
    keep = values > 1e-12 * values[-1]
    return values[keep][::-1], vectors[:, keep][:, ::-1]
