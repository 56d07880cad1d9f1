import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power as power

from dakit.methods import CORAL
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import classes, gains, gaussians


def test_by_hand():
    # Variances 4 and 1 in the source, 1 and 9 in the target, no covariance; 1 is added to each.
    xs = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, -1.0], [0.0, 1.0]]) * np.sqrt(3 / 2)
    xt = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -3.0], [0.0, 3.0]]) * np.sqrt(3 / 2)
    a = CORAL(reg=1.0).fit_domains(xs, [0, 1, 0, 1], xt).map_
    np.testing.assert_allclose(a, np.diag([np.sqrt(2 / 5), np.sqrt(10 / 2)]), atol=1e-12)


@pytest.mark.parametrize("reg", [1e-3, 1.0])
def test_against_scipys_matrix_powers(reg):
    xs, ys, xt = gaussians()
    cs, ct = (np.cov(x.T) + reg * np.eye(4) for x in (xs, xt))
    coral = CORAL(reg=reg).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(coral.map_, power(cs, -0.5) @ power(ct, 0.5), rtol=1e-9)
    np.testing.assert_allclose(coral.transform(xs, np.ones(60)), xs @ coral.map_)
    np.testing.assert_array_equal(coral.transform(xt), xt)


def test_source_gets_the_targets_covariance():
    xs, ys, xt = gaussians()
    z = CORAL(reg=1e-10).fit_domains(xs, ys, xt).transform(xs, np.ones(60))
    np.testing.assert_allclose(np.cov(z.T), np.cov(xt.T), rtol=1e-7)


def test_equal_covariances_and_strong_regularisation_leave_the_source_alone():
    xs, ys, xt = gaussians()
    np.testing.assert_allclose(CORAL().fit_domains(xs, ys, xs + 3).map_, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(CORAL(reg=1e8).fit_domains(xs, ys, xt).map_, np.eye(4), atol=1e-6)


def test_rotation_of_the_space_and_order_of_rows():
    xs, ys, xt = gaussians()
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    a = CORAL().fit_domains(xs, ys, xt)
    b = CORAL().fit_domains(xs @ q, ys, xt @ q)
    np.testing.assert_allclose(q.T @ a.map_ @ q, b.map_, atol=1e-10)
    np.testing.assert_array_equal(a.predict(xt), b.predict(xt @ q))
    c = CORAL().fit_domains(xs[::-1], ys[::-1], xt[::-1])
    np.testing.assert_allclose(a.map_, c.map_, atol=1e-12)


def test_more_features_than_rows():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(6, 20)), rng.normal(size=(5, 20))
    assert np.isfinite(CORAL(reg=1e-6).fit_domains(xs, np.arange(6) % 2, xt).map_).all()


def stretched(seed):
    """The wide direction of the source, which does not tell the classes, is the narrow one of the target."""
    rng = np.random.default_rng(seed)
    xs, ys = classes(200, [[-1, 0], [1, 0]], rng, noise=0.5)
    xt, yt = classes(200, [[-1, 0], [1, 0]], rng, noise=0.5)
    mix = np.array([[1.0, 2.0], [2.0, 6.0]])
    return xs, ys, xt @ mix, yt


def test_it_helps_where_covariances_differ_over_seeds():
    gain = gains(CORAL(reg=1e-3), stretched)
    assert (gain > 0).all()


@pytest.mark.parametrize(
    ("reg", "error"), [(0.0, ValueError), (-1, ValueError), (np.inf, ValueError), ("a", TypeError)]
)
def test_bad_regularisation(reg, error):
    xs, ys, xt = gaussians()
    with pytest.raises(error, match="reg must be a number of more than 0"):
        CORAL(reg=reg).fit_domains(xs, ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(CORAL(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
