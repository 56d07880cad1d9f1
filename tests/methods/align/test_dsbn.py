"""DSBN: batch norm by domain, an alignment stage by hand, pseudo-labels that pass from one network to the other."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.methods.align.dsbn import ramp
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, mean_accuracy, moved_along_the_classes
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
NORM = {"name": "mlp", "hidden": (6,), "norm": "batch"}


def small(seed=0, backbone=NORM, **options):
    return methods.build("dsbn", SOURCE, backbone=backbone, seed=seed, **{"hidden": 5, **options})


def batch_pair(n=12):
    index = torch.arange(n)
    return Batch(SOURCE.x[:n], SOURCE.y[:n], index, 0), Batch(TARGET.x[:n], None, index, 1)


def both(method, source, target):
    with method.on("source"):
        fs = method.features(source.x)
    with method.on("target"):
        return fs, method.features(target.x)


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_of_the_first_stage_by_an_explicit_loop():
    method, (source, target) = small(lambda_=0.3, theta=0.6), batch_pair()
    method.centres.normal_(generator=torch.Generator().manual_seed(0))
    past = method.centres.clone()
    fs, ft = both(method, source, target)
    terms = method.losses(source, target, 0.25)
    weight = 0.3 * (2 / (1 + math.exp(-10 * 0.5)) - 1)
    d = [method.discriminator(f).squeeze(1) for f in (fs, ft)]
    guesses = method.head(ft).argmax(1)
    semantic = 0.0
    for c in range(2):
        centres = []
        for f, y, was in ((fs, source.y, past[0]), (ft, guesses, past[1])):
            rows = f[y == c]
            centres.append(0.6 * was[c] + 0.4 * rows.mean(0) if len(rows) else was[c])
        semantic += ((centres[0] - centres[1]) ** 2).sum().item()
        assert torch.allclose(method.centres[:, c], torch.stack(centres), atol=1e-5)
    expected = {
        "label": F.cross_entropy(method.head(fs), source.y).item(),
        "domain": F.softplus(d[0]).mean().item() + F.softplus(-d[1]).mean().item(),
        "semantic": weight * semantic / (2 * 6),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_the_losses_of_the_second_stage_by_hand():
    method, (source, target) = small(), batch_pair()
    fs, ft = both(method, source, target)
    p = 0.75
    r = ramp((p - 0.5) / 0.5)
    assert r == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    terms = method.losses(source, target, p)
    assert set(terms) == {"label", "pseudo"}
    first = method.first[1](method.first[0](target.x)).softmax(1)
    pseudo = ((1 - r) * first + r * method.head(ft).softmax(1)).argmax(1)
    assert terms["pseudo"].item() == pytest.approx(F.cross_entropy(method.head(ft), pseudo).item(), rel=1e-5)
    assert terms["label"].item() == pytest.approx(F.cross_entropy(method.head(fs), source.y).item(), rel=1e-5)


def test_the_learning_rate_falls_in_each_stage_anew():
    method = small(stage1=0.4)
    found = [method.lr_factor(p) for p in (0.0, 0.2, 0.4, 0.7, 1.0)]
    assert found == pytest.approx([1, 6**-0.75, 1, 6**-0.75, 11**-0.75])
    assert small(stage1=1.0).lr_factor(1.0) == pytest.approx(11**-0.75)
    assert small(stage1=0.0).lr_factor(0.0) == 1.0


def test_pseudo_labels_pass_from_the_first_network_to_the_second():
    method = small().eval()
    method.pseudo_labels(TARGET.x, torch.zeros(100, 2), 0.0)  # keeps the first network
    first = method.logits(TARGET.x).argmax(1)
    against = -100.0 * F.one_hot(first, 2).float()  # a second network that is sure of the opposite
    assert torch.equal(method.pseudo_labels(TARGET.x, against, 0.0), first)
    assert torch.equal(method.pseudo_labels(TARGET.x, against, 1.0), 1 - first)


# -- what makes it DSBN -----------------------------------------------------------------------------------------


def test_without_alignment_and_second_stage_the_sources_side_takes_the_path_of_source_only():
    constant = {**QUICK, "schedule": "constant"}
    ours = weights(fit(small(stage1=1.0, lambda_=0.0), SOURCE, TARGET, **constant))
    plain = methods.build("source_only", SOURCE, backbone=NORM)
    for k, v in weights(fit(plain, SOURCE, TARGET, **constant)).items():
        own = ours[k.replace("layers.2.", "layers.2.norms.source.")]
        assert torch.allclose(own.float(), v.float(), atol=1e-5), k


def test_each_domain_moves_its_own_scale_and_shift():
    method, (source, target) = small(), batch_pair()
    method.losses(source, target, 0.25)["label"].backward()
    moved = {n for n, p in method.named_parameters() if p.grad is not None and "norms" in n}
    assert moved == {f"backbone.layers.2.norms.source.{n}" for n in ("weight", "bias")}
    method.zero_grad()
    method.losses(source, target, 0.75)["pseudo"].backward()
    moved = {n for n, p in method.named_parameters() if p.grad is not None and "norms" in n}
    assert moved == {f"backbone.layers.2.norms.target.{n}" for n in ("weight", "bias")}


def test_the_domain_loss_is_reversed_on_its_way_to_the_features_with_the_growing_weight():
    method, (source, target) = small(lambda_=0.5).double(), batch_pair()
    source.x, target.x = source.x.double(), target.x.double()
    weight = method.backbone.layers[1].weight
    (reversed_,) = torch.autograd.grad(method.losses(source, target, 0.1)["domain"], weight)
    d = [method.discriminator(f).squeeze(1) for f in both(method, source, target)]
    (plain,) = torch.autograd.grad(F.softplus(d[0]).mean() + F.softplus(-d[1]).mean(), weight)
    assert torch.allclose(reversed_, -0.5 * ramp(0.2) * plain, atol=1e-8)


def test_the_first_network_is_kept_once_and_stays():
    def stop(run):
        states.append({k: v.clone() for k, v in run.method.state_dict().items()})

    states = []
    fit(small(), SOURCE, TARGET, on_snapshot=stop, **{**QUICK, "snapshots": 21})
    switched = [bool(s["second"]) for s in states]
    at = switched.index(True)
    assert at == 11  # progress 10 / 19 is the first beyond one half
    for k, v in states[at].items():
        if k.startswith("first.0.") and "running" not in k and "tracked" not in k:
            assert torch.equal(v, states[at - 1][k.replace("first.0.", "backbone.")]), k
        if k.startswith("first."):
            assert torch.equal(v, states[-1][k]), k
    assert not torch.equal(states[-1]["head.weight"], states[at]["head.weight"])


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    runs = [weights(fit("dsbn", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_a_run_that_was_interrupted_in_the_second_stage_ends_at_the_same_bits():
    def stop(run):
        if run.step >= 14:
            raise KeyboardInterrupt

    some = {**QUICK, "snapshots": 21}
    whole = fit(small(), SOURCE, TARGET, **some)
    broken = fit(small(), SOURCE, TARGET, on_snapshot=stop, **some)
    assert 14 <= broken.step < 20
    assert same(weights(fit(small(), SOURCE, TARGET, resume=broken, **some)), weights(whole))


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"stage1": 1.5}, "stage1 must be a number of at least 0 and at most 1, got 1.5"),
        ({"lambda_": -1}, "lambda_ must be a number of at least 0, got -1"),
        ({"theta": 2}, "theta must be a number of at least 0 and at most 1, got 2"),
        ({"hidden": -2}, "hidden must be an integer of at least 0, got -2"),
        ({"backbone": "mlp"}, "backbone mlp has no batch norm"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_undoes_a_shift_along_the_classes():
    source, target = moved_along_the_classes()

    def runs(name):
        def make(seed):
            backbone = {"name": "mlp", "hidden": (16, 8), "norm": "batch"}
            return methods.build(name, source, backbone=backbone, seed=seed)

        return fit(make, source, target, seeds=3, **LEARN)

    plain, ours = runs("source_only"), runs("dsbn")
    assert mean_accuracy(ours, target) > mean_accuracy(plain, target), [
        np.round(r.accuracies(target), 2) for r in (plain, ours)
    ]
