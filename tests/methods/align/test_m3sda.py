"""M³SDA: moments of several sources, heads of their own, and their pairs."""

import copy

import pytest
import torch
import torch.nn.functional as F

from dakit import losses, methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.align.source_sets import SOURCES, TARGET, batches, moved_along_one_class_axis
from tests.methods.labels.class_worlds import runs
from tests.training.toys import QUICK, poisoned, same, weights


def m3sda(sources=SOURCES, **options):
    small = {"name": "mlp", "hidden": (6,)}
    return methods.build("m3sda", sources, backbone=small, **{"pairs": False, **options})


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_by_hand():
    method = m3sda(lambda_=0.7)
    source, target = batches()
    f, ft = method.features(source.x).split(12), method.features(target.x)
    label = 0.0
    for head, z, part in zip((method.head, method.others[0]), f, source.parts()):
        p = head(z).exp() / head(z).exp().sum(1, keepdim=True)
        label -= p[torch.arange(12), part.y].log().mean().item()
    moments = 0.0
    for k in (1, 2):
        a, b, t = ((x**k).mean(0) for x in (*f, ft))
        moments += (((a - t).norm() + (b - t).norm()) / 2 + (a - b).norm()).item()
    terms = method.losses(source, target, 0.5)
    assert list(terms) == ["label", "moments"]
    assert terms["label"].item() == pytest.approx(label, rel=1e-5)
    assert terms["moments"].item() == pytest.approx(0.7 * moments, rel=1e-4)


@pytest.mark.parametrize("pairs", [False, True])
def test_answers_are_means_of_the_heads_probabilities(pairs):
    method = m3sda(pairs=pairs)
    f = method.features(TARGET.x)
    heads = [method.head, *method.others, *method.seconds]
    assert len(heads) == (4 if pairs else 2)
    p = sum(h(f).softmax(1) for h in heads) / len(heads)
    torch.testing.assert_close(method.logits(TARGET.x).softmax(1), p)
    torch.testing.assert_close(method.logits(TARGET.x), p.log())


def test_distances_weigh_near_sources_more():
    method = m3sda(combine="distance", pairs=True)
    method.distances.copy_(torch.tensor([1.0, 3.0]))
    assert method.weights().tolist() == pytest.approx([0.75, 0.25])
    f = method.features(TARGET.x)
    (a, b), (c, d) = ([h(f).softmax(1) for h in heads] for heads in (method.firsts, method.seconds))
    expected = 0.75 * (a + c) / 2 + 0.25 * (b + d) / 2
    torch.testing.assert_close(method.logits(TARGET.x).softmax(1), expected)
    method.distances.zero_()
    assert method.weights().tolist() == [0.5, 0.5]
    assert m3sda().weights().tolist() == [0.5, 0.5]


def test_distances_are_a_running_mean_that_is_saved():
    method = m3sda(combine="distance")
    source, target = batches()
    f = method.features(torch.cat([source.x, target.x])).detach()
    now = losses.moment_distances(f[:24].split(12), f[24:])
    method.losses(source, target, 0.0)
    torch.testing.assert_close(method.distances, 0.99 + 0.01 * now)
    assert torch.equal(method.state_dict()["distances"], method.distances)
    method.eval().losses(source, target, 0.0)
    torch.testing.assert_close(method.distances, 0.99 + 0.01 * now)


# -- what makes it M³SDA ----------------------------------------------------------------------------------------


def test_each_head_learns_its_own_source_and_the_target_has_no_say_in_the_labels():
    method = m3sda()
    source, target = batches()
    for part, head in enumerate(method.firsts):
        x = source.x.detach().requires_grad_()
        t = target.x.detach().requires_grad_()
        batch = Batch(x, source.y, source.index, 0, source.group, source.sizes)
        label = method.losses(batch, Batch(t, None, target.index, 1), 0.5)["label"]
        head.weight.data.zero_()  # a head without slope passes nothing on
        label = method.losses(batch, Batch(t, None, target.index, 1), 0.5)["label"]
        gx, gt = torch.autograd.grad(label, (x, t))
        of_part = gx.split(12)
        assert not of_part[part].any()
        assert part == 1 or of_part[1].any()
        assert not gt.any()


def test_one_source_with_one_moment_and_one_head_is_source_only_plus_the_distance_of_means():
    method = m3sda(SOURCES[:1], moments=1, lambda_=1.0)
    source, target = batches(sources=SOURCES[:1])
    f, ft = method.features(source.x), method.features(target.x)
    terms = method.losses(source, target, 0.5)
    torch.testing.assert_close(terms["label"], F.cross_entropy(method.head(f), source.y))
    torch.testing.assert_close(terms["moments"], (f.mean(0) - ft.mean(0)).norm())
    with pytest.raises(ValueError, match="M3SDA needs at least 2 source domains, got 1"):
        fit(method, SOURCES[0], TARGET, **QUICK)


def test_lambda_zero_is_a_head_for_each_source_on_one_backbone():
    """Sources alone, by hand: one step of SGD."""
    method = m3sda(lambda_=0.0)
    hand = copy.deepcopy(method)
    source, target = batches()
    for m in (method, hand):
        if m is method:
            total = sum(m.losses(source, target, 0.5).values())
        else:
            total = F.cross_entropy(m.head(m.backbone(source.x[:12])), source.y[:12])
            total = total + F.cross_entropy(m.others[0](m.backbone(source.x[12:])), source.y[12:])
        total.backward()
        torch.optim.SGD(m.parameters(), lr=0.1).step()
    for key, value in hand.state_dict().items():
        torch.testing.assert_close(method.state_dict()[key], value, rtol=1e-4, atol=1e-6)


def test_moments_reach_the_backbone_alone_and_all_domains():
    method = m3sda()
    source, target = batches()
    source.x.requires_grad_(), target.x.requires_grad_()
    moments = method.losses(source, target, 0.5)["moments"]
    gs, gt, head = torch.autograd.grad(moments, (source.x, target.x, method.head.weight), allow_unused=True)
    assert head is None
    assert gt.any() and all(g.any() for g in gs.split(12))


def test_equal_domains_in_any_order_give_no_moments():
    twin = [SOURCES[0], SOURCES[0]]
    method = m3sda(twin)
    source, _ = batches(sources=twin)
    target = Batch(source.x[:12], None, torch.arange(12), 1)
    assert method.losses(source, target, 0.5)["moments"].item() == pytest.approx(0, abs=1e-5)


# -- M³SDA-β ----------------------------------------------------------------------------------------------------


def test_one_step_of_pairs_is_three_phases_by_hand():
    method = m3sda(pairs=True, lambda_=0.2)
    hand = copy.deepcopy(method)
    size = 20
    sources, target = [d.subset(slice(size)) for d in SOURCES], TARGET.subset(slice(size))
    fit(method, sources, target, **{**QUICK, "momentum": 0.0, "lr": 0.1, "steps": 1, "batch_size": size})

    def terms(m):
        f, ft = [m.backbone(d.x) for d in sources], m.backbone(target.x)
        one, two = [m.head, *m.others], list(m.seconds)
        label = sum(F.cross_entropy(h(z), d.y) for hs in (one, two) for h, z, d in zip(hs, f, sources))
        d = sum((a(ft).softmax(1) - b(ft).softmax(1)).abs().mean() for a, b in zip(one, two))
        return label, d, losses.source_moment_distance(f, ft)

    heads = [p for module in (hand.head, hand.others, hand.seconds) for p in module.parameters()]
    features = list(hand.backbone.parameters())

    def descend(loss, parameters):
        for p, g in zip(parameters, torch.autograd.grad(loss, parameters)):
            p.data -= 0.1 * g

    label, _, moments = terms(hand)
    descend(label + 0.2 * moments, features + heads)
    label, d, _ = terms(hand)
    descend(label - d, heads)
    descend(terms(hand)[1], features)
    for name, value in hand.state_dict().items():
        if name != "distances":
            torch.testing.assert_close(method.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_pairs_start_apart_and_history_shows_every_phase():
    run = fit("m3sda", SOURCES, TARGET, **QUICK)
    assert run.method.pairs and run.method.num_sources == 2
    columns = [
        "classify.label",
        "classify.moments",
        "disagree.label",
        "disagree.discrepancy",
        "agree.discrepancy",
    ]
    assert [c for c in run.history if "." in c] == columns
    fresh = m3sda(pairs=True)
    assert not torch.equal(fresh.head.weight, fresh.seconds[0].weight)


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    found = [weights(fit("m3sda", SOURCES, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lambda_": -1.0}, "lambda_ must be a number of at least 0, got -1"),
        ({"moments": 0}, "moments must be an integer of at least 1, got 0"),
        ({"num_sources": 0}, "num_sources must be an integer of at least 1, got 0"),
        ({"combine": "accuracy"}, "combine must be one of 'mean', 'distance', got 'accuracy'"),
    ],
)
def test_bad_hyperparameters_are_told(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        m3sda(**options)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_brings_moments_together_and_beats_all_sources_pooled():
    """Digits, printed and optdigits to mnist, in a pilot of 3 seeds, 300 steps: 0.76, source_only 0.64, dann 0.66."""
    sources, target = moved_along_one_class_axis()
    settings = {"steps": 200}
    adapted = runs("m3sda", sources, target, norm="batch", settings=settings)
    plain = runs("source_only", sources, target, norm="batch", settings=settings)
    assert adapted.accuracies(target).mean() > plain.accuracies(target).mean()

    def apart(run):
        with torch.no_grad():
            f = [run.method.eval().features(d.x) for d in (*sources, target)]
        scale = torch.cat(f).pow(2).mean().sqrt()
        return float(losses.source_moment_distance([x / scale for x in f[:-1]], f[-1] / scale))

    assert all(apart(a) < apart(p) for a, p in zip(adapted, plain))
