import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dakit.methods import TrAdaBoost
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.toy_shifts import classes

STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)


def mixed(seed, n=200, labelled=10, wrong=0.5):
    """A source of which one half has the classes the other way round; a few target labels."""
    rng = np.random.default_rng(seed)
    xs, ys = classes(n, [[-1, 0], [1, 0]], rng, noise=0.7)
    flip = xs[:, 1] > np.quantile(xs[:, 1], 1 - wrong)
    xt, yt = classes(300, [[-1, 0], [1, 0]], rng, noise=0.7)
    given = np.where(np.arange(300) < labelled, yt, -1)
    return xs, np.where(flip, 1 - ys, ys), xt, given, yt


def test_one_round_by_hand():
    # The learner always says 0: wrong on the last two source rows and on one of two target rows, so e is 1/2, held at
    # 0.499. With n = 4 and N = 1, source rows lose by β = 1 / (1 + sqrt(2 ln 4)) = 0.3752.
    xs, xt = [[0.0], [1.0], [2.0], [3.0]], [[0.5], [1.2]]
    learner = DummyClassifier(strategy="constant", constant=0)
    model = TrAdaBoost(rounds=1, estimator=learner).fit_domains(xs, [0, 0, 1, 1], xt, [0, 1])
    assert model.errors_.tolist() == [0.5]
    v = np.array([1 / 8, 1 / 8, 0.3752 / 8, 0.3752 / 8, 1 / 4, 1 / 4 * 0.501 / 0.499])
    np.testing.assert_allclose(model.weights_, v / v.sum(), rtol=2e-4)


def by_loops(x, y, n, x_new, rounds):
    """The algorithm as the paper lists it, for classes 0 and 1."""
    w = np.repeat([1 / n, 1 / (len(x) - n)], [n, len(x) - n])
    beta = 1 / (1 + np.sqrt(2 * np.log(n) / rounds))
    rejected, needed = np.zeros(len(x_new)), 0.0
    for t in range(1, rounds + 1):
        p = w / w.sum()
        h = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, y, sample_weight=p * len(x))
        miss = np.abs(h.predict(x) - y)
        e = sum(w[i] * miss[i] for i in range(n, len(x))) / w[n:].sum()
        e = min(max(e, 1e-6), 0.499)
        beta_t = e / (1 - e)
        for i in range(len(x)):
            w[i] *= beta ** miss[i] if i < n else beta_t ** -miss[i]
        if t >= np.ceil(rounds / 2):  # product of beta_t^-h against product of beta_t^-1/2, in logarithms
            rejected += -np.log(beta_t) * h.predict(x_new)
            needed += -np.log(beta_t) / 2
    return (rejected >= needed).astype(int), w / w.sum()


@pytest.mark.parametrize("rounds", [1, 2, 7, 10])
def test_against_the_papers_listing(rounds):
    xs, ys, xt, given, _ = mixed(0, labelled=30)
    model = TrAdaBoost(rounds=rounds, estimator=STUMP).fit_domains(xs, ys, xt, given)
    x, y = np.concatenate([xs, xt[:30]]), np.concatenate([ys, given[:30]])
    predicted, weights = by_loops(x, y, len(xs), xt, rounds)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-9)
    votes = model.estimator_.decision_function(xt)
    clear = np.abs(votes[:, 0] - votes[:, 1]) > 1e-9
    np.testing.assert_array_equal(model.predict(xt)[clear], predicted[clear])
    assert len(model.estimator_.learners) == rounds - int(np.ceil(rounds / 2)) + 1


def test_contradicting_source_rows_lose_weight():
    xs, ys, xt, given, _ = mixed(0)
    model = TrAdaBoost().fit_domains(xs, ys, xt, given)
    share = model.weights_[:200]
    contradicts = xs[:, 1] > np.quantile(xs[:, 1], 0.5)
    assert share[contradicts].mean() < share[~contradicts].mean() / 3


def test_unlabelled_target_rows_and_order_of_rows_do_not_matter():
    xs, ys, xt, given, _ = mixed(0)
    a = TrAdaBoost(rounds=6).fit_domains(xs, ys, xt, given)
    b = TrAdaBoost(rounds=6).fit_domains(xs, ys, xt[:10], given[:10])
    np.testing.assert_array_equal(a.weights_, b.weights_)
    c = TrAdaBoost(rounds=6).fit_domains(xs[::-1], ys[::-1], xt, given)
    np.testing.assert_allclose(a.weights_[:200], c.weights_[:200][::-1], rtol=0.05, atol=1e-4)


def test_labels_of_any_kind():
    xs, ys, xt, given, _ = mixed(0)
    a = TrAdaBoost(rounds=5).fit_domains(xs, ys, xt, given).predict(xt)
    names = [None if label == -1 else "ab"[label] for label in given]
    b = TrAdaBoost(rounds=5).fit_domains(xs, np.array(["a", "b"])[ys], xt, np.array(names, object))
    np.testing.assert_array_equal(b.predict(xt), np.array(["a", "b"])[a])
    signs = np.where(
        given[:10] == 0, -1, 1
    )  # where the source has a class -1, it is one in the target as well
    c = TrAdaBoost(rounds=5).fit_domains(xs, 2 * ys - 1, xt[:10], signs)
    np.testing.assert_array_equal(c.predict(xt), 2 * a - 1)


def test_more_than_two_classes():
    rng = np.random.default_rng(0)
    centres = [[-3, 0], [3, 0], [0, 3]]
    xs, ys = classes(90, centres, rng)
    xt, yt = classes(90, centres, rng)
    model = TrAdaBoost(rounds=6).fit_domains(xs, ys, xt, np.where(np.arange(90) < 9, yt, -1))
    assert model.score(xt, yt) > 0.9
    np.testing.assert_allclose(model.estimator_.decision_function(xt).sum(1), 1)


def half_of_the_source(seed, labelled=20, d=10):
    """One half of the source has the target's boundary, the other one in a direction of its own."""
    rng = np.random.default_rng(seed)
    w, other = rng.normal(size=(2, d))
    xs, xt = rng.normal(size=(300, d)), rng.normal(size=(400, d))
    ys, yt = xs @ w > 0, xt @ w > 0
    ys[:150] = xs[:150] @ other > 0
    return xs, ys.astype(int), xt, np.where(np.arange(400) < labelled, yt, -1), yt.astype(int)


def test_it_beats_both_domains_pooled_and_the_target_labels_alone_over_seeds():
    over_pooled, over_alone = [], []
    for seed in range(8):
        xs, ys, xt, given, yt = half_of_the_source(seed)
        ours = TrAdaBoost().fit_domains(xs, ys, xt, given).score(xt[20:], yt[20:])
        x, y = np.concatenate([xs, xt[:20]]), np.concatenate([ys, given[:20]])
        over_pooled.append(ours - SVC(kernel="linear").fit(x, y).score(xt[20:], yt[20:]))
        over_alone.append(ours - SVC(kernel="linear").fit(xt[:20], given[:20]).score(xt[20:], yt[20:]))
    for gain in (over_pooled, over_alone):
        assert np.mean(gain) > 2 * np.std(gain, ddof=1) / np.sqrt(8), gain


def test_target_labels_are_needed_and_said_to_be():
    xs, ys, xt, _, _ = mixed(0)
    assert TrAdaBoost.needs_target_labels
    with pytest.raises(ValueError, match="learns from target labels: give yt"):
        TrAdaBoost().fit_domains(xs, ys, xt)
    with pytest.raises(ValueError, match="no target row has a label"):
        TrAdaBoost().fit_domains(xs, ys, xt, np.full(300, -1))
    with pytest.raises(ValueError, match="give sample_domain"):
        TrAdaBoost().fit(np.concatenate([xs, xt]), np.append(ys, np.full(300, -1)))
    with pytest.raises(ValueError, match="labels that no source row has: 5"):
        TrAdaBoost().fit_domains(xs, ys, xt, np.full(300, 5))
    with pytest.raises(ValueError, match="yt must hold one entry per target row"):
        TrAdaBoost().fit_domains(xs, ys, xt, ys)


def test_bad_parameters():
    xs, ys, xt, given, _ = mixed(0)
    with pytest.raises(ValueError, match="rounds must be an integer of at least 1"):
        TrAdaBoost(rounds=0).fit_domains(xs, ys, xt, given)
    with pytest.raises(TypeError, match="takes no sample_weight"):
        TrAdaBoost(estimator=KNeighborsClassifier()).fit_domains(xs, ys, xt, given)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(TrAdaBoost(rounds=3)))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
