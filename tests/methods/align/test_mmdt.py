import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.svm import SVC

from dakit.methods import MMDT
from dakit.methods.align.mmdt import hinge_dual
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import classes


def turned(seed, k=3, per_class=3, d=4):
    """A target that is the source turned by a random rotation, with a few labels a class."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.normal(size=(k, d))
    q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    xs, ys = classes(40 * k, centres, rng, noise=0.5)
    xt, yt = classes(40 * k, centres, rng, noise=0.5)
    return xs, ys, xt @ q, np.where(np.arange(40 * k) < per_class * k, yt, -1), yt


def test_dual_by_hand():
    # One row at distance 2: w = 1/2 reaches the margin, a = 1/4. With C = 0.1 it stops short at a = 0.1.
    assert hinge_dual(np.array([[4.0]]), 10.0, np.ones(1)) == pytest.approx(0.25)
    assert hinge_dual(np.array([[4.0]]), 0.1, np.ones(1)) == pytest.approx(0.1)
    assert hinge_dual(np.array([[4.0]]), 10.0, np.array([3.0])) == pytest.approx(0.75)
    assert hinge_dual(np.array([[4.0]]), 10.0, np.array([-1.0])) == 0


def test_dual_against_a_smooth_program():
    rng = np.random.default_rng(0)
    z, r = rng.normal(size=(25, 4)), rng.uniform(-0.5, 2, 25)
    w = z.T @ hinge_dual(z @ z.T, 0.7, r)

    def value(v):  # slack variables, so that a general solver can take it
        return v[:4] @ v[:4] / 2 + 0.7 * v[4:].sum()

    reach = {"type": "ineq", "fun": lambda v: z @ v[:4] + v[4:] - r}
    bounds = [(None, None)] * 4 + [(0, None)] * 25
    best = minimize(
        value, np.ones(29), method="SLSQP", bounds=bounds, constraints=reach, options={"maxiter": 500}
    )
    np.testing.assert_allclose(w, best.x[:4], atol=1e-4)


def objective(model, xs, ys, xt, yt, cs, ct):
    theta, b, w = model.estimator_.theta, model.estimator_.b, model.map_
    value = ((w**2).sum() + (theta**2).sum()) / 2
    for c, x, y in ((cs, xs, ys), (ct, np.hstack([xt, np.ones((len(xt), 1))]) @ w.T, yt)):
        for row, label in zip(x, y):
            for k in range(len(theta)):
                sign = 1 if k == label else -1
                value += c * max(0, 1 - sign * (theta[k] @ row + b[k]))
    return value


def test_objective_is_what_the_formula_says_and_falls():
    xs, ys, xt, given, _ = turned(0)
    model = MMDT(rounds=8).fit_domains(xs, ys, xt, given)
    assert (np.diff(model.objective_) < 0).all()
    assert len(model.objective_) > 2
    expected = objective(model, xs, ys, xt[:9], given[:9], 0.05, 1.0)
    assert model.objective_[-1] == pytest.approx(expected, rel=1e-6)


def test_the_map_is_the_best_for_its_machines():
    xs, ys, xt, given, _ = turned(1)
    model = MMDT(rounds=3).fit_domains(xs, ys, xt, given)
    least = objective(model, xs, ys, xt[:9], given[:9], 0.05, 1.0)
    rng = np.random.default_rng(0)
    kept = model.map_
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            model.map_ = kept + size * rng.normal(size=kept.shape)
            assert objective(model, xs, ys, xt[:9], given[:9], 0.05, 1.0) > least


def test_without_weight_on_the_target_it_is_the_sources_machine():
    xs, ys, xt, given, _ = turned(0, k=2)
    model = MMDT(c_source=1.0, c_target=1e-9, rounds=1).fit_domains(xs, ys, xt, given)
    plain = SVC(kernel="linear").fit(xs, ys)
    np.testing.assert_allclose(model.estimator_.theta, plain.coef_, atol=1e-3)
    np.testing.assert_allclose(model.map_, 0, atol=1e-6)  # nothing asks for a map, and the penalty removes it


def test_unlabelled_target_rows_and_order_of_rows_do_not_matter():
    xs, ys, xt, given, _ = turned(0)
    a = MMDT().fit_domains(xs, ys, xt, given)
    b = MMDT().fit_domains(xs, ys, xt[:9], given[:9])
    np.testing.assert_array_equal(a.map_, b.map_)
    c = MMDT().fit_domains(xs[::-1], ys[::-1], xt, given)
    np.testing.assert_allclose(a.objective_[0], c.objective_[0], rtol=1e-4)


def test_rotation_of_the_target():
    xs, ys, xt, given, _ = turned(0)
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    x, y, d = np.concatenate([xs, xt]), np.concatenate([ys, given]), np.repeat([1, -1], 120)
    a = MMDT(rounds=1).fit(x, y, d)
    theta = a.estimator_.theta
    # Given the machines, the map turns with the target.
    z = np.hstack([xt[:9] @ q, np.ones((9, 1))])
    signs = 2.0 * np.eye(3)[given[:9]] - 1
    gram = np.kron(z @ z.T, theta @ theta.T) * np.outer(signs, signs)
    dual = hinge_dual(gram, 1.0, (1 - signs * a.estimator_.b).ravel()).reshape(signs.shape)
    w = theta.T @ (dual * signs).T @ z
    np.testing.assert_allclose(w[:, :-1] @ q.T, a.map_[:, :-1], atol=1e-4)


def test_transform_maps_target_rows_only():
    xs, ys, xt, given, _ = turned(0)
    model = MMDT().fit_domains(xs, ys, xt, given)
    np.testing.assert_allclose(model.transform(xt), xt @ model.map_[:, :-1].T + model.map_[:, -1])
    np.testing.assert_array_equal(model.transform(xs, np.ones(120)), xs)


@pytest.mark.parametrize("k", [2, 4])
def test_it_helps_against_a_rotation_over_seeds(k):
    gains = []
    for seed in range(6):
        xs, ys, xt, given, yt = turned(seed, k=k)
        plain = SVC(kernel="linear").fit(xs, ys).score(xt, yt)
        gains.append(MMDT().fit_domains(xs, ys, xt, given).score(xt, yt) - plain)
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / np.sqrt(6), gains


def test_target_labels_are_needed_and_said_to_be():
    xs, ys, xt, _, _ = turned(0)
    assert MMDT.needs_target_labels
    with pytest.raises(ValueError, match="MMDT learns from target labels: give yt"):
        MMDT().fit_domains(xs, ys, xt)
    with pytest.raises(ValueError, match="no target row has a label"):
        MMDT().fit_domains(xs, ys, xt, np.full(120, -1))
    with pytest.raises(ValueError, match="labels that no source row has: 5"):
        MMDT().fit_domains(xs, ys, xt, np.full(120, 5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"c_source": 0}, "c_source must be a number of more than 0"),
        ({"c_target": -1}, "c_target must be a number of more than 0"),
        ({"rounds": 0}, "rounds must be an integer of at least 1"),
    ],
)
def test_bad_parameters(options, words):
    xs, ys, xt, given, _ = turned(0)
    with pytest.raises(ValueError, match=words):
        MMDT(**options).fit_domains(xs, ys, xt, given)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(MMDT(rounds=2), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
