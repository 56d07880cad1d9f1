"""Domain-adversarial training: the reversal, the two players, both schedules, and what it reaches."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dakit import domains, losses, methods, metrics
from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def shallow(**options):
    """One hidden layer on flat features, λ kept constant."""
    small = {"name": "mlp", "hidden": (6,), "activation": "sigmoid"}
    return methods.build("dann", SOURCE, backbone=small, **{"ramp": False, "hidden": 0, **options})


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_by_hand():
    method = shallow(hidden=5)
    source, target = batch_pair()
    terms = method.losses(source, target, 0.4)
    fs, ft = method.features(source.x), method.features(target.x)
    g_s, g_t = torch.sigmoid(method.domain_logits(fs)), torch.sigmoid(method.domain_logits(ft))
    domain = -torch.log(1 - g_s).mean() - torch.log(g_t).mean()
    label = -torch.log_softmax(method.head(fs), dim=1)[torch.arange(12), source.y].mean()
    assert list(terms) == ["label", "domain"]
    assert torch.allclose(terms["label"], label, atol=1e-6)
    assert torch.allclose(terms["domain"], domain, atol=1e-6)


def test_a_discriminator_that_knows_nothing_costs_two_log_two():
    method = shallow()
    for p in method.discriminator.parameters():
        p.data.zero_()
    assert method.losses(*batch_pair(), 0.5)["domain"].item() == pytest.approx(2 * math.log(2))


def test_both_schedules_at_their_ends():
    method = methods.build("dann", SOURCE)
    assert method.lambda_at(0.0) == 0.0
    assert method.lambda_at(1.0) == pytest.approx(0.99991, abs=1e-5)
    assert 0.01 * method.lr_factor(0.0) == 0.01
    assert 0.01 * method.lr_factor(1.0) == pytest.approx(0.00166, abs=1e-5)
    assert methods.build("dann", SOURCE, lambda_=3.0).lambda_at(1.0) == pytest.approx(3 * 0.99991, abs=1e-4)
    assert methods.build("dann", SOURCE, lambda_=3.0, ramp=False).lambda_at(0.0) == 3.0
    assert methods.build("dann", SOURCE, anneal=False).lr_factor(1.0) == 1.0


def test_fit_follows_both_schedules():
    seen = []
    method = methods.build("dann", SOURCE)
    inner = method.lambda_at
    method.lambda_at = lambda p: seen.append(inner(p)) or seen[-1]
    run = fit(method, SOURCE, TARGET, **{**QUICK, "log_every": 1})
    p = np.linspace(0, 1, QUICK["steps"])
    assert seen == pytest.approx(2 / (1 + np.exp(-10 * p)) - 1)
    assert run.history["lr"].iloc[1:].to_numpy() == pytest.approx(0.01 * (1 + 10 * p) ** -0.75)


# -- what makes it DANN -----------------------------------------------------------------------------------------


def parameters(method):
    return {
        "f": list(method.backbone.parameters()),
        "y": list(method.head.parameters()),
        "d": list(method.discriminator.parameters()),
    }


@pytest.mark.parametrize("lambda_", [0.3, 2.0])
def test_one_step_with_the_reversal_is_the_two_player_step_and_not_the_joint_minimum(lambda_):
    lr = 0.1
    joint = shallow(lambda_=lambda_, hidden=5)
    hand, wrong = copy.deepcopy(joint), copy.deepcopy(joint)
    source, target = batch_pair()

    optimiser = torch.optim.SGD(joint.parameters(), lr=lr)
    sum(joint.losses(source, target, 0.5).values()).backward()
    optimiser.step()

    def two_losses(m):
        fs, ft = m.backbone(source.x), m.backbone(target.x)
        label = F.cross_entropy(m.head(fs), source.y)
        s, t = m.domain_logits(fs), m.domain_logits(ft)
        domain = F.binary_cross_entropy_with_logits(s, torch.zeros_like(s))
        return label, domain + F.binary_cross_entropy_with_logits(t, torch.ones_like(t))

    # θ_f and θ_y descend L_y - λ L_d; θ_d ascends it, in the paper's units: it descends L_d.
    label, domain = two_losses(hand)
    p = parameters(hand)
    gradients = {
        "f": torch.autograd.grad(label - lambda_ * domain, p["f"], retain_graph=True),
        "y": torch.autograd.grad(label, p["y"], retain_graph=True),
        "d": torch.autograd.grad(domain, p["d"]),
    }
    with torch.no_grad():
        for player, values in p.items():
            for value, gradient in zip(values, gradients[player]):
                value -= lr * gradient
    for player, values in parameters(joint).items():
        for a, b in zip(values, p[player]):
            assert torch.allclose(a, b, atol=1e-6), player

    # The well-known mistake: minimising L_y - λ L_d over everything trains the discriminator the wrong way.
    label, domain = two_losses(wrong)
    (label - lambda_ * domain).backward()
    torch.optim.SGD(wrong.parameters(), lr=lr).step()
    for player, equal in (("f", True), ("y", True), ("d", False)):
        same_step = all(
            torch.allclose(a, b, atol=1e-6)
            for a, b in zip(parameters(joint)[player], parameters(wrong)[player])
        )
        assert same_step is equal, player


def test_the_gradient_that_reaches_the_features_passes_gradcheck():
    method = shallow(lambda_=0.7).double()
    source, target = batch_pair(4)
    xs, xt = source.x.double(), target.x.double()
    weight = method.backbone.layers[1].weight

    def objective(w):
        features = torch.sigmoid(torch.cat([xs, xt]) @ w.T + method.backbone.layers[1].bias)
        label = losses.cross_entropy(method.head(features[:4]), source.y)
        g = method.domain_logits(features)
        return label - 0.7 * losses.domain_adversarial(g[:4], g[4:])

    assert torch.autograd.gradcheck(objective, (weight.detach().clone().requires_grad_(),))
    source.x, target.x = xs, xt
    sum(method.losses(source, target, 1.0).values()).backward()
    w = weight.detach().clone().requires_grad_()
    objective(w).backward()
    assert torch.allclose(weight.grad, w.grad, atol=1e-10)


def test_lambda_zero_takes_the_path_of_source_only():
    options = {**QUICK, "schedule": "constant", "steps": 40}
    dann = fit(lambda s: methods.build("dann", SOURCE, lambda_=0.0, seed=s), SOURCE, TARGET, **options)
    plain = weights(fit("source_only", SOURCE, TARGET, **options))
    moved = weights(dann)
    for key, value in plain.items():
        assert torch.allclose(moved[key], value, atol=1e-5), key
    start = methods.build("dann", SOURCE).state_dict()
    assert not torch.allclose(moved["discriminator.0.weight"], start["discriminator.0.weight"]), (
        "it still learns"
    )


def test_lambda_does_not_touch_the_discriminators_own_gradient():
    gradients = []
    for lambda_ in (0.0, 0.5, 4.0):
        method = shallow(lambda_=lambda_, hidden=5)
        sum(method.losses(*batch_pair(), 0.5).values()).backward()
        gradients.append(method.discriminator[0].weight.grad)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 2.0])
def test_the_discriminators_gradient_reaches_the_features_reversed_and_scaled(lambda_):
    """The domain loss as the method has it, beside the same loss without a reversal."""
    method = shallow(lambda_=lambda_, hidden=5)
    source, target = batch_pair()
    features = list(method.backbone.parameters())
    reversed_ = torch.autograd.grad(method.losses(source, target, 0.5)["domain"], features)
    logits = method.domain_logits(method.features(torch.cat([source.x, target.x])))
    plain = torch.autograd.grad(losses.domain_adversarial(logits[:12], logits[12:]), features)
    assert any(g.abs().max() > 1e-3 for g in plain)
    for with_reversal, without in zip(reversed_, plain):
        assert torch.allclose(with_reversal, -lambda_ * without, atol=1e-7)


def test_the_label_loss_reads_the_source_and_the_domain_loss_both():
    method = shallow()
    source, target = batch_pair()
    for term, from_target in (("label", False), ("domain", True)):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(terms[term], (xs, xt))
        assert gs.abs().sum() > 0
        assert (gt.abs().sum() > 0) == from_target, term
    head = method.head.weight
    assert torch.autograd.grad(method.losses(source, target, 0.5)["domain"], head, allow_unused=True) == (
        None,
    )


def test_batches_of_different_size_weigh_the_domains_equally():
    method = shallow()
    source, target = batch_pair()
    few = Batch(target.x[:3], None, target.index[:3], 1)
    twice = Batch(target.x[:3].repeat(2, 1), None, target.index[:3].repeat(2), 1)
    a, b = (method.losses(source, t, 0.5)["domain"] for t in (few, twice))
    assert torch.allclose(a, b, atol=1e-6)


def test_the_discriminators_accuracy_is_balanced():
    method = shallow()
    method.discriminator.weight.data.zero_()
    method.discriminator.bias.data.fill_(1.0)  # always answers target
    assert method.diagnostics(torch.zeros(30, 6), torch.zeros(10, 6)) == {"discriminator_accuracy": 0.5}
    method.discriminator.weight.data.fill_(1.0)
    method.discriminator.bias.data.zero_()
    assert method.diagnostics(-torch.ones(3, 6), torch.ones(9, 6)) == {"discriminator_accuracy": 1.0}


def test_equal_seeds_give_equal_bits():
    assert same(*(weights(fit("dann", SOURCE, TARGET, seed=2, **QUICK)) for _ in range(2)))


# -- it works ---------------------------------------------------------------------------------------------------


def rotated_moons(degrees: float) -> tuple[Domain, Domain]:
    """Two inter-twinning moons of 300 points, and another draw of them, turned about the mean."""
    from sklearn.datasets import make_moons

    domains = []
    for name, seed, angle in (("moons", 0, 0.0), (f"moons, {degrees:g} degrees", 100, math.radians(degrees))):
        x, y = make_moons(300, noise=0.1, random_state=seed)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        x = (x - x.mean(axis=0)) @ turn.T
        domains.append(
            Domain(name, torch.tensor(x, dtype=torch.float32), torch.tensor(y), ("upper", "lower"))
        )
    return tuple(domains)


@pytest.mark.slow
def test_moons_rotated_by_50_degrees_are_adapted_by_the_shallow_network():
    """15 sigmoid units, λ = 6, 300 epochs, 5 seeds: the mean target error falls by at least 0.10.

    The paper's shallow network in this size has a logistic discriminator and steps example by example. Here the batches
    hold 50 examples, and the discriminator has the 100 hidden units of the deep networks, which a pilot showed to be
    steadier over seeds: target error 0.41 to 0.13, against 0.42 to 0.33 with a logistic one. The rate of learning is
    the same for both methods.
    """
    source, target = rotated_moons(50)
    options = {
        "steps": 300 * (len(source) // 50),
        "batch_size": 50,
        "lr": 0.04,
        "schedule": "constant",
        "snapshots": 2,
        "precision": "float32",
        "progress": False,
        "seeds": 5,
    }
    backbone = {"name": "mlp", "hidden": (15,), "activation": "sigmoid"}
    adversarial = {"lambda_": 6.0, "ramp": False}

    def make(name, **hyperparameters):
        return lambda seed: methods.build(name, source, backbone=backbone, seed=seed, **hyperparameters)

    plain = fit(make("source_only"), source, target, **options)
    adapted = fit(make("dann", **adversarial), source, target, **options)
    error = {name: 1 - runs.accuracies(target) for name, runs in (("source_only", plain), ("dann", adapted))}
    for name, values in error.items():  # pytest -s shows the spread
        print(
            f"{name}: target error {values.mean():.3f} ± {values.std(ddof=1):.3f}, {values.round(2).tolist()}"
        )
    assert error["source_only"].mean() - error["dann"].mean() >= 0.10, error

    # A fresh classifier tells the features apart less well, and the domain loss has moved to chance.
    def distances(runs):
        last = [run.snapshots[-1] for run in runs]
        return [metrics.a_distance(s.source_features, s.target_features, probe="mlp") for s in last]

    assert np.mean(distances(adapted)) < np.mean(distances(plain))
    ends = [run.history["domain"].iloc[-1] for run in adapted]
    assert ends == pytest.approx([2 * math.log(2)] * 5, abs=0.15)
    assert adapted.health(plain, target)["gain"].level == "fine"


@pytest.mark.slow
def test_digits_of_another_writer_gain_more_than_two_standard_errors():
    """optdigits to MNIST at 16x16, a small convolutional network, accuracy on an unseen half of the target, 3 seeds.

    A pilot (3 seeds, mean ± sd): source_only 0.56 ± 0.02, dann 0.63 ± 0.01. With lr=0.01 for 400 steps, or with Adam at
    0.001, the gain was 0.01 to 0.04 and within its error: the discriminator needs the higher rate to keep up.
    """
    digits = domains.load("digits")
    source, (adapt, test) = digits["optdigits"], digits["mnist"].split(0.5, seed=0)
    backbone = {"name": "lenet", "width": 8, "features": 64}
    options = {
        "steps": 600,
        "lr": 0.05,
        "snapshots": 2,
        "precision": "float32",
        "progress": False,
        "seeds": 3,
    }

    def runs(name, **hyperparameters):
        def make(s):
            return methods.build(name, source, backbone=backbone, seed=s, **hyperparameters)

        return fit(make, source, adapt, **options)

    plain, adapted = runs("source_only"), runs("dann")
    for name, group in (("source_only", plain), ("dann", adapted)):
        print(f"{name}: target accuracy {group.accuracies(test).round(3).tolist()}")
    gain = adapted.health(plain, test)["gain"]
    print(gain.text)
    assert gain.level == "fine", gain.text

    def distance(run):
        return metrics.a_distance(run.snapshots[-1].source_features, run.snapshots[-1].target_features)

    assert np.mean([distance(r) for r in adapted]) < np.mean([distance(r) for r in plain])

    # With the reversal shut the discriminator wins; with it open, its loss stays near chance.
    def last_losses(group):
        return [run.history["domain"].iloc[-5:].mean() for run in group]

    assert np.mean(last_losses(runs("dann", lambda_=0.0))) < math.log(2)
    assert last_losses(adapted) == pytest.approx([2 * math.log(2)] * 3, abs=0.2)
