"""The multilinear map, its random form, and the weights by certainty."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import certainty, domain_adversarial, multilinear, randomised_multilinear


def rows(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def test_map_by_hand_and_by_loop():
    f, g = rows(5, 3), rows(5, 4, 1).softmax(1)
    joint = multilinear(f, g)
    for n in range(5):
        for i in range(3):
            for j in range(4):
                assert joint[n, i * 4 + j] == f[n, i] * g[n, j]
    np.testing.assert_array_equal(joint[0], np.kron(f[0], g[0]))


def test_one_class_leaves_the_features_and_a_sure_prediction_picks_its_block():
    f = rows(6, 3)
    assert torch.equal(multilinear(f, torch.ones(6, 1, dtype=f.dtype)), f)
    y = torch.arange(6) % 2
    joint = multilinear(f, torch.nn.functional.one_hot(y, 2).double()).reshape(6, 3, 2)
    assert torch.equal(joint[torch.arange(6), :, y], f)
    assert torch.equal(joint[torch.arange(6), :, 1 - y], torch.zeros_like(f))


def test_inner_products_multiply():
    f, g = rows(4, 3), rows(4, 5, 1).softmax(1)
    joint = multilinear(f, g)
    torch.testing.assert_close(joint @ joint.T, (f @ f.T) * (g @ g.T))


def test_the_random_map_by_loop():
    f, g, rf, rg = rows(4, 3), rows(4, 2, 1), rows(3, 7, 2), rows(2, 7, 3)
    joint = randomised_multilinear(f, g, rf, rg)
    for n in range(4):
        for r in range(7):
            value = sum(float(f[n, i] * rf[i, r]) for i in range(3))
            value *= sum(float(g[n, j] * rg[j, r]) for j in range(2))
            assert joint[n, r].item() == pytest.approx(value / math.sqrt(7))


@pytest.mark.parametrize("signs", [False, True])
def test_the_random_map_keeps_inner_products_on_average(signs):
    f, g = rows(3, 4), rows(3, 5, 1).softmax(1)
    exact = (f @ f.T) * (g @ g.T)
    draws = []
    for seed in range(200):
        rf, rg = rows(4, 50, 2 * seed), rows(5, 50, 2 * seed + 1)
        joint = randomised_multilinear(f, g, *((rf.sign(), rg.sign()) if signs else (rf, rg)))
        draws.append((joint @ joint.T).numpy())
    error = np.std(draws, axis=0, ddof=1) / math.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - exact.numpy()) < 4 * error).all()


def test_certainty_by_hand():
    z = torch.tensor([[0.0, 0.0, 0.0, 0.0], [60.0, 0.0, 0.0, 0.0], [math.log(3.0), 0.0, -200.0, -200.0]])
    h = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert certainty(z).tolist() == pytest.approx([1.25, 2.0, 1 + math.exp(-h)])


def test_temperature_divides_the_logits_and_no_gradient_flows():
    z = rows(6, 3).requires_grad_()
    torch.testing.assert_close(certainty(z, temperature=2.5), certainty(z / 2.5))
    assert not certainty(z).requires_grad
    torch.testing.assert_close(certainty(z + 7.0), certainty(z))
    assert certainty(torch.tensor([[1e30, -1e30], [-torch.inf, 0.0]])).tolist() == [2.0, 2.0]


def test_gradients_of_the_maps():
    f, g = rows(3, 2).requires_grad_(), rows(3, 4, 1).requires_grad_()
    assert gradcheck(multilinear, (f, g))
    assert gradcheck(lambda f, g: randomised_multilinear(f, g, rows(2, 5), rows(4, 5)), (f, g))


def test_weights_of_the_domain_loss_are_copies_of_rows():
    gs, gt = rows(3, 1), rows(2, 1, 1)
    value = domain_adversarial(
        gs, gt, weights_source=torch.tensor([1.0, 3.0, 2.0]), weights_target=torch.tensor([2.0, 1.0])
    )
    copies = domain_adversarial(gs[[0, 1, 1, 1, 2, 2]], gt[[0, 0, 1]])
    assert value.item() == pytest.approx(copies.item())
    scaled = domain_adversarial(gs, gt, weights_source=torch.full((3,), 9.0))
    assert scaled.item() == pytest.approx(domain_adversarial(gs, gt).item())


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"one row an example, got \(2, 3\) and \(3, 3\)"):
        multilinear(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(
        ValueError, match=r"need random matrices of shape \(3, r\) and \(2, r\), got \(3, 4\)"
    ):
        randomised_multilinear(torch.zeros(1, 3), torch.zeros(1, 2), torch.zeros(3, 4), torch.zeros(2, 5))
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        certainty(torch.zeros(2, 2), temperature=0)
    with pytest.raises(ValueError, match="at least one example"):
        certainty(torch.zeros(0, 2))
    with pytest.raises(ValueError, match="the target weights must hold one weight for each of 2 examples"):
        domain_adversarial(torch.zeros(3), torch.zeros(2), weights_target=torch.ones(3))
