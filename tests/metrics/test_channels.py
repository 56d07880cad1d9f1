import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dakit import metrics


def maps(n, *, scale=1.0, offset=0.0, seed=0, c=3):
    rng = np.random.default_rng(seed)
    return offset + scale * (rng.normal(size=(n, c, 4, 4)) + rng.normal(size=(n, c, 1, 1)))


def test_by_hand():
    # Channel 0: means 0 and 4, variances 1 and 4: (1-4)^2/4/2 + 16 (1 + 1/4) / 2 = 1.125 + 10. Channel 1: equal.
    xs = np.array([[[-2.0, 0.0], [1.0, 1.0]], [[0.0, 2.0], [3.0, 3.0]]])
    xt = np.array([[[2.0, 2.0], [1.0, 1.0]], [[6.0, 6.0], [3.0, 3.0]]])
    assert metrics.channel_divergence(xs, xt) == pytest.approx(11.125 / 2)


def test_it_is_the_sum_of_torchs_two_divergences():
    xs, xt = maps(50), maps(40, scale=2.0, offset=0.3, seed=1)
    gaussians = []
    for x in (xs, xt):
        m = torch.from_numpy(x.mean(axis=(2, 3)))
        gaussians.append(Normal(m.mean(0), m.std(0, correction=0)))
    a, b = gaussians
    expected = (kl_divergence(a, b) + kl_divergence(b, a)).mean()
    assert metrics.channel_divergence(xs, xt) == pytest.approx(float(expected))


def test_zero_on_itself_symmetric_and_blind_to_scale_and_order():
    xs, xt = maps(50), maps(40, scale=2.0, offset=0.3, seed=1)
    value = metrics.channel_divergence(xs, xt)
    assert metrics.channel_divergence(xs, xs) == 0
    assert metrics.channel_divergence(xt, xs) == pytest.approx(value)
    gain, offset = np.array([2.0, -0.1, 30.0])[:, None, None], np.array([5.0, 0.0, -1.0])[:, None, None]
    assert metrics.channel_divergence(gain * xs + offset, gain * xt + offset) == pytest.approx(value)
    assert metrics.channel_divergence(xs[::-1, [2, 0, 1]], xt[:, [2, 0, 1]]) == pytest.approx(value)


def test_only_the_mean_over_the_positions_counts():
    xs, xt = maps(50), maps(40, scale=2.0, seed=1)
    value = metrics.channel_divergence(xs, xt)
    assert metrics.channel_divergence(xs[..., ::-1], xt.reshape(40, 3, 16)) == pytest.approx(value)
    assert metrics.channel_divergence(xs.mean(axis=(2, 3)), xt.mean(axis=(2, 3))) == pytest.approx(value)


def test_of_large_samples_it_is_the_closed_form():
    xs, xt = (np.random.default_rng(s).normal(size=(200_000, 1)) for s in (0, 1))
    assert metrics.channel_divergence(xs, 0.5 + 2 * xt) == pytest.approx(
        9 / 8 + 0.25 * (1 + 1 / 4) / 2, rel=0.03
    )


def test_tensors_and_precisions_agree():
    xs, xt = maps(50), maps(40, scale=2.0, seed=1)
    value = metrics.channel_divergence(xs, xt)
    assert metrics.channel_divergence(torch.from_numpy(xs), torch.from_numpy(xt)) == value
    assert metrics.channel_divergence(xs.astype("f4"), xt.astype("f4")) == pytest.approx(value, rel=1e-5)


def test_constant_channels():
    xs, xt = maps(50), maps(40, seed=1)
    value = metrics.channel_divergence(xs[:, :2], xt[:, :2])
    xs[:, 2], xt[:, 2] = 7.0, 7.0  # constant at one value: no divergence
    assert metrics.channel_divergence(xs, xt) == pytest.approx(value * 2 / 3)
    for there in (8.0, maps(40)[:, 2]):
        xt[:, 2] = there
        with pytest.raises(ValueError, match="1 of 3 channels are constant in one domain"):
            metrics.channel_divergence(xs, xt)
        assert np.isfinite(metrics.channel_divergence(xs, xt, eps=1e-3))


@pytest.mark.parametrize(
    ("xs", "xt", "eps", "words"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), 0, "xs needs at least 2 examples, got 1"),
        (np.zeros((4, 3)), np.zeros((4, 2)), 0, r"shape \(3,\) in xs and \(2,\) in xt"),
        (np.zeros((4, 3, 0)), np.zeros((4, 3, 0)), 0, "xs has no features"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), 0, "hold NaN or infinite values"),
        (np.zeros(4), np.zeros(4), 0, "xs must have shape"),
        (np.zeros((4, 3)), np.zeros((4, 3)), -1, "eps must be a number of at least 0, got -1"),
    ],
)
def test_bad_input_is_told(xs, xt, eps, words):
    with pytest.raises(ValueError, match=words):
        metrics.channel_divergence(xs, xt, eps=eps)
