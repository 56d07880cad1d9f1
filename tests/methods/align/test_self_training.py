import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from dakit.methods import SelfTraining
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.toy_shifts import classes, gains


def drifted(seed, angle=0.8):
    """Two classes with a gap between them; the target is turned, by less than the gap's angle."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-2.0, 0.0], [2.0, 0.0]])
    xs, ys = classes(200, centres, rng, noise=0.5)
    xt, yt = classes(200, centres, rng, noise=0.5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return xs * [1, 3], ys, (xt * [1, 3]) @ turn, yt


class Steps(LogisticRegression):
    """P(class 1) = x, whatever it is trained on; remembers the training sets."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        Steps.seen.append((X.ravel().tolist(), y.tolist()))
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])

    def predict(self, X):
        return (X[:, 0] > 0.5).astype(int)


def test_by_hand_with_a_threshold():
    Steps.seen = []
    model = SelfTraining(estimator=Steps(), threshold=0.8, rounds=5)
    model.fit_domains([[0.0], [1.0]], ["no", "yes"], [[0.1], [0.6], [0.8], [0.95]])
    # Sure of 0.1, 0.8 and 0.95; the second round would choose the same and is left out.
    assert Steps.seen == [([0.0, 1.0], [0, 1]), ([0.0, 1.0, 0.1, 0.8, 0.95], [0, 1, 0, 1, 1])]
    assert model.n_chosen_ == [3]
    assert model.pseudo_labels_.tolist() == ["no", "yes", "yes", "yes"]


def test_by_hand_balanced():
    Steps.seen = []
    model = SelfTraining(estimator=Steps(), select="balanced", share=1.0, rounds=2)
    model.fit_domains([[0.0], [1.0]], [0, 1], [[0.4], [0.6], [0.7], [0.8], [0.9]])
    # First the surest half of each predicted class, rounded up, then all.
    assert sorted(Steps.seen[1][0][2:]) == [0.4, 0.8, 0.9]
    assert sorted(Steps.seen[2][0][2:]) == [0.4, 0.6, 0.7, 0.8, 0.9]
    assert model.n_chosen_ == [3, 5]


def by_loop(xs, ys, xt, threshold, rounds):
    model = LogisticRegression(max_iter=1000).fit(xs, ys)
    for _ in range(rounds):
        p = model.predict_proba(xt)
        rows = [i for i in range(len(xt)) if p[i].max() >= threshold]
        model = LogisticRegression(max_iter=1000).fit(
            np.vstack([xs, xt[rows]]), np.concatenate([ys, p[rows].argmax(1)])
        )
    return model


def test_against_a_plain_loop():
    xs, ys, xt, _ = drifted(0)
    for rounds in (1, 2, 3):
        model = SelfTraining(rounds=rounds).fit_domains(xs, ys, xt)
        np.testing.assert_allclose(model.estimator_.coef_, by_loop(xs, ys, xt, 0.9, rounds).coef_, rtol=1e-5)


@pytest.mark.parametrize("parameters", [{"rounds": 0}, {"threshold": 1.0}])
def test_no_rounds_or_no_sure_rows_leave_the_source_classifier(parameters):
    xs, ys, xt, _ = drifted(0)
    model = SelfTraining(**parameters).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(model.estimator_.coef_, LogisticRegression(max_iter=1000).fit(xs, ys).coef_)
    assert model.n_chosen_ == []


def test_every_round_labels_anew():
    """The number of rows it is sure of may grow and fall; pseudo-labels are those of the last classifier."""
    xs, ys, xt, _ = drifted(1)
    model = SelfTraining(estimator=GaussianNB()).fit_domains(xs, ys, xt)
    np.testing.assert_array_equal(model.pseudo_labels_, model.predict(xt))


def test_names_of_classes_and_order_of_rows():
    xs, ys, xt, _ = drifted(2)
    a = SelfTraining().fit_domains(xs, ys, xt).predict(xt)
    names = np.array(["left", "right"])
    np.testing.assert_array_equal(SelfTraining().fit_domains(xs, names[ys], xt).predict(xt), names[a])
    np.testing.assert_array_equal(SelfTraining().fit_domains(xs[::-1], ys[::-1], xt[::-1]).predict(xt), a)


@pytest.mark.parametrize("select", ["threshold", "balanced"])
def test_it_helps_where_the_target_is_turned_over_seeds(select):
    assert (gains(SelfTraining(select=select), drifted) > 0).all()


def test_a_rare_class_gets_rows_when_balanced():
    rng = np.random.default_rng(0)
    xs, ys = classes(100, [[-1.0], [1.0]], rng)
    xt = np.concatenate([rng.normal(size=(95, 1)) - 2, rng.normal(size=(5, 1)) * 0.1 + 0.3])
    first = LogisticRegression(max_iter=1000).fit(xs, ys)
    assert (first.predict_proba(xt)[:, 1] < 0.9).all()  # a threshold would choose none of class 1
    model = SelfTraining(select="balanced", rounds=1, share=0.5).fit_domains(xs, ys, xt)
    count = np.bincount(first.predict(xt))
    assert model.n_chosen_ == [int(np.ceil(count[0] / 2) + np.ceil(count[1] / 2))]


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"rounds": -1}, ValueError, "rounds must be an integer of at least 0"),
        ({"select": "all"}, ValueError, "select must be one of 'threshold', 'balanced', got 'all'"),
        ({"threshold": 1.5}, ValueError, "threshold must be a number of at least 0 and at most 1"),
        ({"share": 0}, ValueError, "share must be a number of more than 0 and at most 1"),
        ({"estimator": LinearSVC()}, ValueError, "needs a classifier with predict_proba, got LinearSVC"),
    ],
)
def test_bad_parameters(parameters, error, words):
    xs, ys, xt, _ = drifted(0)
    with pytest.raises(error, match=words):
        SelfTraining(**parameters).fit_domains(xs, ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(SelfTraining(rounds=2)))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
