import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from dakit.models.layers import GradientReversal, GroupNorm, Standardise, activation, gradient_reversal


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 2.0])
def test_reversal_is_the_identity_forward_and_minus_lambda_backward(lambda_):
    x = torch.randn(4, 3, requires_grad=True)
    g = torch.randn(4, 3)
    y = gradient_reversal(x, lambda_)
    assert torch.equal(y, x)
    y.backward(g)
    assert torch.equal(x.grad, -lambda_ * g)


def test_reversal_of_a_tensor_lambda_gives_lambda_no_gradient():
    x = torch.randn(3, requires_grad=True)
    lambda_ = torch.tensor(0.5, requires_grad=True)
    gradient_reversal(x, lambda_).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), -0.5))
    assert lambda_.grad is None


def test_reversed_gradient_of_a_composed_loss_agrees_with_finite_differences():
    # The reversal itself is no derivative, so gradcheck goes over a loss that holds it twice: (-λ)² = λ² is
    # the derivative of the same loss scaled by λ².
    torch.manual_seed(0)
    w = torch.randn(3, 2, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

    def loss(x):
        return torch.sigmoid(gradient_reversal(gradient_reversal(x, 1.0), 1.0) @ w).pow(2).sum()

    assert torch.autograd.gradcheck(loss, (x,))


def test_reversal_under_vmap_and_grad_equals_the_loop():
    torch.manual_seed(0)
    x, lambdas = torch.randn(5, 3), torch.rand(5)

    def loss(row, lambda_):
        return gradient_reversal(row, lambda_).square().sum()

    together = vmap(grad(loss))(x, lambdas)
    assert torch.allclose(together, -lambdas[:, None] * 2 * x, atol=1e-6)
    fixed = vmap(grad(lambda row: loss(row, 2.0)))(x)
    assert torch.allclose(fixed, -4 * x, atol=1e-6)


def test_reversal_layer_uses_its_present_lambda():
    layer = GradientReversal(1.0)
    layer.lambda_ = 3.0
    x = torch.ones(2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [-3.0, -3.0]
    assert "lambda_=3.0" in repr(layer)


def test_standardise_works_on_channels_and_is_not_among_the_weights():
    layer = Standardise([0.0, 1.0], [1.0, 2.0])
    x = torch.full((1, 2, 2, 2), 3.0)
    assert layer(x)[0, 0].unique().tolist() == [3.0]
    assert layer(x)[0, 1].unique().tolist() == [1.0]
    assert not nn.Sequential(layer).state_dict()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_group_norm_is_that_of_torch_in_every_layout(layout):
    x = torch.randn(4, 6, 5, 5).to(memory_format=layout).requires_grad_()
    ours, reference = GroupNorm(3, 6), nn.GroupNorm(3, 6)
    y, expected = ours(x), reference(x)
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=layout)
    weight = torch.randn(4, 6, 5, 5)
    got, wanted = (torch.autograd.grad((out * weight).sum(), x)[0] for out in (y, expected))
    torch.testing.assert_close(got, wanted)


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="unknown activation 'swoosh'; choose one of relu"):
        activation("swoosh")
