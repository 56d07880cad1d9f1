import numpy as np
import pytest
from scipy.linalg import sqrtm

from dakit.methods import LinearMonge
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import classes, gains, gaussians


def test_by_hand_in_one_dimension():
    # Standard deviations 1 and 3, means 0 and 7.
    model = LinearMonge(reg=1e-12).fit_domains([[-1.0], [1.0]], [0, 1], [[4.0], [10.0]])
    np.testing.assert_allclose(model.transform([[2.0]], [1]), [[13.0]])


def test_against_the_formula():
    xs, ys, xt = gaussians()
    cs, ct = np.cov(xs.T, bias=True), np.cov(xt.T, bias=True)
    root = sqrtm(cs).real
    inverse = np.linalg.inv(root)
    a = inverse @ sqrtm(root @ ct @ root).real @ inverse
    model = LinearMonge(reg=1e-13).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(model.map_, a, rtol=1e-6)
    np.testing.assert_allclose(model.bias_, xt.mean(0) - xs.mean(0) @ a, rtol=1e-6)
    np.testing.assert_array_equal(model.transform(xt), xt)


def test_source_gets_the_targets_mean_and_covariance_by_a_symmetric_map():
    xs, ys, xt = gaussians()
    model = LinearMonge(reg=1e-13).fit_domains(xs, ys, xt)
    z = model.transform(xs, np.ones(60))
    np.testing.assert_allclose(z.mean(0), xt.mean(0))
    np.testing.assert_allclose(np.cov(z.T), np.cov(xt.T) * (60 / 59) / (50 / 49), rtol=1e-6)
    np.testing.assert_allclose(model.map_, model.map_.T, atol=1e-9)
    assert np.linalg.eigvalsh(model.map_).min() > 0


def test_a_domain_moved_is_moved_back_and_an_equal_one_left():
    xs, ys, _ = gaussians()
    model = LinearMonge().fit_domains(xs, ys, xs + 3)
    np.testing.assert_allclose(model.map_, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(model.bias_, 3, atol=1e-5)


def test_it_moves_rows_less_than_coral_does():
    from dakit.methods import CORAL

    xs, ys, xt = gaussians()
    xs, xt = xs - xs.mean(0), xt - xt.mean(0)
    monge = LinearMonge(reg=1e-12).fit_domains(xs, ys, xt).map_
    coral = CORAL(reg=1e-12).fit_domains(xs, ys, xt).map_
    assert np.square(xs @ monge - xs).sum() < np.square(xs @ coral - xs).sum()


def test_units_and_order_of_rows():
    xs, ys, xt = gaussians()
    a = LinearMonge(reg=0.1).fit_domains(xs, ys, xt)
    for unit in (1e-20, 1e20):
        b = LinearMonge(reg=0.1).fit_domains(xs * unit, ys, xt * unit)
        np.testing.assert_allclose(a.map_, b.map_, rtol=1e-9)
    np.testing.assert_allclose(a.map_, LinearMonge(reg=0.1).fit_domains(xs[::-1], ys, xt).map_, rtol=1e-9)


def affine(seed):
    rng = np.random.default_rng(seed)
    xs, ys = classes(200, [[-1, 0], [1, 1]], rng, noise=0.5)
    xt, yt = classes(200, [[-1, 0], [1, 1]], rng, noise=0.5)
    return xs, ys, xt @ np.array([[2.0, 1.0], [1.0, 1.5]]) + [3, -3], yt


def test_it_helps_where_the_shift_is_affine_over_seeds():
    assert (gains(LinearMonge(), affine) > 0).all()


def test_no_spread_is_an_error():
    with pytest.raises(ValueError, match="no spread to match"):
        LinearMonge().fit_domains(np.ones((4, 2)), [0, 1, 0, 1], np.ones((4, 2)))
    with pytest.raises(ValueError, match="reg must be a number of more than 0"):
        LinearMonge(reg=0).fit_domains(*gaussians())


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(LinearMonge(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
