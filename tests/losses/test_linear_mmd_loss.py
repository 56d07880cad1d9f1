"""MMD in linear time and the source-invariance term: by hand, by loops, and where they stay finite."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import linear_mmd, mmd, source_invariance


def batches(n=12, m=12, d=3, shift=0.5, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs, xt = (torch.randn(k, d, generator=g, dtype=torch.float64) for k in (n, m))
    return xs.requires_grad_(), (xt + shift).requires_grad_()


def by_loops(xs, xt, kernels=5, bandwidth=None):
    """The formula, a pair at a time."""
    n = min(len(xs), len(xt))
    xs, xt = xs[:n].tolist(), xt[:n].tolist()

    def distance(u, v):
        return sum((a - b) ** 2 for a, b in zip(u, v))

    if bandwidth is None:
        pooled = xs + xt
        bandwidth = sum(distance(u, v) for u in pooled for v in pooled) / (2 * n * (2 * n - 1))
    scales = [bandwidth * 2.0 ** (q - kernels // 2) for q in range(kernels)]

    def k(u, v):
        return sum(math.exp(-distance(u, v) / b) for b in scales)

    total = 0.0
    for i in range(n):
        j = (i + 1) % n
        total += k(xs[i], xs[j]) + k(xt[i], xt[j]) - k(xs[i], xt[j]) - k(xs[j], xt[i])
    return total / n


def test_by_hand():
    # s = 0, 1 and t = 0, 2, one kernel of bandwidth 1. Both steps of the ring see the same four pairs, so the mean is
    # k(0, 1) + k(0, 2) - [k(0, 2) + k(1, 0)]: what is gained inside is paid across.
    s, t = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    assert float(linear_mmd(s, t, kernels=1, bandwidth=1.0)) == pytest.approx(0, abs=1e-7)
    # With t = 2, 0 the rows no longer go together: e^-1 + e^-4 - k(0, 0) - k(1, 2).
    value = linear_mmd(s, t.flip(0), kernels=1, bandwidth=1.0)
    assert float(value) == pytest.approx(math.exp(-1) + math.exp(-4) - 1 - math.exp(-1), rel=1e-6)
    # Three rows and the mean squared distance as bandwidth: pooled points 0, 1, 2, 3, 4, 5 have 30 ordered pairs with
    # squared distances that sum to 210, so b = 7.
    s, t = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[3.0], [4.0], [5.0]])
    inside = 2 * math.exp(-1 / 7) + math.exp(-4 / 7)  # |0-1|, |1-2|, |2-0| in each
    across = sum(math.exp(-((a - b) ** 2) / 7) for a, b in [(0, 4), (1, 5), (2, 3), (1, 3), (2, 4), (0, 5)])
    expected = (2 * inside - across) / 3
    assert float(linear_mmd(s, t, kernels=1)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kernels", "bandwidth"), [(5, None), (1, 1.68), (2, None)])
def test_against_loops(kernels, bandwidth):
    for n, m in ((12, 12), (2, 2), (9, 5)):
        xs, xt = batches(n, m)
        value = linear_mmd(xs, xt, kernels=kernels, bandwidth=bandwidth)
        assert value.item() == pytest.approx(by_loops(xs, xt, kernels, bandwidth), rel=1e-9, abs=1e-12)


def test_on_average_it_is_the_estimate_over_all_pairs():
    xs, xt = (z.detach() for z in batches(6, 6))
    scales = [0.5, 1.0, 2.0, 4.0, 8.0]
    rng = np.random.default_rng(0)
    values = [
        float(linear_mmd(xs[rng.permutation(6)], xt[rng.permutation(6)], bandwidth=2.0)) for _ in range(2000)
    ]
    # Cross pairs: row i meets i + 1 and i - 1, over random orders every pair alike.
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - 5 * float(mmd(xs, xt, bandwidths=scales, unbiased=True))) < 4 * error


def test_equal_batches_a_common_shift_and_swapped_domains():
    xs, xt = batches()
    assert linear_mmd(xs, xs).item() == pytest.approx(0, abs=1e-12)
    moved = linear_mmd(xs + 1000, xt + 1000)
    assert moved.item() == pytest.approx(linear_mmd(xs, xt).item(), rel=1e-8)
    assert linear_mmd(xt, xs).item() == pytest.approx(linear_mmd(xs, xt).item(), rel=1e-10)
    assert linear_mmd(3 * xs, 3 * xt).item() == pytest.approx(linear_mmd(xs, xt).item(), rel=1e-10)


def test_gradients():
    xs, xt = batches(5, 5)
    assert gradcheck(lambda a, b: linear_mmd(a, b, bandwidth=2.0), (xs, xt))
    collapsed = torch.zeros(4, 3, requires_grad=True)
    value = linear_mmd(collapsed, torch.zeros(4, 3))
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(collapsed.grad).all()


# -- the source-invariance term --------------------------------------------------------------------------------


def invariance_by_loops(plain, corrected, y, kept, **options):
    total = 0.0
    for c in range(len(kept)):
        s, t = plain[y == c], corrected[kept[c]]
        if min(len(s), len(t)) >= 2:
            total += by_loops(s, t, **options)
    return total / (2 * len(kept))


@pytest.mark.parametrize("options", [{}, {"kernels": 1, "bandwidth": 1.68}])
def test_invariance_against_loops(options):
    g = torch.Generator().manual_seed(1)
    for n, k in ((12, 3), (32, 10), (5, 4)):
        plain, corrected = (torch.randn(n, 4, generator=g, dtype=torch.float64) for _ in range(2))
        y = torch.randint(k, (n,), generator=g)
        kept = torch.rand(k, n, generator=g) < 0.4
        kept[0] = False  # a class with nothing to compare
        value = source_invariance(plain, corrected, y, kept, **options)
        expected = invariance_by_loops(plain, corrected, y, kept, **options)
        assert float(value) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_invariance_by_hand_uses_rows_with_equal_rank_and_not_equal_row_numbers():
    plain = torch.tensor([[0.0], [5.0], [0.0], [5.0]])
    corrected = torch.tensor([[9.0], [1.0], [9.0], [1.0]])
    y = torch.tensor([0, 1, 0, 1])
    kept = torch.tensor([[False, True, False, True], [False, False, False, False]])
    # class 0 at 0 twice against the kept rows at 1 twice: 2 - 2/e, of which half; class 1 has no kept row
    value = source_invariance(plain, corrected, y, kept, kernels=1, bandwidth=1.0)
    assert float(value) == pytest.approx((2 - 2 / math.e) / 4, rel=1e-6)


def test_invariance_pulls_a_moved_source_back_and_leaves_one_in_place_alone():
    g = torch.Generator().manual_seed(0)
    plain = torch.randn(1000, 2, generator=g, dtype=torch.float64)
    y, kept = torch.zeros(1000, dtype=torch.int64), torch.ones(1, 1000, dtype=torch.bool)
    slopes = {}
    for size in (0.0, 0.5):
        offset = torch.tensor([size, 0.0], dtype=torch.float64, requires_grad=True)
        order = torch.randperm(1000, generator=g)  # other rows than those they are compared with
        source_invariance(plain, plain[order] + offset, y, kept).backward()
        slopes[size] = offset.grad[0].item()
    assert slopes[0.5] > 10 * abs(slopes[0.0])


def test_invariance_gradients():
    g = torch.Generator().manual_seed(2)
    plain, corrected = (
        torch.randn(8, 3, generator=g, dtype=torch.float64).requires_grad_() for _ in range(2)
    )
    y, kept = torch.arange(8) % 2, torch.rand(2, 8, generator=g) < 0.6
    assert gradcheck(lambda a, b: source_invariance(a, b, y, kept, bandwidth=2.0), (plain, corrected))
    assert gradcheck(lambda b: source_invariance(plain.detach(), b, y, kept, bandwidth=2.0), (corrected,))
    alone = torch.tensor([True, False] * 4).expand(2, 8).clone()
    alone[:] = False
    value = source_invariance(plain, corrected, y, alone)
    value.backward()
    assert value.item() == 0
    assert (corrected.grad == 0).all()


def test_bad_input_is_told():
    x, y, kept = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), torch.ones(2, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="at least 2 examples each"):
        linear_mmd(x[:1], x)
    with pytest.raises(ValueError, match="kernels must be a whole number of at least 1, got 0"):
        linear_mmd(x, x, kernels=0)
    for bandwidth in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="bandwidth must be a positive number or None"):
            linear_mmd(x, x, bandwidth=bandwidth)
    with pytest.raises(ValueError, match=r"rows of one shape \(n, d\), y of shape \(n,\) and kept of shape"):
        source_invariance(x, x[:3], y, kept)
    with pytest.raises(ValueError, match="a column for each of the 4 rows"):
        source_invariance(x, x, y, kept[:, :3])
