"""One test for each feature, and corrections for their number."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2_contingency, false_discovery_control, fisher_exact, ks_2samp

from dakit.metrics import feature_tests
from dakit.metrics.per_feature import _of_counts, adjust
from tests.metrics.nulls import assert_never_too_small, assert_uniform


def samples(n=80, m=60, d=4, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


# -- by hand and against scipy ------------------------------------------------------------------------------


def test_corrections_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert adjust(p, None).tolist() == p.tolist()
    np.testing.assert_allclose(adjust(p, "bonferroni"), [0.04, 0.16, 0.12, 0.02])
    np.testing.assert_allclose(adjust(p, "holm"), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(adjust(p, "bh"), [0.02, 0.04, 0.04, 0.02])
    np.testing.assert_allclose(adjust(p, "by"), false_discovery_control(p, method="by"))


def test_holm_rejects_what_its_steps_reject():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.random(8) ** 3
        order, steps = np.argsort(p), []
        for k, j in enumerate(order):
            if p[j] > 0.05 / (8 - k):
                break
            steps.append(j)
        assert set(np.flatnonzero(adjust(p, "holm") <= 0.05)) == set(steps)
        assert (adjust(p, "holm") <= adjust(p, "bonferroni")).all()


def test_numbers_against_scipy():
    xs, xt = samples(shift=0.3)
    found = feature_tests(xs, xt, correction=None)
    for j in range(4):
        expected = ks_2samp(xs[:, j], xt[:, j])
        assert (found.statistics[j], found.pvalues[j]) == (expected.statistic, expected.pvalue)
        assert found.effects[j] == expected.statistic
    assert found.tests == ("KS",) * 4 and found.kinds == ("numeric",) * 4
    assert found.pvalue == pytest.approx(min(1, 4 * found.pvalues.min()))


def test_categories_against_scipy():
    rng = np.random.default_rng(0)
    xs, xt = rng.integers(0, 5, (200, 1)), rng.integers(0, 5, (150, 1)) // 2 * 2
    table = np.array([np.bincount(x[:, 0], minlength=5) for x in (xs, xt)])
    expected = chi2_contingency(table)
    found = feature_tests(xs, xt)
    assert found.tests == ("χ²",)
    assert (found.statistics[0], found.pvalues[0]) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.effects[0] == pytest.approx(np.sqrt(expected.statistic / 350))
    two = feature_tests(xs > 1, xt > 1)
    assert two.tests == ("Fisher",)
    small = np.array([[np.sum(~(x > 1)), np.sum(x > 1)] for x in (xs, xt)])
    assert two.pvalues[0] == pytest.approx(fisher_exact(small).pvalue)


def test_random_tables_agree_with_all_tables():
    table = np.array([[3, 1, 2], [0, 4, 1]])
    name, squared, _, p = _of_counts(table, np.random.default_rng(0))
    assert name == "χ² (random tables)"
    assert squared == pytest.approx(chi2_contingency(table).statistic)
    assert p == pytest.approx(fisher_exact_of_chi2(table), abs=0.02)


def fisher_exact_of_chi2(table):
    """Sum of the probabilities of all tables with these margins whose χ² is as large."""
    from scipy.stats import multivariate_hypergeom

    rows, columns = table.sum(1), table.sum(0)
    law = multivariate_hypergeom(columns, rows[0])
    total = 0
    for a in range(columns[0] + 1):
        for b in range(columns[1] + 1):
            top = np.array([a, b, rows[0] - a - b])
            if (top >= 0).all() and (top <= columns).all():
                value = chi2_contingency(np.array([top, columns - top])).statistic
                total += law.pmf(top) * (value >= chi2_contingency(table).statistic - 1e-9)
    return total


# -- what makes them valid tests ----------------------------------------------------------------------------


def test_pvalues_when_nothing_shifted():
    rng = np.random.default_rng(0)
    single, globally = [], {c: [] for c in ("holm", "bonferroni", "bh", "by")}
    for _ in range(500):
        x = rng.normal(size=(90, 5)) + rng.normal(size=(90, 1))  # correlated
        found = feature_tests(x[:50], x[50:])
        single.append(found.pvalues[0])
        for correction, p in globally.items():
            p.append(adjust(found.pvalues, correction).min())
        assert found.pvalue == globally["holm"][-1]
    assert_uniform(single)
    for p in globally.values():
        assert_never_too_small(p)


@pytest.mark.parametrize("values", [2, 3, 8])
def test_pvalues_of_categories_when_nothing_shifted(values, monkeypatch):
    monkeypatch.setattr("dakit.metrics.per_feature.TABLES", 199)
    rng = np.random.default_rng(values)
    p = []
    for seed in range(500):
        x = rng.integers(0, values, (40, 1)) ** 2  # common and rare ones
        p.append(feature_tests(x[:15], x[15:], seed=seed).pvalue)
    assert_never_too_small(p)


def test_ties_do_not_make_it_reject():
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(500, 60, 1)) * 4)  # more than ten whole numbers
    p = [feature_tests(a[:30], a[30:], categorical=[]).pvalue for a in x]
    assert_never_too_small(p)


def test_power_rises_and_only_what_moved_is_rejected():
    found = []
    for shift in (0.0, 0.4, 0.8):
        count = 0
        for seed in range(30):
            xs, xt = samples(seed=seed)
            xt[:, 2] += shift
            rejected = feature_tests(xs, xt).rejected()
            count += "2" in rejected
        found.append(count)
    assert found == sorted(found)
    assert found[0] <= 5 and found[-1] >= 26


# -- kinds of features --------------------------------------------------------------------------------------


def test_kinds():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=60), rng.integers(0, 3, 60), np.full(60, 0.1), np.arange(60)], axis=1)
    found = feature_tests(x[::2], x[1::2], names=["number", "few", "constant", "many"])
    assert found.kinds == ("numeric", "categorical", "constant", "numeric")
    assert found.pvalues[2] == 1 and found.adjusted[2] == 1
    chosen = feature_tests(x[::2], x[1::2], names=["number", "few", "constant", "many"], categorical=["many"])
    assert chosen.kinds == ("numeric", "numeric", "constant", "categorical")
    table = found.table()
    assert table["name"].tolist() == ["number", "few", "constant", "many"]
    assert {"kind", "test", "statistic", "effect", "pvalue", "adjusted"} <= set(table.columns)


def test_constants_that_differ_are_seen():
    found = feature_tests(np.zeros((20, 1)), np.ones((20, 1)))
    assert found.pvalue < 1e-9 and found.effects[0] == pytest.approx(1)
    assert feature_tests(np.zeros((20, 1)), np.zeros((20, 1))).pvalue == 1


def test_tables_with_text():
    a = pd.DataFrame({"age": np.arange(30.0), "town": ["x", "y", "z"] * 10})
    b = pd.DataFrame({"age": np.arange(30.0) + 1, "town": ["x"] * 30})
    found = feature_tests(a, b)
    assert found.names == ("age", "town")
    assert found.kinds == ("numeric", "categorical")
    assert found.rejected() == ("town",)
    with pytest.raises(ValueError, match="'town' holds missing values"):
        feature_tests(a, b.assign(town=[None, *["x"] * 29]))
    with pytest.raises(ValueError, match="same columns"):
        feature_tests(a, b.rename(columns={"age": "years"}))


def test_pvalues_are_never_zero():
    xs, xt = samples(3000, 3000, 1, 50)
    found = feature_tests(xs, xt)
    assert found.pvalue > 0 and found.pvalues[0] > 0
    many = np.repeat(np.arange(6), 2000)[:, None]
    assert feature_tests(many[:6000], many[6000:]).pvalue > 0


def test_tensors_and_images():
    xs, xt = samples(shift=0.5)
    expected = feature_tests(xs, xt)
    tensors = feature_tests(torch.from_numpy(xs).view(80, 2, 2), torch.from_numpy(xt).view(60, 2, 2))
    np.testing.assert_array_equal(tensors.pvalues, expected.pvalues)


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    xs, xt = samples()
    with pytest.raises(
        ValueError, match="correction must be 'holm', 'bonferroni', 'bh', 'by' or None, got 'x'"
    ):
        feature_tests(xs, xt, correction="x")
    with pytest.raises(ValueError, match="one name per feature, 4, got 1"):
        feature_tests(xs, xt, names=["a"])
    with pytest.raises(ValueError, match="categorical names column 7"):
        feature_tests(xs, xt, categorical=[7])
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
        feature_tests(xs, xt).rejected(0)
    with pytest.raises(ValueError, match="NaN"):
        feature_tests(xs * np.nan, xt)
    with pytest.raises(TypeError, match="numeric"):
        feature_tests([["a"], ["b"]], [["a"], ["b"]])
