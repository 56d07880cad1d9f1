import numpy as np
import pytest
import torch

from dakit import methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, same, weights

SOURCE = blobs()
FIVE = (0.5, 1.0, 2.0, 4.0, 8.0)


def mmd_by_loops(s, t, bandwidths):
    """Unbiased MMD² of the mean kernel, pair by pair."""

    def k(u, v):
        return np.mean([np.exp(-np.sum((u - v) ** 2) / b) for b in bandwidths])

    def within(a):
        return np.mean([k(u, v) for i, u in enumerate(a) for j, v in enumerate(a) if i != j])

    return within(s) + within(t) - 2 * np.mean([k(u, v) for u in s for v in t])


@pytest.mark.parametrize("adapt_logits", [False, True])
def test_the_mmd_term_is_the_sum_over_layers_of_an_explicit_loop(adapt_logits):
    method = methods.build(
        "dan",
        SOURCE,
        backbone={"name": "mlp", "hidden": (5,)},
        lambda_=0.7,
        ramp=False,
        bandwidths=FIVE,
        adapt_logits=adapt_logits,
    )
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    layers = [method.features] + [method.logits] * adapt_logits
    expected = sum(
        mmd_by_loops(f(source.x).detach().numpy(), f(target.x).detach().numpy(), FIVE) for f in layers
    )
    assert terms["mmd"].item() == pytest.approx(0.7 * expected, rel=1e-4)


def test_the_mmd_is_zero_on_average_without_a_shift_and_grows_with_it():
    method = methods.build("dan", SOURCE, ramp=False)
    values = {}
    for shift in (0.0, 1.0, 3.0):
        values[shift] = []
        for seed in range(20):
            # Independent draws: balanced classes would make both batches more alike than chance does.
            xs, xt = torch.randn(2, 32, 4, generator=torch.Generator().manual_seed(seed))
            source = Batch(xs, torch.zeros(32, dtype=torch.int64), torch.arange(32), 0)
            target = Batch(xt + shift, None, torch.arange(32), 1)
            values[shift].append(method.losses(source, target, 1.0)["mmd"].item())
    error = np.std(values[0.0], ddof=1) / np.sqrt(20)
    assert abs(np.mean(values[0.0])) < 3 * error, "an estimate without bias is negative half of the time"
    assert min(values[0.0]) < 0 < np.mean(values[1.0]) < np.mean(values[3.0])


def test_lambda_zero_is_source_only():
    target = blobs(shift=2.0, seed=1)
    adapted = fit(methods.build("dan", SOURCE, lambda_=0.0), SOURCE, target, **QUICK)
    plain = fit("source_only", SOURCE, target, **QUICK)
    for k, v in weights(plain).items():
        assert torch.allclose(weights(adapted)[k], v, atol=1e-5), k


def test_the_weight_grows_from_nothing():
    method = methods.build("dan", SOURCE, lambda_=2.0)
    assert method.lambda_at(0.0) == 0.0
    assert method.lambda_at(1.0) == pytest.approx(2 * 0.99991, abs=1e-4)
    assert methods.build("dan", SOURCE, lambda_=2.0, ramp=False).lambda_at(0.0) == 2.0
    assert method.losses(*batch_pair(), 0.0)["mmd"].item() == 0.0


def test_both_domains_feel_the_mmd_and_the_head_only_with_its_logits():
    source, target = batch_pair()
    for adapt_logits in (False, True):
        method = methods.build("dan", SOURCE, ramp=False, adapt_logits=adapt_logits)
        source.x, target.x = (b.x.detach().requires_grad_() for b in (source, target))
        method.losses(source, target, 1.0)["mmd"].backward()
        assert source.x.grad.abs().sum() > 0
        assert target.x.grad.abs().sum() > 0
        assert (method.head.weight.grad is not None) == adapt_logits


def test_it_brings_the_features_together_over_seeds():
    source, target = blobs(200), blobs(200, shift=3.0, seed=1)
    options = {**QUICK, "steps": 150, "lr": 0.05, "snapshots": 2, "batch_size": 32}
    gaps = {}
    for name in ("source_only", "dan"):
        runs = fit(name, source, target, seeds=3, **options)
        last = [r.snapshots[-1] for r in runs]
        gaps[name] = [
            np.linalg.norm(s.source_features.mean(0) - s.target_features.mean(0))
            / s.source_features.std(0).mean()
            for s in last
        ]
    assert max(gaps["dan"]) < min(gaps["source_only"]) / 2, gaps
    a, b = (fit("dan", source, target, seed=1, **options) for _ in range(2))
    assert same(weights(a), weights(b))
