"""Conditional adversarial training: what the discriminator sees, whom it weighs, who feels it."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    backbone = {"name": "mlp", "hidden": (6,), "activation": "sigmoid"}
    return methods.build(
        "cdan", SOURCE, backbone=backbone, seed=seed, **{"ramp": False, "hidden": 5, **options}
    )


# -- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entropy", [False, True])
def test_the_losses_by_loop(entropy):
    method = small(entropy=entropy)
    source, target = batch_pair()
    method.head.weight.data *= 5  # predictions of differing certainty
    terms = method.losses(source, target, 0.4)
    total = 0.0
    for batch, sign in ((source, 1.0), (target, -1.0)):
        values, w = [], []
        for x in batch.x:
            f = method.backbone(x[None])[0]
            g = method.head(f).softmax(0)
            score = method.discriminator(torch.outer(f, g).flatten()).item()
            values.append(math.log1p(math.exp(sign * score)))
            h = -sum(float(p) * math.log(float(p)) for p in g)
            w.append(1 + math.exp(-h) if entropy else 1.0)
        total += np.average(values, weights=w)
    assert list(terms) == ["label", "domain"]
    assert terms["domain"].item() == pytest.approx(total, rel=1e-5)
    label = F.cross_entropy(method.head(method.backbone(source.x)), source.y)
    assert terms["label"].item() == pytest.approx(label.item(), rel=1e-5)


def test_a_discriminator_that_knows_nothing_costs_two_log_two():
    for entropy in (False, True):
        method = small(entropy=entropy)
        for p in method.discriminator.parameters():
            p.data.zero_()
        assert method.losses(*batch_pair(), 0.5)["domain"].item() == pytest.approx(2 * math.log(2))


def test_schedules():
    method = methods.build("cdan", SOURCE, lambda_=3.0)
    assert method.lambda_at(0.0) == 0.0
    assert method.lambda_at(1.0) == pytest.approx(3 * 0.99991, abs=1e-4)
    assert method.lr_factor(1.0) == pytest.approx(11**-0.75)
    assert methods.build("cdan", SOURCE, anneal=False).lr_factor(1.0) == 1.0


def test_the_map_is_randomised_above_its_limit_only():
    assert not small(map_limit=12).randomised  # 6 features, 2 classes
    method = small(map_limit=11, map_dim=50)
    assert method.randomised
    f = method.features(SOURCE.x)
    assert method.joint(f, method.head(f)).shape == (len(SOURCE), 50)
    # Fixed through training, saved with the weights, and the same for the same seed.
    before = method.rf.clone()
    run = fit(method, SOURCE, TARGET, **QUICK)
    assert torch.equal(run.method.rf, before)
    assert {"rf", "rg"} <= set(method.state_dict())
    assert torch.equal(small(map_limit=11, map_dim=50).rf, before)
    assert not torch.equal(small(seed=1, map_limit=11, map_dim=50).rf, before)


# -- what makes it CDAN -----------------------------------------------------------------------------------------


def test_it_tells_apart_joint_distributions_whose_two_margins_agree():
    """Features and predictions agree one by one, their pairing does not: DANN's discriminator has nothing to see."""
    method = small(hidden=0, detach=True)
    f = torch.tensor([[1.0], [-1.0]]).repeat(1, 6)
    z = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])
    paired, crossed = method.joint(f, z), method.joint(f, z.flip(0))
    torch.testing.assert_close(paired.mean(0), -crossed.mean(0))
    assert paired.mean(0).abs().min() > 0.4


def test_equal_certainty_makes_entropy_conditioning_void():
    plain, weighted = small(), small(entropy=True)
    for m in (plain, weighted):
        m.head.weight.data.zero_()
        m.head.bias.data = torch.tensor([0.3, -0.2])
    a, b = (m.losses(*batch_pair(), 0.5)["domain"].item() for m in (plain, weighted))
    assert a == pytest.approx(b, rel=1e-6)
    plain.head.weight.data.normal_(generator=torch.Generator().manual_seed(0)).mul_(4)
    weighted.head.load_state_dict(plain.head.state_dict())
    for m in (plain, weighted):
        m.discriminator[4].weight.data *= 20  # an opinion on each example, so that the weights matter
    a, b = (m.losses(*batch_pair(), 0.5)["domain"].item() for m in (plain, weighted))
    assert abs(a - b) > 1e-4


def gradients(method, term):
    method.zero_grad()
    method.losses(*batch_pair(), 0.5)[term].backward()
    return {n: None if p.grad is None else p.grad.clone() for n, p in method.named_parameters()}


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("detach", [True, False])
def test_predictions_and_weights_are_conditions_unless_asked_otherwise(entropy, detach):
    found = gradients(small(entropy=entropy, detach=detach), "domain")
    head = found["head.weight"]
    assert (head is None or not head.any()) == detach
    assert found["backbone.layers.1.weight"].abs().sum() > 0


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("map_limit", [4096, 0])
def test_the_sign_flips_below_the_map_and_not_in_the_discriminator(detach, map_limit):
    options = {"entropy": True, "detach": detach, "map_limit": map_limit, "map_dim": 30}
    one, two, none = (gradients(small(lambda_=v, **options), "domain") for v in (1.0, 2.0, 0.0))
    for name, value in one.items():
        if value is None:
            continue
        factor = 1 if name.startswith("discriminator") else 2
        torch.testing.assert_close(two[name], factor * value)
        if factor == 2:
            assert not none[name].any()
    # Against the loss written without reversal: the backbone climbs it.
    method = small(**{**options, "lambda_": 1.0})
    source, target = batch_pair()
    f = method.features(torch.cat([source.x, target.x]))
    z = method.head(f)
    w = 1 + torch.distributions.Categorical(logits=z.detach()).entropy().neg().exp()
    s = method.domain_logits(method.joint(f, z))
    loss = (w[:12] * F.softplus(s[:12])).sum() / w[:12].sum() + (w[12:] * F.softplus(-s[12:])).sum() / w[
        12:
    ].sum()
    plain = torch.autograd.grad(loss, method.backbone.layers[1].weight)[0]
    torch.testing.assert_close(one["backbone.layers.1.weight"], -plain)


@pytest.mark.parametrize("options", [{}, {"entropy": True}, {"map_limit": 0, "map_dim": 20}])
def test_lambda_zero_takes_the_path_of_source_only(options):
    settings = {**QUICK, "schedule": "constant"}
    adapted = weights(fit(methods.build("cdan", SOURCE, lambda_=0.0, **options), SOURCE, TARGET, **settings))
    for key, value in weights(fit("source_only", SOURCE, TARGET, **settings)).items():
        assert torch.allclose(adapted[key], value, atol=1e-5), key


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    make = {"entropy": True}
    runs = [
        weights(fit(methods.build("cdan", SOURCE, **make), SOURCE, t, seed=2, **QUICK))
        for t in (TARGET, TARGET, poisoned(TARGET))
    ]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_the_discriminators_accuracy_is_balanced():
    method = small(hidden=0)
    method.discriminator.weight.data.zero_()
    method.discriminator.bias.data.fill_(1.0)  # always answers target
    assert method.diagnostics(torch.zeros(30, 6), torch.zeros(10, 6)) == {"discriminator_accuracy": 0.5}


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"lambda_": -1}, "lambda_ must be a number of at least 0, got -1"),
        ({"hidden": -2}, "hidden must be an integer of at least 0, got -2"),
        ({"map_dim": 0}, "map_dim must be an integer of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)
    with pytest.raises(TypeError, match=r"map_limit must be an integer of at least 0, got 1\.5"):
        small(map_limit=1.5)


# -- it works ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entropy", [False, True])
def test_it_learns_to_ignore_a_feature_that_shifts(entropy):
    """The last feature moves by 6 and tells no class; target predictions are mostly right, as the method assumes.

    The rate of learning is the default of fit: at 0.05 the two players of this world can run away from each other.
    """
    source, target = blobs(300), blobs(300, shift=6.0, seed=1, name="moved")
    options = {**QUICK, "steps": 400, "batch_size": 64, "snapshots": 0, "seeds": 3}
    backbone = {"name": "mlp", "hidden": (16, 8)}

    def accuracy(name, **hyperparameters):
        make = lambda s: methods.build(name, source, backbone=backbone, seed=s, **hyperparameters)  # noqa: E731
        return fit(make, source, target, **options).accuracies(target)

    plain, adapted = accuracy("source_only"), accuracy("cdan", hidden=32, entropy=entropy)
    assert adapted.mean() > plain.mean(), (plain, adapted)
