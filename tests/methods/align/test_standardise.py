import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dakit.methods import Standardise
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import classes, gains, gaussians


def test_by_hand():
    model = Standardise().fit_domains([[0.0], [2.0]], [0, 1], [[10.0], [14.0]])
    assert model.transform([[16.0]]).tolist() == [[2.0]]  # (16 - 12) / 2
    assert model.transform([[3.0]], [1]).tolist() == [[2.0]]  # (3 - 1) / 1
    sample = Standardise(ddof=1).fit_domains([[0.0], [2.0]], [0, 1], [[10.0], [14.0]])
    np.testing.assert_allclose(sample.transform([[16.0]]), 4 / np.sqrt(8))


def test_against_scikit_learns_scaler():
    xs, ys, xt = gaussians()
    model = Standardise().fit_domains(xs, ys, xt)
    np.testing.assert_allclose(model.transform(xt), StandardScaler().fit_transform(xt))
    np.testing.assert_allclose(model.transform(xs, np.ones(60)), StandardScaler().fit_transform(xs))
    assert isinstance(model.estimator_, LogisticRegression)


def test_stretching_and_moving_either_domain_changes_nothing():
    xs, ys, xt = gaussians()
    a = Standardise().fit_domains(xs, ys, xt)
    b = Standardise().fit_domains(xs * 7 - 3, ys, xt * [1, 0.1, 100, 5] + 8)
    np.testing.assert_allclose(a.transform(xt), b.transform(xt * [1, 0.1, 100, 5] + 8), atol=1e-9)


def test_without_scale_only_means_go():
    xs, ys, xt = gaussians()
    z = Standardise(scale=False).fit_domains(xs, ys, xt).transform(xt)
    np.testing.assert_allclose(z, xt - xt.mean(0))


def test_constant_features_become_zero():
    xs, ys, xt = gaussians()
    xs[:, 1], xt[:, 1] = 0.1, 1e6 / 3
    model = Standardise().fit_domains(xs, ys, xt)
    assert np.abs(model.transform(xt)[:, 1]).max() < 1e-6
    assert model.scales_["target"][1] == 1


def moved(seed):
    rng = np.random.default_rng(seed)
    xs, ys = classes(200, [[-1, 0], [1, 1]], rng, noise=0.5)
    xt, yt = classes(200, [[-1, 0], [1, 1]], rng, noise=0.5)
    return xs, ys, xt * [3, 0.5] + [4, -2], yt


def test_it_helps_where_features_are_moved_over_seeds():
    assert (gains(Standardise(), moved) > 0).all()


def test_unequal_class_proportions_are_its_weakness():
    """As the docstring says: with 90 % of the target in one class the means should differ, and are made equal."""
    rng = np.random.default_rng(0)
    xs, ys = classes(300, [[-1.0], [1.0]], rng, noise=0.3)
    yt = (np.arange(300) % 10 > 0).astype(int)
    xt = 2.0 * yt[:, None] - 1 + 0.3 * rng.normal(size=(300, 1))
    assert np.mean(LogisticRegression().fit(xs, ys).predict(xt) == yt) > 0.99
    assert np.mean(Standardise().fit_domains(xs, ys, xt).predict(xt) == yt) < 0.9


def test_bad_ddof():
    xs, ys, xt = gaussians()
    with pytest.raises(ValueError, match="ddof must be one of 0, 1, got 2"):
        Standardise(ddof=2).fit_domains(xs, ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(Standardise(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
