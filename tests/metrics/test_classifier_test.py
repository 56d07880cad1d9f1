"""The classifier two-sample test."""

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact, norm
from sklearn.metrics import roc_auc_score

from dakit.metrics import c2st
from dakit.metrics.classifier_test import _auc, split
from tests.metrics.nulls import assert_never_too_small, assert_uniform


def samples(n=40, m=40, d=2, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def test_against_sklearn_and_scipy():
    from sklearn.linear_model import LogisticRegression

    xs, xt = samples(60, 60, shift=0.7)
    (a, ta), (b, tb) = split(60, 0.5, 3), split(60, 0.5, 3)
    train, y = np.r_[xs[a], xt[b]], np.r_[np.zeros(30), np.ones(30)]
    centre, scale = train.mean(0), train.std(0, ddof=1)
    model = LogisticRegression().fit((train - centre) / scale, y)
    scores = model.decision_function((np.r_[xs[ta], xt[tb]] - centre) / scale)
    result = c2st(xs, xt, seed=3)
    called = scores > 0
    assert result.statistic == pytest.approx((called == y).mean())
    assert result.auc == pytest.approx(roc_auc_score(y, scores))
    table = [
        [np.sum(called & (y == 1)), np.sum(called & (y == 0))],
        [np.sum(~called & (y == 1)), np.sum(~called & (y == 0))],
    ]
    assert result.pvalue == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert result.tested == (30, 30)


def test_exactly_what_permuting_the_held_out_labels_gives():
    rng = np.random.default_rng(0)
    called, y = rng.random(40) < 0.4, np.arange(40) < 25
    hits = (called & y).sum()
    draws = np.array([(called & rng.permutation(y)).sum() for _ in range(20_000)])
    from scipy.stats import hypergeom

    assert hypergeom.sf(hits - 1, 40, called.sum(), 25) == pytest.approx((draws >= hits).mean(), abs=0.015)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (60, 25)])
def test_pvalues_are_never_too_small_when_nothing_shifted(n, m):
    results = [c2st(*samples(n, m, 2, 0.0, seed), seed=seed) for seed in range(500)]
    assert_never_too_small([r.pvalue for r in results])
    assert_uniform([r.auc_pvalue for r in results])
    assert np.mean([r.statistic for r in results]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("probe", ["mlp", "forest"])
def test_other_probes_see_what_a_line_cannot(probe):
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(200, 2))
    xt = rng.normal(size=(200, 2)) * [3, 0.3]  # the same means
    assert c2st(xs, xt).pvalue > 0.01
    assert c2st(xs, xt, probe=probe).pvalue < 1e-6


def test_power_rises_with_severity_to_the_accuracy_of_the_best_classifier():
    def mean(shift):
        return np.mean([c2st(*samples(150, 150, 2, shift, s), seed=s).statistic for s in range(20)])

    found = [mean(shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(norm.cdf(np.sqrt(2)), abs=0.02)  # half of |δ| = 2 sqrt 2


def test_never_zero_and_ties():
    far = c2st(*samples(3000, 3000, 1, 100))
    assert far.pvalue > 0 and far.auc == 1 and far.auc_pvalue > 0
    constant = c2st(np.ones((8, 2)), np.ones((9, 2)))
    assert (constant.statistic, constant.pvalue, constant.auc, constant.auc_pvalue) == (0.5, 1, 0.5, 1)
    assert _auc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))[0] == 7 / 8


def test_invariances():
    xs, xt = samples(50, 30, shift=0.6)
    a = c2st(xs, xt, seed=4)
    again = c2st(xs, xt, seed=4)
    assert (again.pvalue, again.auc) == (a.pvalue, a.auc) != (c2st(xs, xt).pvalue, c2st(xs, xt).auc)
    assert c2st(1e6 * xs + 9, 1e6 * xt + 9, seed=4).statistic == a.statistic
    tensors = (torch.from_numpy(x) for x in (xs, xt))
    assert c2st(*tensors, seed=4).auc == a.auc


def test_bad_input():
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="probe must be 'linear', 'mlp' or 'forest', got 'svm'"):
        c2st(xs, xt, probe="svm")
    with pytest.raises(ValueError, match="test_share must lie strictly between 0 and 1, got 1"):
        c2st(xs, xt, test_share=1)
    with pytest.raises(ValueError, match="NaN"):
        c2st(xs, xt * np.nan)
    with pytest.raises(ValueError, match="at least 2 examples"):
        c2st(xs[:1], xt)
