import numpy as np
import pytest

from dakit.methods import BDA, JDA, TCA
from dakit.methods.align.jda import class_contrasts
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.subspace_reference import jda, mmd_matrix
from tests.methods.align.test_jda import ONE_DIRECTION, reversed_, turned
from tests.methods.align.toy_shifts import gains


def test_weighted_contrasts_by_hand():
    # Class 0 has 3 of 4 source rows and 1 of 4 target rows.
    e = class_contrasts(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), weighted=True)
    a, b = np.sqrt(3) / 2, 1 / 2
    expected = [[a / 3, 0], [a / 3, 0], [a / 3, 0], [0, b], [-b, 0], [0, -a / 3], [0, -a / 3], [0, -a / 3]]
    np.testing.assert_allclose(e, expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0])
def test_against_the_matrices_of_the_paper(mu, weighted):
    rng = np.random.default_rng(0)
    ys, pseudo = np.arange(11) % 3, rng.integers(0, 3, 8)
    model = BDA(mu=mu, weighted=weighted)
    model.classes_ = np.arange(3)
    e = model._contrasts(ys, pseudo)
    np.testing.assert_allclose(e @ e.T, mmd_matrix(ys, pseudo, 8, mu, weighted), atol=1e-12)
    xs, ys, xt, _ = turned(0, n=30)
    expected = jda(xs, ys, xt, components=3, lambda_=0.3, iterations=3, mu=mu, weighted=weighted)
    model = BDA(mu=mu, weighted=weighted, n_components=3, lambda_=0.3, iterations=3)
    np.testing.assert_array_equal(model.fit_domains(xs, ys, xt).pseudo_labels_, expected[-1])


def test_between_tca_and_jda():
    xs, ys, xt, _ = turned(0)
    options = {"n_components": 3, "normalise_rows": False}
    tca = TCA(**options).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(
        BDA(mu=0.0, **options).fit_domains(xs, ys, xt).components_, tca.components_, rtol=1e-8
    )
    jda_ = JDA(**options).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(
        BDA(mu=0.5, **options).fit_domains(xs, ys, xt).components_, jda_.components_, rtol=1e-8
    )
    other = BDA(mu=0.9, **options).fit_domains(xs, ys, xt)
    assert not np.allclose(other.components_, jda_.components_, rtol=1e-3)


def test_weights_matter_only_where_classes_are_unequal():
    xs, ys, _, _ = turned(0)
    xt = xs + np.array([0, 0, 0.5, 0, 0])
    options = {"mu": 1.0, "n_components": 2, "normalise_rows": False, "iterations": 2}
    plain, weighted = (BDA(weighted=w, **options).fit_domains(xs, ys, xt) for w in (False, True))
    np.testing.assert_array_equal(plain.pseudo_labels_, ys)  # so that classes are equal in the target too
    np.testing.assert_allclose(plain.components_, weighted.components_, rtol=1e-8)
    few = np.r_[0:90:3, 1:30:3, 2:30:3]
    plain, weighted = (BDA(weighted=w, **options).fit_domains(xs[few], ys[few], xt) for w in (False, True))
    assert not np.allclose(plain.components_, weighted.components_, rtol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_helps_where_classes_move_and_means_do_not_over_seeds(weighted):
    model = BDA(mu=0.7, weighted=weighted, **ONE_DIRECTION)
    assert (gains(model, reversed_) > 0).all()


@pytest.mark.parametrize("mu", [-0.1, 1.1, np.nan])
def test_bad_balance(mu):
    xs, ys, xt, _ = turned(0)
    with pytest.raises(ValueError, match="mu must be a number of at least 0 and at most 1"):
        BDA(mu=mu).fit_domains(xs, ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(BDA(iterations=3, weighted=True)))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
