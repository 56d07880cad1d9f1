from itertools import pairwise

import numpy as np
import pytest

from dakit.methods import JDA, TCA
from dakit.methods.align.jda import class_contrasts
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.subspace_reference import jda, mmd_matrix
from tests.methods.align.toy_shifts import classes, gains


def turned(seed, n=90, angle=0.5):
    """Three classes in five dimensions; each class of the target has moved in a direction of its own."""
    rng = np.random.default_rng(seed)
    centres = np.array([[2, 0, 0, 1, 0], [-1, 2, 0, 0, 1], [-1, -2, 1, 0, 0]], float)
    moves = 1.2 * rng.normal(size=(3, 5)) * [0, 0, 1, 1, 1]
    xs, ys = classes(n, centres, rng, noise=0.6)
    xt, yt = classes(n, centres + moves + [0, 0, 1, 1, 1], rng, noise=0.6)
    return xs, ys, xt, yt


def test_contrasts_by_hand():
    ys, pseudo = np.array([0, 0, 1]), np.array([1, 1, 0, 0])
    expected = [[0.5, 0], [0.5, 0], [0, 1], [0, -0.5], [0, -0.5], [-0.5, 0], [-0.5, 0]]
    np.testing.assert_allclose(class_contrasts(ys, pseudo), expected)


def test_contrasts_make_the_papers_matrix():
    rng = np.random.default_rng(0)
    ys, pseudo = np.arange(11) % 3, rng.integers(0, 3, 8)
    model = JDA()
    model.classes_ = np.arange(3)
    e = model._contrasts(ys, pseudo)
    np.testing.assert_allclose(e @ e.T / 2, mmd_matrix(ys, pseudo, 8), atol=1e-12)


def test_a_class_without_pseudo_labels_has_no_contrast():
    assert class_contrasts(np.array([0, 1, 2]), np.array([0, 2, 2])).shape == (6, 2)


@pytest.mark.parametrize("seed", range(3))
def test_against_the_matrices_of_the_paper(seed):
    xs, ys, xt, _ = turned(seed, n=30)
    expected = jda(xs, ys, xt, components=3, lambda_=0.3, iterations=4)
    for iterations in (1, 2, 4):
        model = JDA(n_components=3, lambda_=0.3, iterations=iterations).fit_domains(xs, ys, xt)
        np.testing.assert_array_equal(model.pseudo_labels_, expected[iterations - 1])
        np.testing.assert_array_equal(model.predict(xt), model.pseudo_labels_)
    changes = [int((a != b).sum()) for a, b in pairwise(expected)]
    assert model.changes_ == changes


def test_one_iteration_is_tca():
    xs, ys, xt, _ = turned(0)
    a = JDA(n_components=3, iterations=1).fit_domains(xs, ys, xt)
    b = TCA(n_components=3).fit_domains(xs, ys, xt)
    np.testing.assert_array_equal(a.components_, b.components_)
    assert a.changes_ == []


def test_class_means_meet_when_pseudo_labels_are_right():
    xs, ys, _, _ = turned(0)
    xt = xs + np.array([0, 0, 3.0, 0, 0])
    model = JDA(n_components=2, lambda_=1e-9, normalise_rows=False).fit_domains(xs, ys, xt)
    np.testing.assert_array_equal(model.pseudo_labels_, ys)
    zs, zt = model.transform(xs), model.transform(xt)
    for c in range(3):
        assert np.abs(zs[ys == c].mean(0) - zt[ys == c].mean(0)).max() < 1e-6 * zs.std()


def test_names_of_classes_order_of_rows_and_rotation():
    xs, ys, xt, _ = turned(1)
    a = JDA(n_components=3).fit_domains(xs, ys, xt).predict(xt)
    names = np.array(["ash", "beech", "cedar"])
    np.testing.assert_array_equal(JDA(n_components=3).fit_domains(xs, names[ys], xt).predict(xt), names[a])
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    b = JDA(n_components=3).fit_domains(xs[::-1] @ q, ys[::-1], xt[::-1] @ q).predict(xt @ q)
    np.testing.assert_array_equal(a, b)


def reversed_(seed):
    """Both features tell the classes, but the second the other way round, and less, in the target. Means are equal."""
    rng = np.random.default_rng(seed)
    xs, ys = classes(200, [[-1, -1], [1, 1]], rng, noise=0.5)
    xt, yt = classes(200, [[-1, 0.5], [1, -0.5]], rng, noise=0.5)
    return xs, ys, xt, yt


# With a light regulariser chance differences of the means choose among two directions; then the first pseudo-labels may
# be the wrong way round, and the iterations confirm them.
ONE_DIRECTION = {"n_components": 1, "normalise_rows": False, "lambda_": 1000.0}


def test_it_helps_where_classes_move_and_means_do_not_over_seeds():
    gain = gains(JDA(**ONE_DIRECTION), reversed_)
    assert (gain > 0).all()
    assert (gain > gains(TCA(**ONE_DIRECTION), reversed_)).all()


def test_bad_parameters():
    xs, ys, xt, _ = turned(0)
    with pytest.raises(ValueError, match="iterations must be an integer of at least 1, got 0"):
        JDA(iterations=0).fit_domains(xs, ys, xt)
    with pytest.raises(ValueError, match="lambda_ must be a number of more than 0"):
        JDA(lambda_=-1).fit_domains(xs, ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(JDA(iterations=3)))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
