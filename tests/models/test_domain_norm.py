"""Batch norm by domain: each side has its own statistics, and its own scale and shift where they are separate."""

import pytest
import torch
from torch import nn

from dakit import models
from dakit.models.domain_norm import DomainBatchNorm, split_by_domain
from dakit.models.ibn import InstanceBatchNorm


def on(layer, side):
    layer.side = side
    return layer


def drawn(n=8, seed=0, offset=0.0):
    return offset + torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def test_by_hand():
    layer = DomainBatchNorm(nn.BatchNorm1d(1, eps=1e-12, momentum=1.0))
    assert on(layer, "source")(torch.tensor([[0.0], [2.0]])).flatten().tolist() == pytest.approx([-1, 1])
    assert on(layer, "target")(torch.tensor([[10.0], [14.0]])).flatten().tolist() == pytest.approx([-1, 1])
    layer.eval()
    # Running variances are torch's, divided by n - 1: 2 and 8.
    assert on(layer, "source")(torch.tensor([[3.0]])).item() == pytest.approx(2 / 2**0.5)
    assert on(layer, "target")(torch.tensor([[3.0]])).item() == pytest.approx(-9 / 8**0.5)


@pytest.mark.parametrize("affine", ["shared", "separate"])
@pytest.mark.parametrize("mode", [True, False])
def test_each_side_is_a_batch_norm_of_its_own(affine, mode):
    layer = DomainBatchNorm(nn.BatchNorm1d(3), affine=affine)
    plain = {"source": nn.BatchNorm1d(3), "target": nn.BatchNorm1d(3)}
    for _ in range(3):
        for seed, (side, norm) in enumerate(plain.items()):
            x = drawn(seed=seed, offset=5.0 * seed)
            assert torch.allclose(on(layer, side)(x), norm(x), atol=1e-6)
    layer.train(mode)
    for side, norm in plain.items():
        assert torch.allclose(on(layer, side)(drawn()), norm.train(mode)(drawn()), atol=1e-6)


def test_parameters_are_shared_or_separate():
    for affine, count in (("shared", 6), ("separate", 12)):
        layer = DomainBatchNorm(nn.BatchNorm1d(3), affine=affine)
        assert sum(p.numel() for p in layer.parameters()) == count
        on(layer, "source")(drawn()).pow(3).sum().backward()
        moved = {n for n, p in layer.named_parameters() if p.grad is not None}
        assert moved == (
            {"weight", "bias"} if affine == "shared" else {"norms.source.weight", "norms.source.bias"}
        )
    shared = DomainBatchNorm(nn.BatchNorm1d(3))
    shared.weight.data.fill_(2.0)
    plain = nn.BatchNorm1d(3)
    assert torch.allclose(on(shared, "target")(drawn()), 2 * plain(drawn()), atol=1e-6)


def test_one_side_never_touches_the_others_statistics():
    layer = DomainBatchNorm(nn.BatchNorm1d(3))
    on(layer, "target")(drawn(offset=7.0))
    assert torch.equal(layer.norms["source"].running_mean, torch.zeros(3))
    assert (layer.norms["target"].running_mean > 0.5).all()


def test_both_sides_start_as_the_layer_they_replace():
    norm = nn.BatchNorm1d(3)
    norm(drawn(offset=2.0))
    nn.init.normal_(norm.weight)
    norm.eval()
    for affine in ("shared", "separate"):
        layer = DomainBatchNorm(norm, affine=affine).eval()
        for side in ("source", "target"):
            assert torch.allclose(on(layer, side)(drawn()), norm(drawn()), atol=1e-6)


def test_all_batch_norms_of_a_model_are_replaced_once():
    model = models.build("resnet8", (3, 16, 16), width=4, ibn="a")
    x = torch.rand(4, 3, 16, 16)
    before = model.eval()(x)
    assert split_by_domain(model) == 9
    assert split_by_domain(model) == 9, "a second time changes nothing"
    assert isinstance(model.layer1[0].bn1, InstanceBatchNorm)
    assert isinstance(model.layer1[0].bn1.batch, DomainBatchNorm)
    outside = [
        n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d) and ".norms." not in f".{n}."
    ]
    assert not outside
    assert torch.allclose(model.eval()(x), before, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_a_model_without_batch_norm_is_refused(name):
    model = models.build(name, (3, 16, 16))
    with pytest.raises(ValueError, match=f'backbone {name} has no batch norm.*"lenet", "norm": "batch"'):
        split_by_domain(model)
    with pytest.raises(ValueError, match="affine must be 'shared' or 'separate', got 'both'"):
        DomainBatchNorm(nn.BatchNorm1d(2), affine="both")
