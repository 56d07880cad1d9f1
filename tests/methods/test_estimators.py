"""What all shallow methods share: the scikit-learn interface over rows of two domains."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dakit import methods

ALL = methods.estimators()
UNSUPERVISED = [name for name, cls in ALL.items() if not getattr(cls, "needs_target_labels", False)]
over_methods = pytest.mark.parametrize("name", UNSUPERVISED)


def two_domains(n=40, m=30, d=4, seed=0):
    """Two classes, unit noise; the target is moved and stretched. Rows are shuffled together."""
    rng = np.random.default_rng(seed)
    y = np.arange(n + m) % 2
    x = rng.normal(size=(n + m, d)) + 3 * y[:, None] * np.eye(d)[0] + 5
    domain = rng.permutation(np.repeat([1, -1], [n, m]))
    x[domain < 0] = x[domain < 0] * 1.3 + 0.5
    return x, y, domain


def embedded(name, x, y, domain, **parameters):
    return ALL[name](**parameters).fit_transform(x, y, sample_domain=domain)


@pytest.mark.parametrize("name", ALL)
def test_a_method_says_what_it_is(name):
    d = methods.describe(name)
    assert d.summary.endswith(".")
    for part in (d.setting, d.assumption, d.fails_when, d.paper):
        assert len(part) > 20
        assert "\n" not in part
    assert "Objective:" in inspect.getmodule(ALL[name]).__doc__
    assert ALL[name].__module__ == f"dakit.methods.align.{name}"
    assert getattr(methods, ALL[name].__name__) is ALL[name]


def test_names_of_both_kinds_do_not_meet():
    assert not set(methods.names()) & set(ALL)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        methods.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ALL)
def test_parameters_are_keywords_kept_under_their_names(name):
    signature = inspect.signature(ALL[name].__init__).parameters
    kinds = {p.kind for key, p in signature.items() if key != "self"}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY}
    estimator = ALL[name]()
    assert estimator.get_params(deep=False) == {k: p.default for k, p in signature.items() if k != "self"}
    assert clone(estimator).get_params(deep=False) == estimator.get_params(deep=False)


@over_methods
def test_target_labels_are_not_read(name):
    x, y, domain = two_domains()
    answers = []
    for fill in (y, 1 - y, np.full_like(y, -1), np.full_like(y, 77)):
        masked = np.where(domain > 0, y, fill)
        model = ALL[name]().fit(x, masked, sample_domain=domain)
        answers.append(model.predict(x))
        assert model.classes_.tolist() == [0, 1]
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


@over_methods
def test_unlabelled_rows_are_the_target_by_default(name):
    x, y, domain = two_domains()
    expected = embedded(name, x, y, domain)
    for hidden in (np.where(domain > 0, y, -1), np.where(domain > 0, y, np.nan)):
        np.testing.assert_array_equal(ALL[name]().fit_transform(x, hidden), expected)
    words = np.where(domain > 0, np.array(["no", "yes"])[y], None)
    model = ALL[name]().fit(x, words)
    assert set(model.predict(x)) <= {"no", "yes"}
    np.testing.assert_array_equal(model.predict(x) == "yes", ALL[name]().fit(x, y, domain).predict(x) == 1)


@over_methods
def test_domains_in_arrays_of_their_own_and_tensors(name):
    x, y, domain = two_domains()
    order = np.argsort(-domain, kind="stable")
    x, y, domain = x[order], y[order], domain[order]
    s = domain > 0
    expected = ALL[name]().fit(x, y, domain).predict(x[~s])
    np.testing.assert_array_equal(ALL[name]().fit_domains(x[s], y[s], x[~s]).predict(x[~s]), expected)
    tensors = [torch.from_numpy(a) for a in (x[s], y[s], x[~s])]
    np.testing.assert_array_equal(ALL[name]().fit_domains(*tensors).predict(tensors[2]), expected)


@over_methods
def test_fit_transform_maps_every_row_as_one_of_its_domain(name):
    x, y, domain = two_domains()
    model = ALL[name]()
    z = model.fit_transform(x, y, sample_domain=domain)
    assert z.dtype == np.float64
    np.testing.assert_allclose(model.transform(x, sample_domain=domain), z, atol=1e-8)
    np.testing.assert_allclose(model.transform(x[domain < 0]), z[domain < 0], atol=1e-8)


@over_methods
def test_a_given_classifier_is_cloned(name):
    x, y, domain = two_domains()
    given = LogisticRegression(C=0.5)
    if "estimator" not in ALL[name]().get_params(deep=False):
        pytest.skip("has a classifier of its own")
    model = ALL[name](estimator=given).fit(x, y, domain)
    assert not hasattr(given, "coef_")
    p = model.predict_proba(x)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(model.classes_[p.argmax(1)], model.predict(x))


def test_score_is_the_sources_where_rows_are_unlabelled_and_the_targets_otherwise():
    x, y, domain = two_domains()
    model = methods.CORAL().fit(x, y, domain)
    s = domain > 0
    assert model.score(x, np.where(s, y, -1)) == np.mean(model.predict(x, domain)[s] == y[s])
    assert model.score(x[~s], y[~s]) == np.mean(model.predict(x[~s]) == y[~s])
    weight = np.arange(len(y)) % 3
    expected = np.average(model.predict(x) == y, weights=weight)
    assert model.score(x, y, sample_weight=weight) == pytest.approx(expected)


def test_grid_search_and_pipeline():
    x, y, domain = two_domains()
    hidden = np.where(domain > 0, y, -1)
    pipeline = make_pipeline(StandardScaler(), methods.TCA(normalise_rows=False))
    search = GridSearchCV(pipeline, {"tca__n_components": [1, 2], "tca__lambda_": [0.1, 1.0]}, cv=3)
    search.fit(x, hidden)
    assert set(search.predict(x)) <= {0, 1}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # By name of the step, sample_domain gets through as well.
    direct = clone(pipeline).fit(x, y, tca__sample_domain=domain).predict(x)
    np.testing.assert_array_equal(direct, clone(pipeline).fit(x, hidden).predict(x))


def test_labels_of_minus_one_and_one():
    """-1 means unlabelled, but for two classes called -1 and 1 with the domains given."""
    x, y, domain = two_domains()
    model = methods.CORAL().fit(x, 2 * y - 1, sample_domain=domain)
    assert model.classes_.tolist() == [-1, 1]
    with pytest.raises(ValueError, match=r"\d+ source rows have no label"):
        methods.CORAL().fit(x, np.where(np.arange(len(y)) < 9, -1, y), sample_domain=domain)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": None}, "requires y to be passed"),
        ({"y": np.zeros(3)}, r"one entry per row of X, shape \(70,\), got \(3,\)"),
        ({"y": np.zeros(70)}, "at least 2 classes, got 1"),
        ({"sample_domain": np.zeros(70)}, "positive for source rows and negative for target rows"),
        ({"sample_domain": np.ones(9)}, "sample_domain must hold 70 numbers"),
        ({"sample_domain": np.full(70, "s")}, "sample_domain must hold 70 numbers"),
        ({"sample_domain": np.ones(70)}, "at least 2 rows, got 70 of source and 0 of target"),
        ({"sample_domain": None}, "at least 2 rows, got 70 of source and 0 of target"),
        ({"y": np.where(np.arange(70) < 69, np.nan, 1)}, "source rows have no label"),
        ({"x": np.full((70, 4), np.nan)}, "contains NaN"),
        ({"x": np.full((70, 4), 1e200)}, "squares overflow"),
        ({"x": np.zeros(70)}, "Expected 2D array"),
    ],
)
def test_bad_input_is_one_sentence(change, words):
    x, y, domain = two_domains()
    given = {"x": x, "y": y, "sample_domain": domain, **change}
    with pytest.raises(ValueError, match=words):
        methods.CORAL().fit(given["x"], given["y"], sample_domain=given["sample_domain"])


def test_bad_domains_are_one_sentence():
    x, y, _ = two_domains()
    for xs, ys, xt, words in (
        (x, y, x[:, :3], r"one d, but xs has shape \(70, 4\) and xt \(70, 3\)"),
        (x, y[:5], x, r"one label per source row, shape \(70,\), got \(5,\)"),
        (x[:0], y[:0], x, "at least 2 rows"),
        (x[0], y, x, "both domains need shape"),
    ):
        with pytest.raises(ValueError, match=words):
            methods.CORAL().fit_domains(xs, ys, xt)
    model = methods.CORAL().fit_domains(x, y, x)
    with pytest.raises(ValueError, match="3 features"):
        model.predict(x[:, :3])


@pytest.mark.filterwarnings("ignore:lbfgs failed")  # logistic regression on numbers of size 1e30
@over_methods
def test_large_and_small_units_give_no_silent_nan(name):
    x, y, domain = two_domains()
    for unit in (1e-30, 1e30):
        try:
            z = embedded(name, x * unit, y, domain)
        except ValueError:
            continue
        assert np.isfinite(z).all()
