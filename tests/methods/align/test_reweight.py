import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from dakit.methods import Reweight
from dakit.methods.align.reweight import METHODS
from dakit.metrics import covariate_weights
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.toy_shifts import gains, gaussians


def test_by_hand():
    # Two points, 1 : 1 in the source and 3 : 1 in the target: kernel mean matching gives weights 1.5 and 0.5.
    model = Reweight(
        weights="kmm", standardise=False, options={"bandwidth": 1.0, "tolerance": 1e-9}
    ).fit_domains([[0.0], [1.0]], ["a", "b"], [[0.0], [0.0], [0.0], [1.0]])
    np.testing.assert_allclose(model.weights_.values, [1.5, 0.5], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_those_of_the_metric_on_standardised_features(method):
    xs, ys, xt = gaussians()
    model = Reweight(weights=method, clip=0.9).fit_domains(100 * xs, ys, 100 * xt)
    both = np.concatenate([xs, xt])
    own = covariate_weights(*((x - both.mean(0)) / both.std(0) for x in (xs, xt)), method=method, clip=0.9)
    np.testing.assert_allclose(model.weights_.values, own.values, rtol=1e-5, atol=1e-8)


def test_the_classifier_minimises_the_weighted_risk():
    xs, ys, xt = gaussians()
    model = Reweight(estimator=LogisticRegression(C=0.7, tol=1e-10, max_iter=5000)).fit_domains(xs, ys, xt)
    w = model.weights_.values

    def value(v):
        return 0.7 * w @ np.log1p(np.exp(-(2 * ys - 1) * (xs @ v[:-1] + v[-1]))) + (v[:-1] ** 2).sum() / 2

    best = minimize(value, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(
        np.append(model.estimator_.coef_, model.estimator_.intercept_), best, atol=1e-4
    )


def test_without_a_shift_kmm_weights_are_one():
    xs, ys, _ = gaussians()
    model = Reweight(weights="kmm").fit_domains(xs, ys, xs)
    np.testing.assert_allclose(model.weights_.values, 1, atol=0.02)
    plain = LogisticRegression(max_iter=1000).fit(xs, ys)
    np.testing.assert_allclose(model.estimator_.coef_, plain.coef_, atol=0.02)


@pytest.mark.parametrize("method", ["logistic", "kmm", "ulsif"])
def test_scale_and_shift_of_features(method):
    xs, ys, xt = gaussians()
    factor, offset = np.array([1.0, 1e3, 1e-3, 5.0]), np.array([0.0, 7.0, -1.0, 100.0])
    a = Reweight(weights=method).fit_domains(xs, ys, xt).weights_.values
    b = Reweight(weights=method).fit_domains(xs * factor + offset, ys, xt * factor + offset).weights_.values
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_constant_feature_changes_nothing():
    xs, ys, xt = gaussians()
    a = Reweight(weights="kmm").fit_domains(xs, ys, xt).weights_.values
    padded = [np.hstack([x, np.full((len(x), 1), 0.1)]) for x in (xs, xt)]
    b = Reweight(weights="kmm").fit_domains(padded[0], ys, padded[1]).weights_.values
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_rows_are_not_moved():
    xs, ys, xt = gaussians()
    model = Reweight().fit_domains(xs, ys, xt)
    np.testing.assert_array_equal(model.transform(xt), xt)
    np.testing.assert_array_equal(model.transform(xs, np.ones(60)), xs)


def bent(seed):
    """A boundary that no line can follow; the target sees one half of it."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.uniform(-3, 3, size=(300, 1)), rng.uniform(-0.5, 3, size=(300, 1))
    return xs, (np.abs(xs[:, 0]) > 1).astype(int), xt, (np.abs(xt[:, 0]) > 1).astype(int)


@pytest.mark.parametrize("method", METHODS)
def test_it_helps_a_poor_model_under_covariate_shift_over_seeds(method):
    seeds = range(1 if method == "mlp" else 3)
    assert (gains(Reweight(weights=method), bent, seeds=seeds) > 0).all()


def test_trees_are_weighted_too():
    xs, ys, xt, _ = bent(0)
    stump = Reweight(estimator=DecisionTreeClassifier(max_depth=1)).fit_domains(xs, ys, xt)
    assert stump.estimator_.tree_.threshold[0] == pytest.approx(1, abs=0.1)
    assert hasattr(stump, "predict_proba")


def test_a_classifier_without_weights():
    with pytest.raises(TypeError, match="KNeighborsClassifier takes no sample_weight"):
        Reweight(estimator=KNeighborsClassifier()).fit_domains(*gaussians())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"weights": "parzen"}, ValueError, "weights must be one of 'logistic'"),
        ({"clip": 1.5}, ValueError, "clip must be a quantile"),
        ({"options": {"bound": 3}}, TypeError, "bound"),
    ],
)
def test_bad_parameters(options, error, words):
    with pytest.raises(error, match=words):
        Reweight(**options).fit_domains(*gaussians())


def test_target_labels_are_not_read():
    xs, ys, xt = gaussians()
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -1], [60, 50])
    a, b = (Reweight().fit(x, np.append(ys, yt), domain) for yt in (np.zeros(50), np.arange(50) % 7 - 1))
    np.testing.assert_array_equal(a.estimator_.coef_, b.estimator_.coef_)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(Reweight(weights="ulsif")))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
