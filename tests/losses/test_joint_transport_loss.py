"""Costs of transport in features and labels."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import joint_transport_costs


def batches(n=6, m=5, d=3, k=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs, xt = (torch.randn(r, d, generator=g, dtype=torch.float64) for r in (n, m))
    logits = torch.randn(m, k, generator=g, dtype=torch.float64)
    return xs.requires_grad_(), xt.requires_grad_(), torch.arange(n) % k, logits.requires_grad_()


def test_against_loops():
    xs, xt, ys, logits = batches()
    distance, label = joint_transport_costs(xs, xt, ys, logits)
    assert distance.shape == label.shape == (6, 5)
    for i in range(6):
        for j in range(5):
            assert distance[i, j].item() == pytest.approx(math.dist(xs[i].tolist(), xt[j].tolist()) ** 2)
            p = logits[j].exp() / logits[j].exp().sum()
            assert label[i, j].item() == pytest.approx(-math.log(p[ys[i]].item()))


def test_invariances():
    xs, xt, ys, logits = batches()
    distance, label = joint_transport_costs(xs, xt, ys, logits)
    moved, constant = joint_transport_costs(xs + 3, xt + 3, ys, logits + 2)  # neither shift changes anything
    torch.testing.assert_close(moved, distance)
    torch.testing.assert_close(constant, label)
    torch.testing.assert_close(joint_transport_costs(2 * xs, 2 * xt, ys, logits)[0], 4 * distance)


def test_gradients_reach_the_features_the_logits_and_nothing_else():
    given = batches()
    for which in (0, 1):
        assert gradcheck(
            lambda a, b, z, w=which: joint_transport_costs(a, b, given[2], z)[w],
            (given[0], given[1], given[3]),
        )
    distance, label = joint_transport_costs(*given)
    assert torch.autograd.grad(distance.sum(), given[3], allow_unused=True) == (None,)
    assert torch.autograd.grad(label.sum(), (given[0], given[1]), allow_unused=True) == (None, None)


def test_bad_input():
    x, y, z = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 2)
    for a, b in ((x, torch.zeros(3, 4)), (x[0], x), (x[:0], x)):
        with pytest.raises(ValueError, match="joint_transport_costs needs batches of shape"):
            joint_transport_costs(a, b, y, z)
    for labels, logits in ((y[:2], z), (y, z[:2]), (y, z[0])):
        with pytest.raises(
            ValueError, match=r"a label for each of 3 source examples and logits of shape \(3, k\)"
        ):
            joint_transport_costs(x, x, labels, logits)
