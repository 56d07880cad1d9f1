"""Losses on feature norms: values, the constant pull of the stepwise one, and what happens at 0."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import hard_feature_norm, stepwise_feature_norm


def batches(n=12, m=9, d=4, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs, xt = torch.randn(n, d, generator=g, dtype=dtype), 3 * torch.randn(m, d, generator=g, dtype=dtype)
    return xs.requires_grad_(), xt.requires_grad_()


def norms(x):
    """By a loop over examples."""
    return [math.sqrt(sum(v**2 for v in row)) for row in x.tolist()]


def test_by_hand():
    xs, xt = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    assert hard_feature_norm(xs, xt, radius=4.0).item() == pytest.approx(1 + 4)
    assert stepwise_feature_norm(xs, xt, step=0.5).item() == pytest.approx(0.25)


def test_the_hard_loss_against_a_loop():
    xs, xt = batches()
    means = [sum(norms(x)) / len(x) for x in (xs, xt)]
    expected = sum((m - 7.0) ** 2 for m in means)
    assert hard_feature_norm(xs, xt, radius=7.0).item() == pytest.approx(expected, rel=1e-12)


def test_the_hard_loss_bounds_means_not_single_norms():
    xs = torch.tensor([[1.0, 0.0], [0.0, 9.0]])
    xt = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    assert hard_feature_norm(xs, xt, radius=5.0).item() == 0


def test_the_hard_loss_changes_its_direction_at_the_radius():
    (xs, xt) = batches()
    mean = sum(norms(xs)) / len(xs)
    for radius, sign in ((0.5 * mean, 1), (2 * mean, -1)):
        (g,) = torch.autograd.grad(hard_feature_norm(xs, xt, radius=radius), xs)
        along = (g * xs).sum(1)  # positive: descent makes the example shorter
        assert (along * sign > 0).all()
        expected = 2 * (mean - radius) / len(xs) * xs / xs.norm(dim=1, keepdim=True)
        torch.testing.assert_close(g, expected)


def test_the_value_of_the_stepwise_loss_is_the_square_of_the_step():
    for seed in range(5):
        xs, xt = batches(seed=seed)
        for scale in (1e-3, 1.0, 1e3):
            assert stepwise_feature_norm(scale * xs, scale * xt, step=0.3).item() == pytest.approx(0.09)


def test_the_stepwise_pull_is_outwards_and_equally_strong_for_every_example():
    xs, xt = batches()
    gs, gt = torch.autograd.grad(stepwise_feature_norm(xs, xt, step=0.3), (xs, xt))
    for x, g in ((xs, gs), (xt, gt)):
        expected = -2 * 0.3 / (12 + 9) * x / x.norm(dim=1, keepdim=True)
        torch.testing.assert_close(g, expected)


def test_one_gradient_step_of_the_right_size_is_the_step():
    """Along the gradient of n + m examples the norm grows by Δr at the rate (n + m) / 2."""
    xs, xt = batches()
    (g,) = torch.autograd.grad(stepwise_feature_norm(xs, xt, step=0.3), xs)
    after = (xs - (12 + 9) / 2 * g).norm(dim=1)
    torch.testing.assert_close(after, xs.norm(dim=1) + 0.3)


def test_the_target_of_the_step_takes_no_gradient():
    """With it the two norms would cancel and nothing would move."""
    xs, xt = batches()
    attached = torch.cat([xs, xt]).norm(dim=1)
    (g,) = torch.autograd.grad((attached - (attached + 0.3)).square().mean(), xs)
    assert g.abs().max() < 1e-12
    (g,) = torch.autograd.grad(stepwise_feature_norm(xs, xt, step=0.3), xs)
    assert g.abs().min() > 0


@pytest.mark.parametrize("loss", [hard_feature_norm, stepwise_feature_norm])
def test_invariances(loss):
    xs, xt = batches()
    value = loss(xs, xt).item()
    turn = torch.linalg.qr(
        torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ).Q
    assert loss(xs @ turn, xt @ turn).item() == pytest.approx(value, rel=1e-10)
    assert loss(xt, xs).item() == pytest.approx(value, rel=1e-12)
    assert loss(xs.flip(0), -xt).item() == pytest.approx(value, rel=1e-12)
    assert loss(xs.float(), xt.float()).item() == pytest.approx(value, rel=1e-5)


def test_gradcheck_of_the_hard_loss():
    assert gradcheck(lambda a, b: hard_feature_norm(a, b, radius=2.0), batches(5, 4))


@pytest.mark.parametrize("loss", [hard_feature_norm, stepwise_feature_norm])
def test_features_of_zero_get_no_gradient_and_no_nan(loss):
    xs = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss(xs, torch.zeros(3, 2)).backward()
    assert torch.isfinite(xs.grad).all()
    assert (xs.grad[0] == 0).all()
    assert xs.grad[1].abs().sum() > 0


@pytest.mark.parametrize("loss", [hard_feature_norm, stepwise_feature_norm])
@pytest.mark.parametrize(("a", "b"), [((3, 2), (3, 4)), ((0, 2), (3, 2)), ((3,), (3,))])
def test_bad_shapes(loss, a, b):
    with pytest.raises(ValueError, match="feature norms need batches of shape"):
        loss(torch.zeros(a), torch.zeros(b))


def test_bad_options():
    for value in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="radius must be a positive, finite number, got"):
            hard_feature_norm(*batches(), radius=value)
        with pytest.raises(ValueError, match="step must be a positive, finite number, got"):
            stepwise_feature_norm(*batches(), step=value)
