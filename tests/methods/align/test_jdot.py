import numpy as np
import ot
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge

from dakit.methods import JDOT
from dakit.methods.align.jdot import SoftLabelRegression, pair_losses
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.toy_shifts import classes, gaussians


def test_first_plan_by_hand():
    # One round: the plan of the features alone, 0 -> 1 and 2 -> 3.
    model = JDOT(rounds=1, kernel="linear").fit_domains([[0.0], [2.0]], ["a", "b"], [[3.0], [1.0]])
    assert model.plan_.tolist() == [[0.0, 0.5], [0.5, 0.0]]
    assert model.predict([[1.0], [3.0]]).tolist() == ["a", "b"]


@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
def test_losses_of_pairs_against_loops(loss):
    rng = np.random.default_rng(0)
    y, scores = np.eye(3)[rng.integers(0, 3, 7)], 2 * rng.normal(size=(5, 3))
    expected = np.zeros((7, 5))
    for i, j, c in np.ndindex(7, 5, 3):
        sign = 2 * y[i, c] - 1
        miss = 1 - sign * scores[j, c]
        expected[i, j] += max(miss, 0) ** 2 if loss == "hinge" else miss**2
    np.testing.assert_allclose(pair_losses(y, scores, loss), expected, atol=1e-12)


def test_least_squares_against_ridge_regression():
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(40, 3)), rng.dirichlet(np.ones(3), 40)
    ours = SoftLabelRegression("least_squares", "linear", 0.05).fit(x, p)
    ridge = Ridge(alpha=0.05 * 40).fit(x, 2 * p - 1)
    np.testing.assert_allclose(ours.decision_function(x), ridge.predict(x), atol=1e-7)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_hinge_against_a_general_optimiser(kernel):
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(25, 2)), rng.random(25)
    x[:, 0] += 2 * p
    ours = SoftLabelRegression("hinge", kernel, 0.02, 2.0).fit(x, p[:, None])
    gram = x @ x.T if kernel == "linear" else np.exp(-cdist(x, x, "sqeuclidean") / 2.0)

    def value(v):  # in the kernel's expansion, f = K a + b and ||f||² = a' K a
        f = gram @ v[:-1] + v[-1]
        loss = p * np.maximum(0, 1 - f) ** 2 + (1 - p) * np.maximum(0, 1 + f) ** 2
        slope = -2 * p * np.maximum(0, 1 - f) + 2 * (1 - p) * np.maximum(0, 1 + f)
        pull = gram @ v[:-1]
        return loss.mean() + 0.02 * v[:-1] @ pull, np.append(gram @ slope / 25 + 0.04 * pull, slope.mean())

    best = minimize(value, np.zeros(26), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    f = ours.decision_function(x)[:, 0]
    loss = (p * np.maximum(0, 1 - f) ** 2 + (1 - p) * np.maximum(0, 1 + f) ** 2).mean()
    assert loss + ours.penalty() == pytest.approx(best.fun, rel=1e-5)
    np.testing.assert_allclose(f, gram @ best.x[:-1] + best.x[-1], atol=2e-3)


@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_every_round_lowers_the_objective(loss, kernel):
    xs, ys, xt, _ = turned(0)
    model = JDOT(loss=loss, kernel=kernel, rounds=20).fit_domains(xs, ys, xt)
    assert len(model.objective_) > 1
    assert (np.diff(model.objective_) <= 1e-9).all(), model.objective_


def test_objective_is_what_the_formula_says():
    xs, ys, xt, _ = turned(0)
    model = JDOT(kernel="linear", alpha=0.5, lambda_=0.1).fit_domains(xs, ys, xt)
    distances = cdist(xs, xt, "sqeuclidean")
    scores = model.estimator_.decision_function(xt)
    cost = 0.5 * distances / distances.max() + pair_losses(np.eye(3)[ys], scores, "hinge")
    value = (model.plan_ * cost).sum() + 0.1 * (model.estimator_.coef_[:-1] ** 2).sum()
    assert model.objective_[-1] == pytest.approx(value)
    np.testing.assert_allclose(model.plan_.sum(1), 1 / len(xs))


def test_one_round_is_label_propagation_by_plain_transport():
    xs, ys, xt, _ = turned(1)
    model = JDOT(loss="least_squares", kernel="linear", rounds=1, lambda_=0.1).fit_domains(xs, ys, xt)
    plan = ot.emd(ot.unif(len(xs)), ot.unif(len(xt)), cdist(xs, xt, "sqeuclidean"))
    labels = 2 * len(xt) * plan.T @ np.eye(3)[ys] - 1
    ridge = Ridge(alpha=0.1 * len(xt)).fit(xt, labels)
    np.testing.assert_allclose(model.estimator_.decision_function(xt), ridge.predict(xt), atol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_rotation_shift_and_scale_of_the_space_and_names_of_labels(kernel):
    xs, ys, xt, _ = turned(0)
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(2, 2)))[0]
    a = JDOT(kernel=kernel, loss="least_squares").fit_domains(xs, ys, xt)
    b = JDOT(kernel=kernel, loss="least_squares").fit_domains(xs @ q + 5, ys, xt @ q + 5)
    assert a.objective_[-1] == pytest.approx(b.objective_[-1], rel=1e-6)
    named = JDOT(kernel=kernel, loss="least_squares").fit_domains(xs, np.array(list("abc"))[ys], xt)
    assert (named.predict(xt) == np.array(list("abc"))[a.predict(xt)]).all()


def turned(seed):
    """Classes on a line, turned by 40 degrees and moved."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-2.0, -1.0], [2.0, -1.0], [0.0, 2.0]])
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    xs, ys = classes(90, centres, rng, noise=0.5)
    xt, yt = classes(90, centres @ turn.T + 1.5, rng, noise=0.5)
    return xs, ys, xt, yt


@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
def test_it_helps_against_a_small_turn_over_seeds(loss):
    for seed in range(3):
        xs, ys, xt, yt = turned(seed)
        source = SoftLabelRegression(loss, "rbf", 0.01, 4.0).fit(xs, np.eye(3)[ys])
        assert JDOT(loss=loss).fit_domains(xs, ys, xt).score(xt, yt) > (source.predict(xt) == yt).mean()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss": "logistic"}, ValueError, "loss must be one of 'hinge', 'least_squares'"),
        ({"kernel": "poly"}, ValueError, "kernel must be one of 'rbf', 'linear'"),
        ({"alpha": -1}, ValueError, "alpha must be a number of at least 0"),
        ({"lambda_": 0}, ValueError, "lambda_ must be a number of more than 0"),
        ({"bandwidth": 0}, ValueError, "bandwidth must be a number of more than 0"),
        ({"bandwidth": -2.0}, ValueError, "bandwidth must be a number of more than 0"),
        ({"rounds": 0}, ValueError, "rounds must be an integer of at least 1"),
    ],
)
def test_bad_parameters(options, error, words):
    with pytest.raises(error, match=words):
        JDOT(**options).fit_domains(*gaussians())


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_all_rows_equal_and_more_features_than_rows(kernel):
    model = JDOT(kernel=kernel).fit_domains(np.ones((4, 2)), [0, 1, 0, 1], np.ones((3, 2)))
    assert np.isfinite(model.estimator_.decision_function(np.ones((1, 2)))).all()
    rng = np.random.default_rng(0)
    model = JDOT(kernel=kernel).fit_domains(
        rng.normal(size=(6, 30)), np.arange(6) % 2, rng.normal(size=(5, 30))
    )
    assert np.isfinite(model.objective_).all()


def test_target_labels_are_not_read():
    xs, ys, xt = gaussians()
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -1], [60, 50])
    a, b = (JDOT().fit(x, np.append(ys, yt), domain) for yt in (np.zeros(50), np.arange(50) % 7 - 1))
    np.testing.assert_array_equal(a.predict(xt), b.predict(xt))
    np.testing.assert_array_equal(a.transform(xt), b.transform(xt))


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(JDOT()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
