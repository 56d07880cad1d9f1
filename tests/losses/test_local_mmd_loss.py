"""MMD class by class: the weights, the classes that count, and what it sees that the plain MMD does not."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import local_mmd, mmd

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def batches(n=12, m=9, d=3, k=4, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs = torch.randn(n, d, generator=g, dtype=dtype)
    xt = torch.randn(m, d, generator=g, dtype=dtype) + 0.5
    pt = torch.softmax(3 * torch.randn(m, k, generator=g, dtype=dtype), dim=1)
    return xs.requires_grad_(), xt.requires_grad_(), torch.arange(n) % k, pt


def by_loops(xs, xt, ys, pt, scales):
    """Class by class, pair by pair."""
    xs, xt, ys, pt = (x.detach().numpy() for x in (xs, xt, ys, pt))

    def k(u, v):
        return np.mean([math.exp(-np.sum((u - v) ** 2) / b) for b in scales])

    values = []
    for c in range(pt.shape[1]):
        if not (ys == c).any() or not (pt.argmax(1) == c).any():
            continue
        w, v = (ys == c) / (ys == c).sum(), pt[:, c] / pt[:, c].sum()
        value = sum(w[i] * w[j] * k(xs[i], xs[j]) for i in range(len(xs)) for j in range(len(xs)))
        value += sum(v[i] * v[j] * k(xt[i], xt[j]) for i in range(len(xt)) for j in range(len(xt)))
        value -= 2 * sum(w[i] * v[j] * k(xs[i], xt[j]) for i in range(len(xs)) for j in range(len(xt)))
        values.append(value)
    return np.mean(values) if values else 0.0


def test_by_hand():
    # One class at 0, the other at 1; the target's first at 1 with probability 1, its second split evenly.
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    pt = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    e = math.exp(-1)
    # Class 0: source 0, target 1 with all the weight. Class 1: source 1, target 0 with 2/3 and 1 with 1/3.
    first = 2 - 2 * e
    second = 1 + (4 / 9 + 1 / 9 + 2 * 2 / 9 * e) - 2 * (2 / 3 * e + 1 / 3)
    assert local_mmd(x, x, y, pt, bandwidths=1.0).item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_against_loops(seed):
    given = batches(seed=seed)
    assert local_mmd(*given, bandwidths=FIVE).item() == pytest.approx(by_loops(*given, FIVE), rel=1e-9)


# -- what makes it local ------------------------------------------------------------------------------------


def test_one_class_is_the_biased_mmd():
    xs, xt, _, _ = batches()
    one = torch.zeros(12, dtype=torch.int64), torch.ones(9, 1, dtype=torch.float64)
    for kernel in ("rbf", "laplace", "imq"):
        for bandwidths in (None, FIVE):
            options = {"kernel": kernel, "bandwidths": bandwidths}
            torch.testing.assert_close(local_mmd(xs, xt, *one, **options), mmd(xs, xt, **options))


def test_certain_labels_give_the_mean_of_the_mmds_of_the_classes():
    xs, xt, ys, _ = batches()
    yt = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 3])
    pt = torch.eye(4, dtype=torch.float64)[yt]
    apart = [mmd(xs[ys == c], xt[yt == c], bandwidths=FIVE) for c in range(4)]
    torch.testing.assert_close(local_mmd(xs, xt, ys, pt, bandwidths=FIVE), sum(apart) / 4)


def test_it_sees_classes_that_changed_places():
    x, y = torch.tensor([[0.0], [0.1], [3.0], [3.1]]), torch.tensor([0, 0, 1, 1])
    right = torch.eye(2)[y]
    assert mmd(x, x).item() == 0
    assert local_mmd(x, x, y, right).item() == pytest.approx(0, abs=1e-6)
    assert local_mmd(x, x, y, 1 - right).item() > 0.5


def test_shares_of_the_classes_do_not_count():
    """The plain MMD sees a label shift, this one does not."""
    x, y = torch.tensor([[0.0], [0.0], [3.0], [3.0]]), torch.tensor([0, 0, 1, 1])
    xt, yt = torch.tensor([[0.0], [3.0], [3.0], [3.0], [3.0]]), torch.tensor([0, 1, 1, 1, 1])
    assert mmd(x, xt).item() > 0.05
    assert local_mmd(x, xt, y, torch.eye(2)[yt]).item() == pytest.approx(0, abs=1e-6)


def test_a_class_that_is_missing_on_a_side_does_not_count():
    xs, xt, ys, pt = batches(k=4)
    fewer = ys % 3  # class 3 has no source example
    value = local_mmd(xs, xt, fewer, pt, bandwidths=FIVE).item()
    assert value == pytest.approx(by_loops(xs, xt, fewer, pt, FIVE))
    sure = torch.tensor([[0.9, 0.1, 0.0, 0.0]], dtype=torch.float64).repeat(9, 1)  # nothing but class 0
    value = local_mmd(xs, xt, ys, sure, bandwidths=FIVE).item()
    assert value == pytest.approx(mmd(xs[ys == 0], xt, bandwidths=FIVE).item())
    none = local_mmd(xs, xt, torch.ones(12, dtype=torch.int64), sure)
    none.backward()
    assert none.item() == 0
    assert not xs.grad.any()


def test_no_gradient_reaches_the_probabilities():
    xs, xt, ys, pt = batches()
    logits = pt.log().requires_grad_()
    value = local_mmd(xs, xt, ys, logits.softmax(1))
    value.backward()
    assert logits.grad is None
    assert xs.grad.any()
    assert xt.grad.any()


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
def test_gradient(kernel):
    xs, xt, ys, pt = batches(5, 4, k=2)
    assert gradcheck(lambda a, b: local_mmd(a, b, ys, pt, bandwidths=[1.0, 3.0], kernel=kernel), (xs, xt))


def test_invariances_and_precision():
    xs, xt, ys, pt = batches()
    value = local_mmd(xs, xt, ys, pt).item()
    s, t = torch.randperm(12), torch.randperm(9)
    assert local_mmd(xs[s], xt[t], ys[s], pt[t]).item() == pytest.approx(value)
    assert local_mmd(7 * xs + 30, 7 * xt + 30, ys, pt).item() == pytest.approx(value)
    names = torch.tensor([2, 0, 3, 1])
    assert local_mmd(xs, xt, names[ys], pt[:, names.argsort()]).item() == pytest.approx(value)
    assert local_mmd(xs.float(), xt.float(), ys, pt.float()).item() == pytest.approx(value, rel=1e-4)
    assert local_mmd(xs.float(), xt.float(), ys, pt).dtype == torch.float32
    still = torch.ones(4, 3, requires_grad=True)
    collapsed = local_mmd(still, torch.ones(5, 3), torch.tensor([0, 0, 1, 1]), torch.eye(2)[[0, 1, 1, 0, 0]])
    collapsed.backward()
    assert collapsed.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(still.grad).all()


def test_bad_input():
    x, y, p = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.ones(3, 1)
    for a, b in ((x, torch.zeros(3, 4)), (x[0], x), (x[:1], x)):
        with pytest.raises(ValueError, match="local_mmd needs batches of shape"):
            local_mmd(a, b, y, p)
    for labels, probabilities in ((y[:2], p), (y, p[:2]), (y, y)):
        with pytest.raises(
            ValueError, match=r"a label for each of 3 source examples and probabilities of shape \(3, k\)"
        ):
            local_mmd(x, x, labels, probabilities)
    with pytest.raises(ValueError, match="kernel must be 'rbf', 'laplace' or 'imq'"):
        local_mmd(x, x, y, p, kernel="linear")
