"""uLSIF, RuLSIF and KLIEP: closed forms against loops and optimisers, and what they choose."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics.pairwise import rbf_kernel

from dakit.metrics.density_ratio import PENALTIES, kliep_weights, leave_one_out_risks, ulsif_weights


def gaussians(n, m, shift=0.7, d=1, seed=0):
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    xt[:, 0] += shift
    return xs, xt, np.exp(shift * xs[:, 0] - shift**2 / 2)


@pytest.mark.parametrize(("n", "m"), [(14, 14), (20, 9), (8, 17)])
def test_leave_one_out_against_a_loop(n, m):
    rng = np.random.default_rng(0)
    phi_s, phi_t = rng.random((n, 5)), rng.random((m, 5))
    for penalty, risk in zip((0.01, 1.0), leave_one_out_risks(phi_s, phi_t, (0.01, 1.0))):
        terms = []
        for i in range(min(n, m)):
            rest_s, rest_t = np.delete(phi_s, i, 0), np.delete(phi_t, i, 0)
            h = rest_s.T @ rest_s / (n - 1)
            a = np.maximum(np.linalg.solve(h + penalty * np.eye(5), rest_t.mean(0)), 0)
            terms.append((phi_s[i] @ a) ** 2 / 2 - phi_t[i] @ a)
        assert risk == pytest.approx(np.mean(terms), rel=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_least_squares_by_its_formula(alpha):
    xs, xt, _ = gaussians(60, 40, d=2)
    phi_s, phi_t = rbf_kernel(xs, xt, 0.5), rbf_kernel(xt, xt, 0.5)
    moments = (1 - alpha) * phi_s.T @ phi_s / 60 + alpha * phi_t.T @ phi_t / 40
    a = np.maximum(np.linalg.solve(moments + 0.1 * np.eye(40), phi_t.mean(0)), 0)
    found = ulsif_weights(xs, xt, alpha=alpha, bandwidth=2.0, lambda_=0.1)
    np.testing.assert_allclose(found.values * found.raw_mean, phi_s @ a, rtol=1e-9)
    assert found.chosen == pytest.approx({"bandwidth": 2.0, "lambda_": 0.1, "alpha": alpha})


def test_kliep_against_a_general_optimiser():
    xs, xt, _ = gaussians(60, 8, d=2)
    phi_s, phi_t = rbf_kernel(xs, xt, 0.5), rbf_kernel(xt, xt, 0.5)
    best = minimize(
        lambda a: -np.log(np.maximum(phi_t @ a, 1e-300)).mean(),
        np.full(8, 1 / phi_s.mean(0).sum()),
        bounds=[(0, None)] * 8,
        constraints={"type": "eq", "fun": lambda a: (phi_s @ a).mean() - 1},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    found = kliep_weights(xs, xt, bandwidth=2.0)
    assert found.raw_mean == pytest.approx(1)
    assert found.chosen["log_likelihood"] <= -best.fun + 1e-8
    assert found.chosen["log_likelihood"] >= -best.fun - found.chosen["gap"] - 1e-8
    np.testing.assert_allclose(found.values, phi_s @ best.x, atol=0.02)


def test_kliep_likelihood_estimates_the_divergence():
    # KL(N(0.7, 1), N(0, 1)) = 0.7² / 2
    xs, xt, _ = gaussians(4000, 4000)
    assert kliep_weights(xs, xt).chosen["log_likelihood"] == pytest.approx(0.245, abs=0.05)


def test_relative_ratio_is_bounded_and_right():
    xs, xt, truth = gaussians(3000, 3000, shift=1.0)
    found = ulsif_weights(xs, xt, alpha=0.5)
    raw = found.values * found.raw_mean
    relative = truth / (0.5 * truth + 0.5)
    assert raw.max() < 2.3  # 1/alpha, and the error of the fit
    assert np.corrcoef(raw, relative)[0, 1] > 0.98
    assert np.mean(np.square(raw - relative)) < 0.02
    plain = ulsif_weights(xs, xt)
    assert found.effective_sample_size > plain.effective_sample_size


def test_choices_follow_the_data():
    # A narrow bump inside a wide source needs a narrower kernel than a mere shift.
    rng = np.random.default_rng(0)
    wide = rng.uniform(-3, 3, size=(800, 1))
    bump, shifted = rng.normal(0, 0.1, size=(800, 1)), rng.uniform(-2, 4, size=(800, 1))
    for estimate in (ulsif_weights, kliep_weights):
        assert estimate(wide, bump).chosen["bandwidth"] < estimate(wide, shifted).chosen["bandwidth"]
    assert ulsif_weights(wide, bump).chosen["lambda_"] in PENALTIES


def test_number_of_centres_and_seed():
    xs, xt, _ = gaussians(100, 100)
    for estimate in (ulsif_weights, kliep_weights):
        a, again, b = (estimate(xs, xt, centres=10, seed=s).values for s in (0, 0, 1))
        np.testing.assert_array_equal(a, again)
        assert (a != b).any()
        np.testing.assert_allclose(
            estimate(xs, xt, centres=100, bandwidth=1.0).values,
            estimate(xs, xt, centres=500, bandwidth=1.0).values,
        )


def test_a_target_out_of_reach():
    xs, xt = np.linspace(0, 1, 20)[:, None], np.linspace(1000, 1001, 20)[:, None]
    with pytest.raises(ValueError, match="so far from the source"):
        kliep_weights(xs, xt, bandwidth=0.1)
    with pytest.raises(ValueError, match="outside the source"):
        ulsif_weights(xs, xt, bandwidth=0.1, lambda_=0.1)


@pytest.mark.parametrize("estimate", [ulsif_weights, kliep_weights])
def test_bad_options(estimate):
    xs, xt, _ = gaussians(20, 20)
    with pytest.raises(ValueError, match="bandwidth must be a positive number, got -1"):
        estimate(xs, xt, bandwidth=-1)
    with pytest.raises(ValueError, match="centres must be a positive number, got 0"):
        estimate(xs, xt, centres=0)
    if estimate is ulsif_weights:
        with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\), got 1"):
            estimate(xs, xt, alpha=1)
        with pytest.raises(ValueError, match="lambda_ must be a positive number"):
            estimate(xs, xt, lambda_=0)
