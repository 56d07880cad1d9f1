"""Classifier two-sample test: can a fresh classifier tell the samples apart on points that it has not seen?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.a_distance import PROBES, domain_scores
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_pair


@dataclass(frozen=True)
class ClassifierTest(TwoSampleTest):
    """A :class:`TwoSampleTest` whose ``statistic`` is the held-out accuracy, with what belongs to it.

    Attributes
    ----------
    auc : float in [0, 1]
        Area under the ROC curve on the held-out points: the chance that a target point gets a higher score than a
        source point, one half for ties.
    auc_pvalue : float in (0, 1]
        One-sided p-value of the Mann-Whitney test of the scores. Choose one of the two p-values before looking.
    tested : (int, int)
        Numbers of held-out source and target points.
    """

    auc: float = 0.5
    auc_pvalue: float = 1.0
    tested: tuple[int, int] = (0, 0)


def c2st(
    xs: Any, xt: Any, *, probe: str = "linear", test_share: float = 0.5, seed: int = 0
) -> ClassifierTest:
    """Classifier two-sample test with an exact p-value.

    A classifier learns on one part of both samples to tell source from target, and is judged on the other part, where
    the statistic is the mean of its accuracies on source and on target.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    probe : {"linear", "mlp", "forest"}
        Logistic regression; a network with one hidden layer of 64 units; a random forest of 200 trees (scikit-learn).
        They weigh the two domains equally whatever n and m.
    test_share : float in (0, 1)
        Share of each sample that is held out.
    seed : int
        Which share, and the randomness of the probe. Where n = m, rows i of both samples fall into the same part.

    Returns
    -------
    ClassifierTest
        ``statistic`` in [0, 1], about one half where nothing differs; ``pvalue``; ``auc`` and its ``auc_pvalue``.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample is too small for both parts, has NaN or infinite values, or other features than its partner; if an
        option is out of range.

    Notes
    -----
    The p-value is exact and needs no retraining: once the classifier is fixed, and if the samples have one
    distribution, every assignment of the held-out labels to its predictions is equally likely. The number of targets
    recognised is then hypergeometric (Fisher's exact test, one-sided). Under cross-validation this would not hold, for
    each fold's classifier has learned from the labels of the others.

    References
    ----------
    Lopez-Paz, Oquab (2017). Revisiting classifier two-sample tests. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(80, 2))
    >>> c2st(x[:40], x[40:] + 9).statistic
    1.0
    """
    from scipy.stats import hypergeom

    xs, xt = as_pair(xs, xt)
    probes = {**PROBES, "forest": _forest}
    if probe not in probes:
        raise ValueError(f"probe must be 'linear', 'mlp' or 'forest', got {probe!r}")
    (train_s, test_s), (train_t, test_t) = (split(len(x), test_share, seed) for x in (xs, xt))
    x = torch.cat([xs[train_s], xt[train_t]])
    y = torch.cat([torch.zeros(len(train_s)), torch.ones(len(train_t))]).to(x.device)
    test = torch.cat([xs[test_s], xt[test_t]])
    scores = domain_scores(x, y, test, probes[probe], seed).double().cpu().numpy()
    of_source, of_target = scores[: len(test_s)], scores[len(test_s) :]
    hits = int((of_target > 0).sum())
    called_target = int((scores > 0).sum())
    accuracy = ((of_source <= 0).mean() + (of_target > 0).mean()) / 2
    pvalue = float(hypergeom.sf(hits - 1, len(scores), called_target, len(of_target)))
    auc, auc_pvalue = _auc(of_source, of_target)
    return ClassifierTest(
        float(accuracy),
        min(1.0, max(pvalue, math.ulp(0.0))),
        method=f"exact test of the held-out accuracy of the probe {probe!r} (hypergeometric)",
        auc=auc,
        auc_pvalue=auc_pvalue,
        tested=(len(of_source), len(of_target)),
    )


def split(n: int, test_share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to test on, in random order; at least one of each."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie strictly between 0 and 1, got {test_share}")
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    tested = min(n - 1, max(1, round(test_share * n)))
    return order[tested:], order[:tested]


def _auc(of_source: np.ndarray, of_target: np.ndarray) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    scores = np.concatenate([of_source, of_target])
    if (scores == scores[0]).all():
        return 0.5, 1.0
    found = mannwhitneyu(of_target, of_source, alternative="greater")
    auc = float(found.statistic) / (len(of_source) * len(of_target))
    return auc, min(1.0, max(float(found.pvalue), math.ulp(0.0)))


def _forest(x: Tensor, y: Tensor, weight: Tensor, test: Tensor, seed: int) -> Tensor:
    """Excess of a random forest's probability of target over one half."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=seed)
    forest.fit(x.cpu().numpy(), y.cpu().numpy(), sample_weight=weight.cpu().numpy())
    return torch.from_numpy(forest.predict_proba(test.cpu().numpy())[:, 1] - 0.5).to(test.device)
