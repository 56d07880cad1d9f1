"""A bound on the error in a new domain, term by term."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dakit.metrics.classifier_test import split
from dakit.metrics.divergence import h_divergence
from dakit.metrics.samples import as_labels, as_pair
from dakit.metrics.shared_classes import shared_codes


@dataclass(frozen=True)
class Bound:
    """The terms of ``target error <= source error + divergence/2 + lambda*``, and what they add up to.

    Attributes
    ----------
    source_error : float in [0, 1]
        Error of the hypothesis on held-out source points.
    divergence : float in [0, 2]
        Estimate of d_HΔH; its half enters the bound.
    lambda_ : float in [0, 2], or None
        Source plus target error of one hypothesis trained on both domains; None without target labels.
    complexity : float or None
        What the finite samples add to the divergence at confidence ``1 - delta``; None where no VC dimension was given.
    target_error : float in [0, 1], or None
        The true one, for comparison; None without target labels.
    divergence_by : str
        How the divergence was estimated.
    """

    source_error: float
    divergence: float
    lambda_: float | None
    complexity: float | None
    target_error: float | None
    divergence_by: str

    @property
    def known(self) -> float:
        """The sum of the terms that are known. Without ``lambda_`` it bounds nothing."""
        return self.source_error + self.divergence / 2 + (self.lambda_ or 0.0) + (self.complexity or 0.0)

    @property
    def value(self) -> float | None:
        """The sum of all terms; None where ``lambda_`` is unknown."""
        return None if self.lambda_ is None else self.known

    def __repr__(self) -> str:
        lines = [
            f"source error        {self.source_error:.3f}",
            f"+ 1/2 divergence    {self.divergence / 2:.3f}   (proxy: {self.divergence_by})",
            "+ lambda*           "
            + ("unknown without target labels" if self.lambda_ is None else f"{self.lambda_:.3f}"),
        ]
        if self.complexity is not None:
            lines.append(f"+ sample complexity {self.complexity:.3f}")
        total = "unknown; the known terms are " if self.value is None else ""
        lines.append(f"= bound             {total}{self.known:.3f}")
        lines.append(
            "target error        " + ("unknown" if self.target_error is None else f"{self.target_error:.3f}")
        )
        return "\n".join(lines)


def ben_david_bound(
    xs: Any,
    ys: Any,
    xt: Any,
    yt: Any = None,
    *,
    probe: str = "linear",
    hypothesis: Callable[[np.ndarray], Any] | None = None,
    vc_dimension: int | None = None,
    delta: float = 0.05,
    test_share: float = 0.5,
    seed: int = 0,
) -> Bound:
    """The bound of Ben-David et al. (2010) on the target error, assembled from estimates of its terms.

    ``e_T(h) <= e_S(h) + d_HΔH / 2 + lambda*`` with ``lambda* = min_h e_S(h) + e_T(h)``; with ``vc_dimension`` also
    ``4 sqrt((2 V log(2m) + log(2/delta)) / m)``, the term of theorem 2 for m unlabelled points of each domain.

    .. warning::
       **The terms are estimates, so the sum is a reading of the bound and no guarantee.** ``d_HΔH`` is a supremum over
       pairs of hypotheses; what is reported is the divergence that one trained probe of that class reaches on held-out
       points, a value that tends to lie below it. ``lambda_`` is the error of one trained hypothesis, which tends to
       lie above the minimum.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; usually the features of a model.
    ys : array or tensor of shape (n,)
        Source labels.
    yt : array or tensor of shape (m,), optional
        Target labels, for ``lambda_`` and ``target_error`` alone.
    probe : {"linear", "mlp"}
        The class H: logistic regression, or networks with one hidden layer. For "linear", HΔH is represented by
        products of two affine functions, whose sign says where two half-spaces disagree; for "mlp" by networks of 64
        units.
    hypothesis : callable, optional
        ``h`` itself: maps an array (k, d) to k labels. By default the probe, trained on the training part of source.
    vc_dimension : int, optional
        V, of H: d + 1 for half-spaces. The term exceeds 1, and says nothing, below tens of thousands of points.
    delta : float in (0, 1)
        The complexity term holds with probability ``1 - delta``.
    test_share : float in (0, 1)
        Share of each domain on which the errors are measured.
    seed : int
        Of the split and the training.

    Returns
    -------
    Bound

    Raises
    ------
    TypeError, ValueError
        As for every metric; if labels are missing, of one class, or the domains have no class in common.

    References
    ----------
    Ben-David, Blitzer, Crammer, Kulesza, Pereira, Vaughan (2010). A theory of learning from different domains. Mach.
    Learn. 79, theorem 2.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    >>> x[:, 0] += 6 * y
    >>> found = ben_david_bound(x[:200], y[:200], x[200:], y[200:])
    >>> found.target_error <= found.value
    True
    """
    xs, xt = as_pair(xs, xt, at_least=4)
    if probe not in ("linear", "mlp"):
        raise ValueError(f"probe must be 'linear' or 'mlp', got {probe!r}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {delta}")
    if vc_dimension is not None and vc_dimension < 1:
        raise ValueError(f"vc_dimension must be at least 1, got {vc_dimension}")
    n, m = len(xs), len(xt)
    if yt is None:
        cs, ct = as_labels(ys, n, "ys"), None
        classes = np.unique(np.asarray(ys.detach().cpu() if isinstance(ys, Tensor) else ys))
    else:
        classes, cs, ct = shared_codes(ys, yt, n, m)
    (train_s, test_s), (train_t, test_t) = (split(k, test_share, seed) for k in (n, m))
    pair = "linear_pairs" if probe == "linear" else "mlp"
    divergence = h_divergence(xs, xt, hypotheses=pair, test_share=test_share, seed=seed)
    a, b = (x.double().cpu().numpy() for x in (xs, xt))
    if len(np.unique(cs[train_s])) < 2:
        raise ValueError("the training part of source holds a single class; a hypothesis needs two")
    if hypothesis is None:
        h = _trained(a[train_s], cs[train_s], probe, seed)
    else:

        def h(x: np.ndarray) -> np.ndarray:
            told = np.asarray(hypothesis(x))
            if told.shape != (len(x),):
                raise ValueError(
                    f"hypothesis must return one label per row, shape ({len(x)},), got {told.shape}"
                )
            known = np.isin(told, classes)
            return np.where(known, np.searchsorted(classes, np.where(known, told, classes[0])), -1)

    source_error = _error(h, a[test_s], cs[test_s])
    target_error = lambda_ = None
    if ct is not None:
        target_error = _error(h, b, ct)
        # The smaller domain is repeated, so that both have the same weight.
        size = max(len(train_s), len(train_t))
        rows_s, rows_t = np.resize(train_s, size), np.resize(train_t, size)
        joint = _trained(
            np.concatenate([a[rows_s], b[rows_t]]), np.concatenate([cs[rows_s], ct[rows_t]]), probe, seed
        )
        lambda_ = _error(joint, a[test_s], cs[test_s]) + _error(joint, b[test_t], ct[test_t])
    complexity = None
    if vc_dimension is not None:
        points = min(n, m)
        complexity = 4 * math.sqrt((2 * vc_dimension * math.log(2 * points) + math.log(2 / delta)) / points)
    by = "products of two affine functions" if probe == "linear" else "a network of 64 units"
    return Bound(source_error, divergence, lambda_, complexity, target_error, by + ", held-out points")


def _trained(x: np.ndarray, y: np.ndarray, probe: str, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A classifier of scikit-learn on standardised features."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    centre, scale = x.mean(0), x.std(0)
    scale[scale == 0] = 1
    model = (
        LogisticRegression(max_iter=1000)
        if probe == "linear"
        else MLPClassifier((64,), max_iter=100, random_state=seed)
    )
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((x - centre) / scale, y)
    return lambda rows: model.predict((rows - centre) / scale)


def _error(h: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    return float((h(x) != y).mean())
