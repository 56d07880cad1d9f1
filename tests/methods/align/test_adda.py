"""ADDA: two stages, a source encoder that is kept, inverted labels, and what moves when."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, norm="none", **options):
    backbone = {"name": "mlp", "hidden": (6,), "norm": norm}
    return methods.build("adda", SOURCE, backbone=backbone, seed=seed, **{"hidden": 5, **options})


def part(state, name):
    return {k.removeprefix(name + "."): v for k, v in state.items() if k.startswith(name + ".")}


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_of_both_stages_by_hand():
    method = small()
    source, target = batch_pair()
    log_p = torch.log_softmax(method.head(method.backbone(source.x)), 1)[torch.arange(12), source.y]
    label = pytest.approx(-log_p.mean().item(), rel=1e-5)
    assert {k: v.item() for k, v in method.losses(source, target, 0.49).items()} == {"label": label}
    method.phase = "discriminator"
    assert {k: v.item() for k, v in method.losses(source, target, 0.49).items()} == {"domain": 0.0}

    assert not method.adapting
    terms = method.losses(source, target, 0.5)
    assert method.adapting
    s, t = (torch.sigmoid(method.domain_logits(method.backbone(b.x))) for b in (source, target))
    domain = -torch.log(1 - s).mean() - torch.log(t).mean()
    assert {k: v.item() for k, v in terms.items()} == {"domain": pytest.approx(domain.item(), rel=1e-5)}
    method.phase = "encoder"
    terms = {k: v.item() for k, v in method.losses(source, target, 1.0).items()}
    inverted = -torch.log(1 - t).mean().item()
    assert terms == {"label": label, "inverted": pytest.approx(inverted, rel=1e-5)}


def test_the_learning_rate_falls_with_the_second_stage():
    method = small(pretrain=0.4, adapt_lr=0.2)
    assert [method.lr_factor(p) for p in (0.0, 0.39, 0.4, 1.0)] == [1.0, 1.0, 0.2, 0.2]
    assert small(pretrain=1.0).lr_factor(1.0) == 1.0
    assert small(pretrain=0.0, adapt_lr=0.3).lr_factor(0.0) == 0.3


def test_diagnostics_count_the_targets_taken_for_sources():
    method = small(hidden=0)
    method.discriminator.weight.data.fill_(1.0)
    method.discriminator.bias.data.zero_()
    target = torch.cat([-torch.ones(3, 6), torch.ones(1, 6)])
    assert method.diagnostics(torch.zeros(5, 6), target) == {"taken_for_source": 0.75}


# -- what makes it ADDA -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_pretraining_alone_takes_the_path_of_source_only(optimizer):
    settings = {**QUICK, "optimizer": optimizer, "lr": 0.01}
    method = methods.build("adda", SOURCE, pretrain=1.0)
    start = {k: v.clone() for k, v in method.state_dict().items()}
    run = fit(method, SOURCE, TARGET, **settings)
    found = weights(run)
    for key, value in weights(fit("source_only", SOURCE, TARGET, **settings)).items():
        assert torch.allclose(found[key], value, atol=1e-5), key
    assert same(part(found, "discriminator"), part(start, "discriminator"))
    assert not run.method.adapting


def watched(method, **settings):
    """Train, and return for every call of losses: progress, phase, and the state before it."""
    seen, inner = [], method.losses

    def losses(source, target, progress):
        seen.append((progress, method.phase, {k: v.clone() for k, v in method.state_dict().items()}))
        return inner(source, target, progress)

    method.losses = losses
    fit(method, SOURCE, TARGET, **{**QUICK, "snapshots": 0, **settings})
    return seen


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_moves_in_which_stage(optimizer):
    """Momentum and weight decay, too, leave alone what is fixed."""
    method = small()
    seen = watched(method, optimizer=optimizer, weight_decay=0.1)
    switch = next(state for progress, _, state in seen if progress >= 0.5)
    first, last = seen[0][2], method.state_dict()
    assert not same(part(first, "head"), part(switch, "head"))
    assert not same(part(first, "backbone"), part(switch, "backbone"))
    # The encoder of the switch is the source's ever after, and the head stays; target encoder and discriminator go on.
    assert same(part(last, "source_backbone"), part(switch, "backbone"))
    assert same(part(last, "head"), part(switch, "head"))
    assert not same(part(last, "backbone"), part(switch, "backbone"))
    assert not same(part(last, "discriminator"), part(switch, "discriminator"))
    for (progress, phase, before), (_, _, after) in pairwise(seen):
        if progress >= 0.5:
            still, moves = ("discriminator", "backbone")[:: 1 if phase == "encoder" else -1]
            assert same(part(before, still), part(after, still)), (progress, phase)
            assert not same(part(before, moves), part(after, moves)), (progress, phase)


def test_both_players_by_hand_with_batch_normalisation_of_the_source_encoder_fixed():
    method = small(norm="batch", pretrain=0.0)
    source, target = batch_pair()
    method.train()
    method.losses(source, target, 0.0)  # switches
    fixed = copy.deepcopy(method.source_backbone)
    assert not method.source_backbone.training
    with torch.no_grad():
        for p in method.backbone.parameters():
            p += 0.3
    method.train()
    method.phase = "discriminator"
    domain = method.losses(source, target, 0.2)["domain"]
    assert same(method.source_backbone.state_dict(), fixed.state_dict())
    s, t = method.domain_logits(fixed(source.x)), method.domain_logits(method.backbone(target.x))
    expected = F.binary_cross_entropy_with_logits(s, torch.zeros(12))
    expected = expected + F.binary_cross_entropy_with_logits(t, torch.ones(12))
    torch.testing.assert_close(domain, expected)
    assert torch.autograd.grad(domain, list(method.backbone.parameters()), allow_unused=True) == (None,) * 4


def test_inverted_labels_keep_their_slope_where_a_reversed_gradient_has_none():
    method = small(hidden=0, pretrain=0.0)
    method.discriminator.weight.data.fill_(0.0)
    method.discriminator.bias.data.fill_(12.0)  # sure that all are target: right for the target
    source, target = batch_pair()
    slopes = {}
    for phase, term in (("encoder", "inverted"), ("discriminator", "domain")):
        method.phase = phase
        (slopes[phase],) = torch.autograd.grad(
            method.losses(source, target, 0.5)[term], method.discriminator.bias
        )
    # The discriminator's own slope: sigmoid(12) on the source, -sigmoid(-12) on the target.
    sure = 1 / (1 + math.exp(-12))
    assert slopes["encoder"].item() == pytest.approx(sure)
    assert slopes["discriminator"].item() == pytest.approx(sure - (1 - sure), abs=1e-6)


def test_the_second_stage_reads_no_label():
    method = small(pretrain=0.0)
    source, target = batch_pair()
    gradients = []
    for y in (source.y, 1 - source.y):
        method.zero_grad()
        source.y = y
        sum(method.losses(source, target, 0.5).values()).backward()
        gradients.append({n: p.grad for n, p in method.named_parameters() if p.grad is not None})
    assert set(gradients[0]) == {n for n, _ in method.named_parameters() if n.startswith(("backb", "disc"))}
    assert same(*gradients)


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    runs = [weights(fit("adda", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_a_run_that_was_interrupted_in_the_second_stage_ends_at_the_same_bits():
    def stop(run):
        if run.step >= 14:
            raise KeyboardInterrupt

    whole = fit("adda", SOURCE, TARGET, **QUICK)
    # Snapshots of 20 steps at 0, 7, 13, 20; the copy was made at step 10.
    some = {**QUICK, "snapshots": 21}
    broken = fit("adda", SOURCE, TARGET, on_snapshot=stop, **some)
    assert 14 <= broken.step < 20
    resumed = fit("adda", SOURCE, TARGET, resume=broken, **some)
    assert resumed.finished
    assert same(weights(resumed), weights(whole))


def test_history_has_a_column_for_each_term():
    history = fit("adda", SOURCE, TARGET, **{**QUICK, "log_every": 1}).history
    assert {"encoder.label", "encoder.inverted", "discriminator.domain", "taken_for_source"} <= set(history)
    assert history["encoder.inverted"].iloc[1:11].isna().all()
    assert history["encoder.inverted"].iloc[11:].notna().all()


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"pretrain": 1.5}, "pretrain must be a number of at least 0 and at most 1, got 1.5"),
        ({"hidden": -2}, "hidden must be an integer of at least 0, got -2"),
        ({"adapt_lr": -0.1}, "adapt_lr must be a number of at least 0, got -0.1"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_learns_to_ignore_a_feature_that_shifts():
    """The last feature moves by 6 and tells no class: the source encoder names most target clusters rightly.

    200 steps are left for the second stage, with 10 times its default rate.
    """
    source, target = blobs(300), blobs(300, shift=6.0, seed=1, name="moved")
    options = {**QUICK, "steps": 400, "batch_size": 64, "snapshots": 0, "seeds": 3}
    backbone = {"name": "mlp", "hidden": (16, 8)}

    def accuracy(name, **hyperparameters):
        make = lambda s: methods.build(name, source, backbone=backbone, seed=s, **hyperparameters)  # noqa: E731
        return fit(make, source, target, **options).accuracies(target)

    plain, adapted = accuracy("source_only"), accuracy("adda", hidden=32, adapt_lr=0.1)
    assert np.mean(adapted) > np.mean(plain), (plain, adapted)
