"""Moments of several sources and a target."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import moment_distances, source_moment_distance


def batches(sizes=(5, 7, 4), d=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, dtype=torch.float64, generator=g) for n in sizes], torch.randn(
        6, d, dtype=torch.float64, generator=g
    )


def test_by_hand():
    # Means 1, 3 and 1; mean squares 2, 10 and 1.
    a, b, t = (torch.tensor(v)[:, None] for v in ([0.0, 2.0], [2.0, 4.0], [1.0, 1.0]))
    a[1] = 2.0
    assert moment_distances([a, b], t).tolist() == [1, 11]
    assert source_moment_distance([a, b], t).item() == (0 + 2) / 2 + 2 + (1 + 9) / 2 + 8
    assert source_moment_distance([a, b], t, moments=1).item() == 3


@pytest.mark.parametrize("moments", [1, 2, 4])
def test_against_loops(moments):
    xs, xt = batches()
    total = 0.0
    for k in range(1, moments + 1):
        e = [sum(row**k for row in x) / len(x) for x in (*xs, xt)]
        total += sum(float((m - e[3]).norm()) for m in e[:3]) / 3
        total += sum(float((e[i] - e[j]).norm()) for i, j in itertools.combinations(range(3), 2)) / 3
    assert float(source_moment_distance(xs, xt, moments=moments)) == pytest.approx(total)
    d = moment_distances(xs, xt, moments=moments)
    one = [float(source_moment_distance([x], xt, moments=moments)) for x in xs]  # a source has no other
    assert d.tolist() == pytest.approx(one)


def test_one_moment_of_one_source_is_the_distance_of_means():
    (x, *_), xt = batches()
    d = source_moment_distance([x], xt, moments=1)
    torch.testing.assert_close(d, (x.mean(0) - xt.mean(0)).norm())


def test_invariances():
    xs, xt = batches()
    value = source_moment_distance(xs, xt)
    torch.testing.assert_close(source_moment_distance(xs[::-1], xt), value)  # order of the sources
    torch.testing.assert_close(source_moment_distance([x.flip(0) for x in xs], xt), value)  # of the rows
    torch.testing.assert_close(source_moment_distance([x.repeat(3, 1) for x in xs], xt), value)
    order = [2, 0, 1]
    torch.testing.assert_close(source_moment_distance([x[:, order] for x in xs], xt[:, order]), value)
    shifted = source_moment_distance([x + 2 for x in xs], xt + 2, moments=1)
    torch.testing.assert_close(shifted, source_moment_distance(xs, xt, moments=1))
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turned = source_moment_distance([x @ turn for x in xs], xt @ turn, moments=1)
    torch.testing.assert_close(turned, source_moment_distance(xs, xt, moments=1))


def test_equal_domains_are_at_zero_with_gradient_zero():
    x = torch.randn(5, 3, requires_grad=True)
    value = source_moment_distance([x, x], x)
    value.backward()
    assert value.item() == 0
    assert not x.grad.any()


def test_second_moments_see_what_means_do_not():
    x = torch.randn(50, 2, dtype=torch.float64)
    x = x - x.mean(0)
    assert source_moment_distance([x, 3 * x], x, moments=1).item() == pytest.approx(0, abs=1e-12)
    assert source_moment_distance([x, 3 * x], x, moments=2).item() > 1


def test_gradients():
    xs, xt = batches()
    inputs = tuple(x.requires_grad_() for x in (*xs, xt))
    assert gradcheck(lambda *v: source_moment_distance(v[:3], v[3], moments=3), inputs)
    assert gradcheck(lambda *v: moment_distances(v[:3], v[3]), inputs)


@pytest.mark.parametrize("function", [moment_distances, source_moment_distance])
def test_bad_input_is_told(function):
    x = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="at least one source, got none"):
        function([], x)
    with pytest.raises(ValueError, match=r"got \(3, 1\) for source 1 and \(3, 2\) for the target"):
        function([x, x[:, :1]], x)
    with pytest.raises(ValueError, match=r"got \(0, 2\) for source 0"):
        function([x[:0]], x)
    with pytest.raises(ValueError, match=r"got \(3,\) for the target"):
        function([x], x[:, 0])
    with pytest.raises(ValueError, match="moments, the highest order K, must be a whole number"):
        function([x], x, moments=0)
