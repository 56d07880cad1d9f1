"""Fishr: variances of single gradients, their moving mean, and a shortcut let go."""

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, coloured, mean_accuracy, takes_the_path_of_erm
from tests.training.toys import QUICK


def small(**hyper):
    hyper = {"rescale": False, **hyper}
    return methods.build("fishr", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def variances(method, parts):
    """Per source, from the gradient of every example: (m, k, d + 1)."""

    def one(head, f, y):
        return cross_entropy(functional_call(method.head, head, (f[None],)), y[None])

    head = {k: v.detach() for k, v in method.head.named_parameters()}
    found = []
    for p in parts:
        g = vmap(grad(one), in_dims=(None, 0, 0))(head, method.features(p.x), p.y)
        found.append(torch.cat([g["weight"], g["bias"][:, :, None]], dim=2).var(dim=0, correction=0))
    return torch.stack(found)


def spread(v):
    return (v - v.mean(0)).square().mean().item()


def test_the_losses_over_two_steps_against_single_gradients():
    """From 0: v̄ = (1 - γ) v, then γ (1 - γ) v + (1 - γ) v'; and divided by 1 - γ."""
    method = small(lambda_=7.0, anneal=0.0, ema=0.9)
    first, second = batch_of(SOURCES), batch_of([d.subset(slice(20, 40)) for d in SOURCES])
    v = variances(method, first.parts())
    terms = method.losses(first, None, 0.5)
    assert list(terms) == ["label", "fishr"]
    risk = torch.stack([cross_entropy(method.logits(p.x), p.y) for p in first.parts()]).mean()
    assert terms["label"].item() == pytest.approx(risk.item(), rel=1e-5)
    assert terms["fishr"].item() == pytest.approx(7 * spread(v), rel=1e-3)
    assert torch.allclose(method.variances, 0.1 * v, atol=1e-7)
    w = variances(method, second.parts())
    assert method.losses(second, None, 0.5)["fishr"].item() == pytest.approx(
        7 * spread(0.9 * v + w), rel=1e-3
    )


def test_sources_whose_gradients_vary_alike_cost_nothing():
    batch = batch_of([SOURCES[0]] * 3)
    assert small(anneal=0.0).losses(batch, None, 0.5)["fishr"].item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_flows_through_the_newest_step_only_and_into_backbone_and_head():
    method, batch = small(lambda_=1.0, anneal=0.0, ema=0.9), batch_of(SOURCES)
    method.losses(batch, None, 0.5)
    assert not method.variances.requires_grad
    method.losses(batch, None, 0.5)["fishr"].backward()
    assert all(p.grad.abs().sum() > 0 for p in (method.head.weight, next(method.backbone.parameters())))


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.0), (0.29, 0.0), (0.3, 50.0), (1.0, 50.0)])
def test_the_weight_and_the_rescaling_over_progress(progress, weight):
    plain, scaled = (
        small(lambda_=50.0, rescale=r).losses(batch_of(SOURCES), None, progress) for r in (False, True)
    )
    v = variances(small(), batch_of(SOURCES).parts())
    assert plain["fishr"].item() == pytest.approx(weight * spread(v), rel=1e-3)
    for key in plain:
        assert scaled[key].item() == pytest.approx(plain[key].item() / max(1.0, weight), rel=1e-5)
    assert small(anneal=1.0).weight_at(1.0) == 0


def test_lambda_zero_takes_the_path_of_erm():
    assert takes_the_path_of_erm("fishr", lambda_=0.0)
    assert not takes_the_path_of_erm("fishr", lambda_=5.0, anneal=0.0)


def test_one_domain_costs_nothing():
    method = methods.build("fishr", SOURCES[0])
    assert method.losses(batch_of(SOURCES[:1]), None, 1.0)["fishr"].item() == 0


def test_the_moving_mean_is_saved(tmp_path):
    run = fit("fishr", SOURCES, None, **QUICK)
    run.save(tmp_path)
    assert torch.equal(type(run).load(tmp_path).method.variances, run.method.variances)
    assert run.method.variances.abs().sum() > 0


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="lambda_ must be a number of at least 0, got -1"):
        small(lambda_=-1)
    with pytest.raises(ValueError, match="ema must be a number of at least 0"):
        small(ema=1.0)
    with pytest.raises(ValueError, match="this Fishr was built for 3 sources, the batch holds 2"):
        small().losses(batch_of(SOURCES[:2]), None, 0.0)
    with pytest.raises(ValueError, match="Fishr needs at least 2 source domains, got 1"):
        fit("fishr", SOURCES[0], None, **QUICK)


def test_it_lets_go_of_a_colour_that_erm_follows():
    """At its defaults, with Adam as in the paper."""
    sources, unseen = coloured()
    fitting = {"steps": 300, "optimizer": "adam", "lr": 0.01}
    erm, fishr = (mean_accuracy(name, sources, unseen, fitting=fitting) for name in ("erm", "fishr"))
    assert erm < 0.5 < fishr, (erm, fishr)
