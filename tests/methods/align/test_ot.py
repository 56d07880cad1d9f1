import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from dakit.methods import OT
from dakit.methods.align.ot import PLANS
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import classes, gains, gaussians


def test_by_hand():
    # 0 -> 10 and 1 -> 12 costs 100 + 121; the other way round 144 + 81 is more.
    model = OT(plan="emd").fit_domains([[0.0], [1.0]], ["a", "b"], [[12.0], [10.0]])
    assert model.plan_.tolist() == [[0.0, 0.5], [0.5, 0.0]]
    assert model.cost_ == pytest.approx((100 + 121) / 2)
    assert model.transform([[0.0], [1.0], [-3.0]], [1, 1, 1]).ravel().tolist() == [10.0, 12.0, 7.0]
    assert model.predict([[12.0], [10.0]]).tolist() == ["b", "a"]


def test_exact_plan_against_all_permutations():
    xs, ys, xt = gaussians(6, 6)
    cost = cdist(xs, xt, "sqeuclidean")
    least = min(cost[np.arange(6), list(p)].mean() for p in itertools.permutations(range(6)))
    model = OT(plan="emd").fit_domains(xs, ys, xt)
    assert model.cost_ == pytest.approx(least)
    np.testing.assert_allclose(model.transform(xs, np.ones(6)), xt[model.plan_.argmax(1)])


def test_entropic_plan_against_sinkhorns_loop():
    xs, ys, xt = gaussians(20, 15)
    cost = cdist(xs, xt, "sqeuclidean")
    kernel = np.exp(-cost / np.median(cost) / 0.3)
    u, v = np.ones(20), np.ones(15)
    for _ in range(3000):
        u = 1 / 20 / (kernel @ v)
        v = 1 / 15 / (kernel.T @ u)
    model = OT(epsilon=0.3).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(model.plan_, u[:, None] * kernel * v, atol=1e-8)
    assert model.marginal_error_ < 1e-6


@pytest.mark.parametrize("plan", PLANS)
def test_marginals_hold(plan):
    model = OT(plan=plan, epsilon=0.3).fit_domains(*gaussians())
    np.testing.assert_allclose(model.plan_.sum(1), 1 / 60, atol=1e-5)
    np.testing.assert_allclose(model.plan_.sum(0), 1 / 50, atol=1e-5)


def test_small_epsilon_is_the_exact_plan_and_a_large_one_the_mean():
    xs, ys, xt = gaussians(30, 30)
    exact = OT(plan="emd").fit_domains(xs, ys, xt)
    near = OT(epsilon=1e-2, sinkhorn_steps=5000).fit_domains(xs, ys, xt)
    unit = np.median(cdist(xs, xt, "sqeuclidean"))
    assert -1e-6 < (near.cost_ - exact.cost_) / unit < 1e-2 * np.log(30)  # what the entropy can be worth
    far = OT(epsilon=1e4).fit_domains(xs, ys, xt).transform(xs, np.ones(30))
    np.testing.assert_allclose(far, np.tile(xt.mean(0), (30, 1)), atol=1e-2)


@pytest.mark.parametrize(("plan", "plain"), [("lpl1", "sinkhorn"), ("l1l2", "sinkhorn"), ("laplace", "emd")])
def test_without_their_term_plans_are_plain(plan, plain):
    data = gaussians()
    a, b = (OT(plan=p, eta=0.0, epsilon=0.3).fit_domains(*data) for p in (plan, plain))
    np.testing.assert_array_equal(a.plan_, b.plan_)


def classes_per_column(plan, ys):
    """How many classes send mass to a target row, as the exponential of an entropy, on average."""
    shares = np.stack([plan[ys == k].sum(0) for k in np.unique(ys)])
    shares /= shares.sum(0)
    return float(np.exp(-(shares * np.log(shares + 1e-300)).sum(0)).mean())


@pytest.mark.parametrize(("plan", "eta"), [("lpl1", 0.3), ("l1l2", 3.0)])
def test_class_terms_keep_classes_apart(plan, eta):
    rng = np.random.default_rng(0)
    xs, ys = classes(60, [[-1, 0], [1, 0]], rng)
    xt, _ = classes(60, [[-1, 1], [1, 1]], rng)
    mixed = classes_per_column(OT(epsilon=0.2).fit_domains(xs, ys, xt).plan_, ys)
    apart = classes_per_column(OT(plan=plan, epsilon=0.2, eta=eta).fit_domains(xs, ys, xt).plan_, ys)
    assert 1 <= apart < mixed - 0.05, (apart, mixed)


@pytest.mark.parametrize("plan", ["emd", "sinkhorn", "laplace"])
def test_labels_play_no_part_without_a_class_term(plan):
    xs, ys, xt = gaussians()
    a = OT(plan=plan).fit_domains(xs, ys, xt)
    b = OT(plan=plan).fit_domains(xs, np.roll(ys, 7) * (np.arange(60) > 9), xt)
    np.testing.assert_array_equal(a.plan_, b.plan_)


def test_laplacian_keeps_neighbours_together():
    xs, ys, xt = gaussians(40, 40)
    near = np.argsort(cdist(xs, xs), axis=1)[:, 1:4]

    def spread(model):
        z = model.transform(xs, np.ones(40))
        return np.square(z[:, None] - z[near]).sum()

    plain = spread(OT(plan="emd").fit_domains(xs, ys, xt))
    assert spread(OT(plan="laplace", eta=10.0, alpha=1.0).fit_domains(xs, ys, xt)) < 0.8 * plain


@pytest.mark.parametrize("plan", PLANS)
def test_scale_rotation_and_shift_of_the_space(plan):
    xs, ys, xt = gaussians(30, 25)
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    a = OT(plan=plan, epsilon=0.3).fit_domains(xs, ys, xt)
    b = OT(plan=plan, epsilon=0.3).fit_domains(100 * xs @ q + 7, ys, 100 * xt @ q + 7)
    np.testing.assert_allclose(a.plan_, b.plan_, atol=1e-7)
    assert b.cost_ == pytest.approx(1e4 * a.cost_, rel=1e-5)


def test_new_source_rows_move_as_their_neighbour_and_target_rows_stay():
    xs, ys, xt = gaussians()
    model = OT().fit_domains(xs, ys, xt)
    moved = model.transform(xs, np.ones(60))
    np.testing.assert_allclose(moved, 60 * model.plan_ @ xt, atol=1e-6)
    np.testing.assert_allclose(model.transform(xs[:5] + 1e-6, np.ones(5)), moved[:5] + 1e-6)
    np.testing.assert_array_equal(model.transform(xt), xt)


def test_far_outliers_need_logarithms():
    xs, ys, xt = gaussians()
    xs[0] = 1e3
    model = OT().fit_domains(xs, ys, xt)
    assert np.isfinite(model.plan_).all()
    assert model.marginal_error_ < 1e-3
    with pytest.raises(ValueError, match="underflowed"):
        OT(plan="lpl1").fit_domains(xs, ys, xt)


def test_too_few_steps_are_said():
    with pytest.warns(ConvergenceWarning, match="misses its marginals"):
        OT(epsilon=0.01, sinkhorn_steps=1).fit_domains(*gaussians())


def turned(seed):
    """Classes on a line, turned by 40 degrees and moved."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-2.0, -1.0], [2.0, -1.0], [0.0, 2.0]])
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    xs, ys = classes(120, centres, rng, noise=0.5)
    xt, yt = classes(120, centres @ turn.T + 1.5, rng, noise=0.5)
    return xs, ys, xt, yt


@pytest.mark.parametrize("plan", PLANS)
def test_it_helps_against_a_small_turn_over_seeds(plan):
    gain = gains(OT(plan=plan), turned, seeds=range(3))
    assert (gain > 0).all(), gain


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"plan": "emd2"}, ValueError, "plan must be one of 'emd'"),
        ({"epsilon": 0}, ValueError, "epsilon must be a number of more than 0"),
        ({"eta": -1}, ValueError, "eta must be a number of at least 0"),
        ({"alpha": 2}, ValueError, "alpha must be a number of at least 0 and at most 1"),
        ({"sinkhorn_steps": 0}, ValueError, "sinkhorn_steps must be an integer of at least 1"),
        ({"plan": "laplace", "neighbours": 50}, ValueError, "neighbours must be an integer from 1 to 49"),
    ],
)
def test_bad_parameters(options, error, words):
    with pytest.raises(error, match=words):
        OT(**options).fit_domains(*gaussians())


def test_all_rows_equal():
    model = OT(plan="emd").fit_domains(np.ones((4, 2)), [0, 1, 0, 1], np.ones((3, 2)))
    np.testing.assert_allclose(model.transform(np.ones((1, 2)), [1]), 1)


def test_target_labels_are_not_read():
    xs, ys, xt = gaussians()
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -1], [60, 50])
    a, b = (OT(plan="lpl1").fit(x, np.append(ys, yt), domain) for yt in (np.zeros(50), np.arange(50) % 7 - 1))
    np.testing.assert_array_equal(a.predict(xt), b.predict(xt))
    np.testing.assert_array_equal(a.transform(xt), b.transform(xt))


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(OT(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
