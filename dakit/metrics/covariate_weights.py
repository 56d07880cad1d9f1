"""Covariate shift: weights that make a source sample look like the target.

Setting: p(y | x) is the same in both domains and p(x) moves. The weight of a source example is the ratio of the
densities, ``w(x) = p_t(x) / p_s(x)``; a weighted mean over the source then estimates the mean over the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from dakit.metrics.samples import as_pair
from dakit.metrics.weighted_risk import effective_sample_size

Method = Literal["logistic", "mlp", "kmm", "kliep", "ulsif", "rulsif"]


@dataclass(frozen=True)
class Weights:
    """One weight for each source example, and what the weighted sample is worth.

    Attributes
    ----------
    values : array of shape (n,)
        Not negative, mean 1.
    effective_sample_size : float in [1, n]
        ``(sum w)² / sum w²``.
    max_share : float in (0, 1]
        Share of the largest weight in the sum; near 1, one example speaks for the target.
    method : str
    moved : float in [0, 1]
        What :func:`clip_weights` did: total variation distance between the weighted samples before and after. The mean
        of a function with values in [0, 1], an error rate for instance, is off by at most this; 0 without clipping.
    raw_mean : float
        Mean before scaling to 1. A ratio of densities has mean 1 over the source; a value far away says that the
        estimate is bad or the samples do not overlap.
    chosen : dict
        Bandwidth and penalty as chosen, iterations, and the like.
    """

    values: np.ndarray = field(repr=False)
    effective_sample_size: float
    max_share: float
    method: str
    moved: float = 0.0
    raw_mean: float = 1.0
    chosen: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, values: np.ndarray, method: str, **chosen: float) -> Weights:
        """Weights of any scale, made to have mean 1."""
        raw = float(values.mean())
        if raw <= 0:
            raise ValueError(
                f"{method} gives every source example weight 0: the target lies outside the source, and no weights can "
                "make up for that"
            )
        values = values / raw
        return cls(
            values,
            effective_sample_size(values),
            float(values.max() / values.sum()),
            method,
            raw_mean=raw,
            chosen=chosen,
        )


def covariate_weights(
    xs: Any, xt: Any, *, method: Method = "logistic", clip: float | None = None, **options: Any
) -> Weights:
    """Weights ``p_t(x) / p_s(x)`` of the source examples, by the method of your choice.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    method : {"logistic", "mlp", "kmm", "kliep", "ulsif", "rulsif"}
        A classifier that tells the domains apart (:func:`classifier_weights`), kernel mean matching
        (:func:`kmm_weights`), or a direct fit of the ratio (:func:`kliep_weights`, :func:`ulsif_weights`; ``rulsif`` is
        the latter with ``alpha=0.1``). The kernel methods compare distances in all features alike: standardise the
        features first, and mind that in many dimensions no method sees more than a few directions of the shift.
    clip : float in (0, 1), optional
        Quantile of the weights at which larger ones are cut, as :func:`clip_weights` explains.
    **options
        Handed to the method's own function.

    Returns
    -------
    Weights
        With ``values`` of mean 1. All 1 where all points of both samples are equal.

    Raises
    ------
    TypeError
        If a sample is not numeric, or the method's function knows no such option.
    ValueError
        If a sample has fewer than 2 examples, NaN or infinite values, or other features than its partner; if
        ``method`` is unknown or an option out of range.

    References
    ----------
    Sugiyama, Suzuki, Kanamori (2012). Density ratio estimation in machine learning. Cambridge University Press.
    Shimodaira (2000). Improving predictive inference under covariate shift. J. Statistical Planning and Inference 90.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 1))
    >>> xs, xt = x[:200], x[200:] + 1
    >>> w = covariate_weights(xs, xt)
    >>> bool(abs(xs[:, 0] @ w.values / 200 - xt.mean()) < abs(xs.mean() - xt.mean()) / 2)
    True
    """
    from dakit.metrics.density_ratio import kliep_weights, ulsif_weights
    from dakit.metrics.domain_odds import classifier_weights
    from dakit.metrics.kernel_mean_matching import kmm_weights

    makers: dict[str, Callable[..., Weights]] = {
        "logistic": classifier_weights,
        "mlp": classifier_weights,
        "kmm": kmm_weights,
        "kliep": kliep_weights,
        "ulsif": ulsif_weights,
        "rulsif": ulsif_weights,
    }
    if method not in makers:
        raise ValueError(f"method must be one of {', '.join(map(repr, makers))}, got {method!r}")
    if clip is not None and not 0 < clip < 1:
        raise ValueError(f"clip must be a quantile strictly between 0 and 1, got {clip}")
    if method in ("logistic", "mlp"):
        options.setdefault("probe", method)
    if method == "rulsif":
        options.setdefault("alpha", 0.1)
    weights = makers[method](xs, xt, **options)
    return weights if clip is None else clip_weights(weights, quantile=clip)


def clip_weights(weights: Any, *, quantile: float | None = None, largest: float | None = None) -> Weights:
    """Cut large weights, and say what that may cost.

    Clipping trades variance for bias: fewer examples dominate, but where the target lies mostly in regions in which
    the source is thin, the weighted sample stays nearer to the source.

    Parameters
    ----------
    weights : Weights, or array of shape (n,)
        Arrays are scaled to mean 1 first.
    quantile : float in (0, 1)
        Weights above this quantile of the weights are cut there.
    largest : float
        Weights above this multiple of the mean weight are cut there. Give one of the two.

    Returns
    -------
    Weights
        With mean 1 again, which may lift the largest a little above the cut, and with ``moved``: the most that the
        clipping can add to the error of a weighted mean of values in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If weights are negative, all 0 or not finite, or not exactly one of the two cuts is given and in range.

    References
    ----------
    Ionides (2008). Truncated importance sampling. J. Computational and Graphical Statistics 17.

    Examples
    --------
    >>> clipped = clip_weights([0.5, 0.5, 0.5, 2.5], largest=1.5)
    >>> clipped.values, round(clipped.moved, 4)
    (array([0.66666667, 0.66666667, 0.66666667, 2.        ]), 0.125)
    """
    if not isinstance(weights, Weights):
        effective_sample_size(weights)  # complains about what is not a weight
        weights = Weights.of(np.asarray(torch.as_tensor(weights).cpu(), dtype=np.float64), "given")
    if (quantile is None) == (largest is None):
        raise ValueError("give exactly one of quantile and largest")
    if quantile is not None:
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must lie strictly between 0 and 1, got {quantile}")
        cut = float(np.quantile(weights.values, quantile))
    else:
        if not 0 < largest < np.inf:
            raise ValueError(f"largest must be a positive number, got {largest}")
        cut = float(largest)
    if cut <= 0:
        raise ValueError(f"the {quantile} quantile of the weights is 0, so clipping there leaves nothing")
    clipped = Weights.of(np.minimum(weights.values, cut), f"{weights.method}, clipped")
    moved = weights.moved + float(np.abs(clipped.values - weights.values).mean()) / 2
    return replace(clipped, moved=moved, raw_mean=weights.raw_mean, chosen={**weights.chosen, "cut": cut})


def checked_pair(xs: Any, xt: Any) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Both samples in float64, and whether all their points are equal, so that every weight is 1."""
    xs, xt = (x.double() for x in as_pair(xs, xt))
    return xs, xt, bool((xs == xs[0]).all() and (xt == xs[0]).all())
