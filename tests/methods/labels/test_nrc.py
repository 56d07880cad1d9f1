"""NRC: neighbours by cosine, reciprocity, a bank that follows the batches, and four terms."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from dakit import methods
from dakit.methods.labels.nrc import nearest
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, mean_accuracy, moved_along_the_classes
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs

SOURCE, TARGET = blobs(), blobs(100, shift=1.0, seed=1, name="moved")


def small(seed=0, **options):
    return methods.build("nrc", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def at(*degrees):
    return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees])


# -- neighbours -------------------------------------------------------------------------------------------------


def test_nearest_by_hand_and_against_a_loop():
    bank = at(0, 10, 25, 100, 102)
    assert nearest(bank, torch.tensor([0, 3]), 2).tolist() == [[1, 2], [4, 2]]
    twins = at(5, 5, 50)
    assert nearest(twins, torch.tensor([0, 1]), 1).tolist() == [
        [1],
        [0],
    ]  # oneself does not count, a twin does
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = nearest(torch.tensor(x), torch.arange(40), 4).tolist()
    for i in range(40):
        others = sorted((j for j in range(40) if j != i), key=lambda j: -float(x[i] @ x[j]))
        assert found[i] == others[:4]


def test_the_affinity_by_hand():
    """At 0, 10 and 14 degrees with K = M = 1: 1 and 2 are each other's neighbour, 0 looks at 1, which looks away."""
    method = small(k=1, m=1, r=0.25)
    method.bank = at(0, 10, 14)
    method.scores = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    p = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]])
    terms = method.neighbourhood(torch.arange(3), p)
    # Agreement with the neighbour: 0.5 at affinity r, S_2·p_1 = 0.5 and S_1·p_2 = 0.5 at affinity 1.
    assert terms["neighbours"].item() == pytest.approx(-(0.25 * 0.5 + 0.5 + 0.5) / 3)
    # Neighbours' neighbours: 0 -> 1 -> 2, 1 -> 2 -> 1 itself, 2 -> 1 -> 2 itself.
    assert terms["extended"].item() == pytest.approx(-0.25 * (0.25 + 0.5 + 0.875) / 3)


def by_loop(bank, scores, index, p, k, m, r):
    def near(i, count):
        others = sorted((j for j in range(len(bank)) if j != i), key=lambda j: -float(bank[i] @ bank[j]))
        return others[:count]

    neighbours = extended = 0.0
    for row, i in enumerate(index):
        for j in near(i, k):
            affinity = 1.0 if i in near(j, m) else r
            neighbours -= affinity * float(scores[j] @ p[row]) / len(index)
            for e in near(j, m):
                extended -= r * float(scores[e] @ p[row]) / len(index)
    return {"neighbours": neighbours, "extended": extended}


def test_a_step_against_a_loop():
    method = small(k=4, m=3, r=0.2)
    method.prepare(None, TARGET, 0.5)
    assert torch.allclose(method.bank.norm(dim=1), torch.ones(100))
    torch.testing.assert_close(method.scores, method.logits(TARGET.x).softmax(1).detach())
    bank, scores = method.bank.clone(), method.scores.clone()
    target = batch_pair(10)[1]
    target.index = torch.tensor([5, 17, 3, 99, 42, 0, 61, 30, 8, 77])
    terms = method.losses(None, target, 0.7)
    p = method.logits(target.x).softmax(1).detach()
    # The batch is in the bank by then; all other rows are as they were.
    bank[target.index] = functional.normalize(method.features(target.x).detach(), dim=1)
    scores[target.index] = p
    torch.testing.assert_close(method.bank, bank)
    torch.testing.assert_close(method.scores, scores)
    expected = by_loop(bank.double(), scores.double(), target.index.tolist(), p.double(), 4, 3, 0.2)
    mean = p.double().mean(0)
    expected |= {
        "self": -(p.double() ** 2).sum(1).mean().item(),
        "diversity": (mean * mean.log()).sum().item() + math.log(2),
    }
    assert {n: v.item() for n, v in terms.items()} == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_gradients_flow_through_the_prediction_alone():
    method = small()
    method.prepare(None, TARGET, 0.5)
    p = torch.rand(4, 2).softmax(1).requires_grad_()
    terms = method.neighbourhood(torch.arange(4), p)
    (found,) = torch.autograd.grad(terms["neighbours"], p)
    assert bool((found < 0).all())
    assert not method.bank.requires_grad
    assert not method.scores.requires_grad


def test_the_self_term_takes_its_own_prediction_as_given():
    method = small()
    z = torch.randn(12, 6, requires_grad=True)
    method.features = lambda x: z
    (found,) = torch.autograd.grad(method.losses(None, batch_pair()[1], 1.0)["self"], z)
    p = method.head(z).softmax(1)
    (expected,) = torch.autograd.grad(-(p.detach() * p).sum(1).mean(), z)
    torch.testing.assert_close(found, expected)


# -- the bank ---------------------------------------------------------------------------------------------------


def test_the_bank_is_filled_once_in_the_second_stage():
    method = small()
    method.prepare(SOURCE, TARGET, 0.4)
    assert len(method.bank) == 0
    assert set(method.losses(None, batch_pair()[1], 0.5)) == {"self", "diversity"}
    method.prepare(SOURCE, TARGET, 0.6)
    first = method.bank
    assert first.shape == (100, 6)
    method.prepare(SOURCE, TARGET, 0.8)
    assert method.bank is first


def test_too_few_target_examples_are_told():
    words = "nrc looks for 5 neighbours among the others of 5 target examples; take smaller k and m, or more examples"
    with pytest.raises(ValueError, match=words):
        small(k=5).prepare(None, TARGET.subset(slice(5)), 1.0)
    method = small(k=5)
    method.prepare(None, TARGET.subset(slice(6)), 1.0)
    assert len(method.bank) == 6


def test_history_has_a_column_for_each_term():
    history = fit("nrc", SOURCE, TARGET, **{**QUICK, "log_every": 1}).history
    assert history["label"].iloc[11:].isna().all()
    for name in ("self", "diversity", "neighbours", "extended"):
        assert history[name].notna().tolist() == [False] * 11 + [True] * 10


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"k": 0}, "k must be an integer of at least 1, got 0"),
        ({"m": -1}, "m must be an integer of at least 1, got -1"),
        ({"r": 1.5}, r"r must be a number of at least 0 and at most 1, got 1\.5"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


def test_it_beats_its_own_first_stage_where_clusters_keep_apart():
    source, target = moved_along_the_classes()
    backbone = {"name": "mlp", "hidden": (16, 8)}

    def group(**options):
        make = lambda s: methods.build("nrc", source, backbone=backbone, seed=s, **options)  # noqa: E731
        return fit(make, source, target, seeds=3, **LEARN)

    plain, adapted = (mean_accuracy(group(pretrain=p), target) for p in (1.0, 0.5))
    assert adapted > plain, (plain, adapted)
