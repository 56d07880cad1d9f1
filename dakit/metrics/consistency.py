"""Are classes consistent, are styles mixed? One reading of two labelled domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dakit.metrics.samples import as_labels, as_pair
from dakit.metrics.scatter import label_names, residuals_and_means, scatter_by_class, trace_ratio
from dakit.metrics.silhouettes import mean_silhouette


@dataclass(frozen=True)
class Consistency:
    """How consistent classes are over two domains, and how well the domains mix.

    Attributes
    ----------
    class_silhouette : float in [-1, 1], or None
        Silhouette of the classes over both domains together; None where there is one class only. High: examples of a
        class lie together whatever their domain.
    domain_silhouette : float in [-1, 1]
        Silhouette of the two domains. Near 0: mixed. Near 1: apart.
    domain_silhouette_within : float in [-1, 1], or None
        The same inside each class that both domains have, averaged over these classes; None where they share none. It
        is not fooled by domains that differ in their classes alone.
    within : dict
        Mean squared distance to the class mean, of each class over both domains.
    ratio : float, at least 0, or None
        Scatter between classes over scatter within; infinite where classes are points, None where there is one class.
    shared : int
        Number of classes that both domains have.
    """

    class_silhouette: float | None
    domain_silhouette: float
    domain_silhouette_within: float | None
    within: dict
    ratio: float | None
    shared: int

    def __str__(self) -> str:
        def show(value: float | None) -> str:
            return "undefined" if value is None else f"{value:.3f}"

        return (
            f"class silhouette {show(self.class_silhouette)}, domain silhouette {show(self.domain_silhouette)} "
            f"(inside classes {show(self.domain_silhouette_within)}), between/within {show(self.ratio)}, "
            f"{self.shared} shared classes"
        )


def consistency(xs: Any, ys: Any, xt: Any, yt: Any, *, max_points: int = 2000, seed: int = 0) -> Consistency:
    """Consistency of classes over two domains and mixing of their styles, in one reading.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, d) and (m, d)
        Features of source and target.
    ys, yt : array or tensor of shape (n,) and (m,)
        Labels in common names; ``yt`` may be pseudo-labels. Classes of one domain alone are allowed.
    max_points, seed
        As for :func:`~dakit.metrics.silhouette_by_class`.

    Returns
    -------
    Consistency

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, labels are missing, or all points are equal.

    Examples
    --------
    >>> consistency([[0.0], [4.0]], ["a", "b"], [[0.0], [4.0]], ["a", "b"]).class_silhouette
    1.0
    """
    xs, xt = as_pair(xs, xt)
    as_labels(ys, len(xs), "ys")
    as_labels(yt, len(xt), "yt")
    names = np.concatenate([label_names(ys), label_names(yt)])
    x = torch.cat([xs, xt])
    y = as_labels(names, len(x))
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    several = y.max() > 0
    shared = np.intersect1d(y[: len(xs)], y[len(xs) :])
    inside = [
        mean_silhouette(
            x[torch.from_numpy(y == c).to(x.device)], domain[y == c], max_points=max_points, seed=seed
        )
        for c in shared
        if (y == c).sum() > 2
    ]
    residuals, means = residuals_and_means(x.double(), y)
    return Consistency(
        class_silhouette=mean_silhouette(x, y, max_points=max_points, seed=seed)
        if several and y.max() + 1 < len(y)
        else None,
        domain_silhouette=mean_silhouette(x, domain, max_points=max_points, seed=seed),
        domain_silhouette_within=float(np.mean(inside)) if inside else None,
        within=scatter_by_class(x, names),
        ratio=trace_ratio(residuals, means) if several else None,
        shared=len(shared),
    )
