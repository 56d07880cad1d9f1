import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dakit.methods import FeatureAugmentation
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import gaussians


def other_rule(seed, labelled=20):
    """Ten features; the domains share eight weights and have two of opposite sign."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(400, 10)), rng.normal(size=(600, 10))
    ys = (xs.sum(1) > 0).astype(int)
    yt = (xt @ np.repeat([1, -1], [8, 2]) > 0).astype(int)
    known = np.where(np.arange(600) < labelled, yt, -1)
    return xs, ys, xt, yt, known


def test_by_hand():
    model = FeatureAugmentation().fit_domains(
        [[1.0, 2.0], [3.0, 4.0]], [0, 1], [[5.0, 6.0], [7.0, 8.0]], [0, -1]
    )
    assert model.transform([[5.0, 6.0]]).tolist() == [[5, 6, 0, 0, 5, 6]]
    assert model.transform([[1.0, 2.0]], [1]).tolist() == [[1, 2, 1, 2, 0, 0]]
    assert model.n_target_labels_ == 1


def test_against_the_kernel_of_the_paper():
    """Inner products of augmented rows are 2 k(x, y) within a domain and k(x, y) across (section 3.2)."""
    xs, ys, xt = gaussians()
    x = np.concatenate([xs, xt])
    domain = np.repeat([1, -1], [60, 50])
    y = np.concatenate([ys, np.arange(50) % 2])
    z = FeatureAugmentation().fit_transform(x, y, sample_domain=domain)
    same = domain[:, None] == domain
    np.testing.assert_allclose(z @ z.T, np.where(same, 2, 1) * (x @ x.T))


def test_against_three_weights_by_an_optimiser():
    """The objective of the docstring, minimised over (w0, wS, wT) by scipy, gives the same decisions."""
    from scipy.optimize import minimize

    xs, ys, xt, yt, known = other_rule(0)
    few = known >= 0
    signs, signt = 2 * ys - 1, 2 * yt[few] - 1

    def objective(w):
        w0, ws, wt = w.reshape(3, 10)
        loss = (
            np.logaddexp(0, -signs * (xs @ (w0 + ws))).sum()
            + np.logaddexp(0, -signt * (xt[few] @ (w0 + wt))).sum()
        )
        return loss + 0.5 * (w @ w)

    w0, _, wt = minimize(objective, np.zeros(30)).x.reshape(3, 10)
    model = FeatureAugmentation(estimator=LogisticRegression(fit_intercept=False, tol=1e-8, max_iter=1000))
    decision = model.fit_domains(xs, ys, xt, known).estimator_.decision_function(model.transform(xt))
    np.testing.assert_allclose(decision, xt @ (w0 + wt), atol=1e-3)


def test_unlabelled_target_rows_play_no_part():
    xs, ys, xt, yt, known = other_rule(0)
    a = FeatureAugmentation().fit_domains(xs, ys, xt, known)
    b = FeatureAugmentation().fit_domains(xs, ys, xt[:20], yt[:20])
    np.testing.assert_allclose(a.estimator_.coef_, b.estimator_.coef_)
    moved = np.where((known < 0)[:, None], xt + 100, xt)
    np.testing.assert_allclose(
        a.estimator_.coef_, FeatureAugmentation().fit_domains(xs, ys, moved, known).estimator_.coef_
    )


def test_names_of_classes_and_ways_to_mark_missing_labels():
    xs, ys, xt, _, known = other_rule(1)
    a = FeatureAugmentation().fit_domains(xs, ys, xt, known).predict(xt)
    names = np.array(["no", "yes"], object)
    words = np.where(known < 0, None, names[known.clip(0)])
    b = FeatureAugmentation().fit_domains(xs, names[ys], xt, words).predict(xt)
    np.testing.assert_array_equal(names[a], b)
    c = FeatureAugmentation().fit_domains(xs, ys, xt, np.where(known < 0, np.nan, known)).predict(xt)
    np.testing.assert_array_equal(a, c)
    d = FeatureAugmentation().fit_domains(xs, 2 * ys - 1, xt[:20], 2 * known[:20] - 1)
    assert d.n_target_labels_ == 20
    np.testing.assert_array_equal(d.predict(xt), 2 * a - 1)


def test_it_beats_the_source_the_few_target_labels_and_their_pool_over_seeds():
    gain = []
    for seed in range(5):
        xs, ys, xt, yt, known = other_rule(seed)
        few, test = known >= 0, known < 0
        alone = [
            LogisticRegression().fit(xs, ys),
            LogisticRegression().fit(xt[few], yt[few]),
            LogisticRegression().fit(np.vstack([xs, xt[few]]), np.concatenate([ys, yt[few]])),
        ]
        adapted = FeatureAugmentation().fit_domains(xs, ys, xt, known)
        right = np.mean(adapted.predict(xt[test]) == yt[test])
        gain.append([right - model.score(xt[test], yt[test]) for model in alone])
    assert (np.mean(gain, axis=0) > 0).all()


def test_bad_input():
    xs, ys, xt, yt, known = other_rule(0)
    fit = FeatureAugmentation().fit_domains
    with pytest.raises(ValueError, match="needs target labels: give yt"):
        fit(xs, ys, xt)
    with pytest.raises(ValueError, match="no target row has a label"):
        fit(xs, ys, xt, np.full(600, -1))
    with pytest.raises(ValueError, match="labels of target rows that the source does not have: 5, 7"):
        fit(xs, ys, xt, np.where(np.arange(600) < 2, [5, 7] * 300, known))
    with pytest.raises(ValueError, match=r"one entry per target row, shape \(600,\), got \(5,\)"):
        fit(xs, ys, xt, yt[:5])
    with pytest.raises(ValueError, match="needs sample_domain"):
        FeatureAugmentation().fit(np.vstack([xs, xt]), np.concatenate([ys, yt]))
    assert FeatureAugmentation.needs_target_labels


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(FeatureAugmentation(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
