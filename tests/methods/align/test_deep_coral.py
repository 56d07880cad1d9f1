import numpy as np
import pytest
import torch

from dakit import methods
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, weights

SOURCE = blobs()


@pytest.mark.parametrize("layer", ["logits", "features"])
def test_the_coral_term_agrees_with_numpys_covariance(layer):
    method = methods.build(
        "deep_coral", SOURCE, backbone={"name": "mlp", "hidden": (5,)}, lambda_=3.0, layer=layer
    )
    source, target = batch_pair()
    term = method.losses(source, target, 0.5)["coral"].item()
    s, t = (getattr(method, layer)(b.x).detach().numpy().astype(np.float64) for b in (source, target))
    d = s.shape[1]
    assert term == pytest.approx(3 * np.sum((np.cov(s.T) - np.cov(t.T)) ** 2) / (4 * d**2), rel=1e-3)


def test_covariances_do_not_feel_a_translation_and_do_feel_a_scaling():
    method = methods.build("deep_coral", SOURCE, backbone="embedding", layer="features")
    source, target = batch_pair()
    target.x = source.x + 5
    assert method.losses(source, target, 0.0)["coral"].item() == pytest.approx(0.0, abs=1e-8)
    target.x = source.x * 2
    assert method.losses(source, target, 0.0)["coral"].item() > 0.01


def test_lambda_zero_is_source_only():
    target = blobs(shift=2.0, seed=1)
    adapted = fit(methods.build("deep_coral", SOURCE, lambda_=0.0), SOURCE, target, **QUICK)
    plain = fit("source_only", SOURCE, target, **QUICK)
    for k, v in weights(plain).items():
        assert torch.allclose(weights(adapted)[k], v, atol=1e-5), k


def test_both_domains_feel_it_and_the_head_only_with_its_logits():
    source, target = batch_pair()
    target.x = target.x * 2
    for layer in ("features", "logits"):
        method = methods.build("deep_coral", SOURCE, layer=layer)
        source.x, target.x = (b.x.detach().requires_grad_() for b in (source, target))
        method.losses(source, target, 1.0)["coral"].backward()
        assert source.x.grad.abs().sum() > 0
        assert target.x.grad.abs().sum() > 0
        assert (method.head.weight.grad is not None) == (layer == "logits")


def test_it_brings_the_covariances_together_over_seeds():
    source, target = blobs(200), blobs(200, seed=1)
    target = type(target)(
        "stretched", target.x * torch.tensor([1.0, 1.0, 1.0, 4.0]), target.y, target.classes
    )
    options = {**QUICK, "steps": 150, "lr": 0.05, "snapshots": 2, "batch_size": 64}

    def gaps(make):
        last = [fit(make, source, target, seed=s, **options).snapshots[-1] for s in range(3)]
        return [np.linalg.norm(np.cov(s.source_features.T) - np.cov(s.target_features.T)) for s in last]

    adapted = gaps(lambda s: methods.build("deep_coral", source, layer="features", lambda_=1000.0, seed=s))
    plain = gaps("source_only")
    assert max(adapted) < min(plain) / 2, (adapted, plain)
