"""The loss of the discriminator."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import binary_cross_entropy

from dakit.losses import domain_adversarial


def test_by_hand():
    # Source scored 1/4 target, target scored 3/4 target: both lose log 4/3.
    g = math.log(3)
    value = domain_adversarial(torch.tensor([-g, -g]), torch.tensor([g]))
    assert float(value) == pytest.approx(2 * math.log(4 / 3))
    assert float(domain_adversarial(torch.zeros(3), torch.zeros(7))) == pytest.approx(2 * math.log(2))


def test_against_torch():
    gs, gt = torch.randn(8, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    expected = binary_cross_entropy(gs.sigmoid(), torch.zeros(8, dtype=torch.float64)) + binary_cross_entropy(
        gt.sigmoid(), torch.ones(5, 1, dtype=torch.float64)
    )
    assert float(domain_adversarial(gs, gt)) == pytest.approx(float(expected))
    assert float(domain_adversarial(gs[:, None], gt)) == pytest.approx(float(expected))


def test_source_is_0_and_target_is_1():
    sure = torch.full((4,), 6.0)
    assert float(domain_adversarial(-sure, sure)) < 0.01 < 10 < float(domain_adversarial(sure, -sure))


def test_domains_weigh_alike_whatever_the_batch_sizes():
    gs, gt = torch.randn(4), torch.randn(3)
    torch.testing.assert_close(domain_adversarial(gs.repeat(9), gt), domain_adversarial(gs, gt))


def test_gradient_also_of_extreme_scores():
    gs, gt = (torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (4, 3))
    assert gradcheck(domain_adversarial, (gs, gt))
    extreme = torch.tensor([-1e4, 1e4], requires_grad=True)
    value = domain_adversarial(extreme, extreme)
    value.backward()
    assert math.isfinite(float(value))
    torch.testing.assert_close(extreme.grad, torch.tensor([-0.5, 0.5]))


@pytest.mark.parametrize("shape", [(3, 2), (0,), (3, 1, 1)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="the target domain logits must hold one score per example"):
        domain_adversarial(torch.zeros(2), torch.zeros(shape))
