"""Distances that look at labels: class by class, and of the joint distribution of features and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.distance_tests import distance_named
from dakit.metrics.kernels import MULTIPLES, median_heuristic
from dakit.metrics.mmd import mmd
from dakit.metrics.samples import as_pair, as_tensor
from dakit.metrics.shared_classes import shared_codes

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ClassDistances:
    """How far each class moved.

    Attributes
    ----------
    classes : array of shape (k,)
        The classes that were compared, sorted.
    values : array of shape (k,), float64
        Distance between the source and the target examples of the class.
    source_share, target_share : arrays of shape (k,)
        Share of the class among all examples of its domain.
    left_out : dict
        The classes that could not be compared, and why.
    """

    classes: np.ndarray
    values: np.ndarray
    source_share: np.ndarray
    target_share: np.ndarray
    left_out: dict[Any, str]

    @property
    def mean(self) -> float:
        """The plain mean over the classes that were compared."""
        return float(self.values.mean())

    def table(self) -> DataFrame:
        """One row a class, the class that moved most first."""
        from pandas import DataFrame

        columns = {
            "class": self.classes,
            "distance": self.values,
            "source_share": self.source_share,
            "target_share": self.target_share,
        }
        return DataFrame(columns).sort_values("distance", ascending=False, ignore_index=True)


def class_distances(
    xs: Any,
    ys: Any,
    xt: Any,
    yt: Any,
    *,
    distance: str | Callable[[Any, Any], float] = "mmd",
    **options: Any,
) -> ClassDistances:
    """Distance between source and target of each class: which classes moved, and how common they are.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    ys, yt : array or tensor of shape (n,) and (m,)
        Labels, any names, the same in both domains.
    distance : str or callable
        A name that :func:`permutation_test` knows, or a function of two samples. For "mmd" all classes share the
        bandwidths that suit the whole pooled sample, so that their values can be compared.
    **options
        Of the distance.

    Returns
    -------
    ClassDistances
        Classes with fewer than 2 examples on one side are left out of the numbers and listed in ``left_out``.

    Raises
    ------
    TypeError, ValueError
        As for the distance; if labels are missing, named differently, or no class has 2 examples in both domains.

    Examples
    --------
    >>> xs, ys = [[0.0], [1.0], [0.0], [1.0]], ["a", "a", "b", "b"]
    >>> xt, yt = [[0.0], [1.0], [5.0], [6.0], [9.0]], ["a", "a", "b", "b", "c"]
    >>> found = class_distances(xs, ys, xt, yt, distance="wasserstein")
    >>> found.values.tolist(), found.left_out
    ([0.0, 5.0], {'c': '0 source and 1 target examples'})
    """
    xs, xt = as_pair(xs, xt)
    classes, cs, ct = shared_codes(ys, yt, len(xs), len(xt))
    if distance == "mmd":
        options = _shared_bandwidths(xs, xt, options)
    function = distance if callable(distance) else distance_named(distance)
    kept, values, left_out = [], [], {}
    for code, name in enumerate(classes.tolist()):
        source, target = np.flatnonzero(cs == code), np.flatnonzero(ct == code)
        if min(len(source), len(target)) < 2:
            left_out[name] = f"{len(source)} source and {len(target)} target examples"
            continue
        kept.append(code)
        values.append(float(function(xs[source], xt[target], **options)))
    if not kept:
        raise ValueError("no class has at least 2 examples in each of the samples")
    return ClassDistances(
        classes[kept],
        np.array(values),
        np.array([(cs == code).mean() for code in kept]),
        np.array([(ct == code).mean() for code in kept]),
        left_out,
    )


def conditional_mmd(
    xs: Any,
    ys: Any,
    xt: Any,
    yt: Any,
    *,
    bandwidths: float | Sequence[float] | None = None,
    kernel: str = "rbf",
    unbiased: bool = True,
) -> float:
    """Mean over the classes of MMD² between the source and the target examples of a class.

    Blind to a change of the class proportions, which moves the plain :func:`mmd`.

    Parameters
    ----------
    xs, ys, xt, yt
        As for :func:`class_distances`.
    bandwidths, kernel, unbiased
        As for :func:`mmd`; by default the bandwidths suit the pooled sample of all classes.

    Returns
    -------
    float
        Classes with fewer than 2 examples on one side do not count; :func:`class_distances` lists them.

    Raises
    ------
    TypeError, ValueError
        As for :func:`class_distances`.

    References
    ----------
    Zhu et al. (2021). Deep subdomain adaptation network for image classification. IEEE TNNLS 32.

    Examples
    --------
    >>> xs, ys, yt = [[0.0], [1.0], [5.0], [6.0]], [0, 0, 1, 1], [1, 1, 0, 0]
    >>> conditional_mmd(xs, ys, [[5.0], [6.0], [0.0], [1.0]], yt, unbiased=False)
    0.0
    """
    options = {"kernel": kernel, "bandwidths": bandwidths, "unbiased": unbiased}
    return class_distances(xs, ys, xt, yt, distance="mmd", **options).mean


def joint_mmd(
    xs: Any,
    ys: Any,
    xt: Any,
    yt: Any,
    *,
    bandwidths: float | Sequence[float] | None = None,
    unbiased: bool = True,
) -> float:
    """MMD² between the joint distributions of features and labels, under the product of two kernels.

    ``k((x, y), (x', y')) = k_x(x, x') k_y(y, y')`` with ``k_x`` the Gaussian kernels of :func:`mmd`. For labels
    ``k_y`` is 1 for equal classes and 0 otherwise; for probabilities it is a Gaussian kernel too, as in joint
    adaptation networks.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    ys, yt : array or tensor of shape (n,) and (m,), or (n, k) and (m, k)
        Labels with the same names in both domains, or class probabilities in [0, 1].
    bandwidths : float or sequence of float, optional
        Of ``k_x``, scales of the squared distance; by default the median heuristic times ¼, ½, 1, 2, 4. The kernel of
        probabilities always takes its own median heuristic.
    unbiased : bool
        As for :func:`mmd`.

    Returns
    -------
    float
        MMD². It sees a change of the features, of the labels, and of what links them.

    Raises
    ------
    TypeError, ValueError
        As for :func:`mmd`; if labels are missing, named differently, or have no class in common.

    References
    ----------
    Long, Zhu, Wang, Jordan (2017). Deep transfer learning with joint adaptation networks. ICML.

    Examples
    --------
    >>> x = [[0.0], [0.0], [4.0], [4.0]]
    >>> joint_mmd(x, [0, 0, 1, 1], x, [0, 0, 1, 1], unbiased=False)
    0.0
    >>> joint_mmd(x, [0, 0, 1, 1], x, [1, 1, 0, 0], unbiased=False) > 0.4  # the rule is turned round
    True
    """
    xs, xt = as_pair(xs, xt)
    xs, xt = xs.double(), xt.double()
    of_features = [
        float(b) for b in np.ravel(_shared_bandwidths(xs, xt, {"bandwidths": bandwidths})["bandwidths"])
    ]
    if not of_features or not all(0 < b < np.inf for b in of_features):
        raise ValueError(
            f"bandwidths must be positive numbers, scales of the squared distance, got {bandwidths!r}"
        )
    if np.ndim(ys) == 2 and np.ndim(yt) == 2:
        ps, pt = (_probabilities(p, x, name) for p, x, name in ((ys, xs, "ys"), (yt, xt, "yt")))
        if ps.shape[1] != pt.shape[1]:
            raise ValueError(
                f"both samples must have the same classes, got {ps.shape[1]} columns in ys and {pt.shape[1]} in yt"
            )
        alike = bool((torch.cat([ps, pt]) == ps[0]).all())
        of_labels = None if alike else [median_heuristic(ps, pt) * r for r in MULTIPLES]
    else:
        _, cs, ct = shared_codes(ys, yt, len(xs), len(xt))
        ps, pt = (torch.from_numpy(c).to(xs.device, torch.float64)[:, None] for c in (cs, ct))
    of_classes = np.ndim(ys) != 2
    d = xs.shape[1]
    centre = torch.cat([xs, xt]).mean(0)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        features = _gauss(a[:, :d], b[:, :d], of_features)
        if of_classes:
            return features * (a[:, d:] == b[:, d:].T)
        return features if of_labels is None else features * _gauss(a[:, d:], b[:, d:], of_labels)

    return mmd(
        torch.cat([xs - centre, ps], 1), torch.cat([xt - centre, pt], 1), kernel=kernel, unbiased=unbiased
    )


def _gauss(a: Tensor, b: Tensor, bandwidths: list[float]) -> Tensor:
    squared = torch.addmm(a.square().sum(1)[:, None] + b.square().sum(1), a, b.T, alpha=-2).clamp_(min=0)
    return sum(torch.exp(squared / -w) for w in bandwidths) / len(bandwidths)


def _probabilities(p: Any, x: Tensor, name: str) -> Tensor:
    p = as_tensor(p, name).to(x.device, torch.float64)
    if len(p) != len(x):
        raise ValueError(f"{name} must hold one row per example, shape ({len(x)}, k), got {tuple(p.shape)}")
    if not bool(((p >= -1e-6) & (p <= 1 + 1e-6)).all()):
        raise ValueError(f"{name} must hold probabilities in [0, 1]; take the softmax of logits first")
    return p


def _shared_bandwidths(xs: Tensor, xt: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    if options.get("bandwidths") is None and options.get("kernel", "rbf") in ("rbf", "laplace", "imq"):
        scale = median_heuristic(xs, xt)
        return {**options, "bandwidths": [scale * r for r in MULTIPLES]}
    return options
