"""SHOT: centroids in two rounds, information maximisation, and a head that stays."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from dakit import losses, methods
from dakit.methods.labels.shot import centroid_labels
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, mean_accuracy, moved_along_the_classes
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs

SOURCE, TARGET = blobs(), blobs(100, shift=1.0, seed=1, name="moved")


def small(seed=0, **options):
    return methods.build("shot", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


# -- pseudo-labels ----------------------------------------------------------------------------------------------


def by_loop(features, p, rounds):
    x = [np.append(f, 1.0) for f in features]
    k = p.shape[1]
    w = p
    for _ in range(rounds):
        labels = []
        centres = [
            sum(w[i, c] * x[i] / np.linalg.norm(x[i]) for i in range(len(x))) / w[:, c].sum()
            for c in range(k)
        ]
        for v in x:
            cosine = [v @ c / (np.linalg.norm(v) * np.linalg.norm(c)) for c in centres]
            labels.append(int(np.argmax(cosine)))
        w = np.eye(k)[labels]
    return labels


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_centroid_labels_against_a_loop(rounds):
    rng = np.random.default_rng(rounds)
    features = rng.normal(size=(60, 4)) + 3 * np.eye(4)[np.arange(60) % 3]
    p = rng.dirichlet([0.5] * 3, size=60)
    found = centroid_labels(torch.tensor(features), torch.tensor(p), rounds=rounds)
    assert found.tolist() == by_loop(features, p, rounds)


def test_centres_outvote_a_wrong_prediction():
    features = torch.tensor([[5.0, 0.0], [5.0, 0.2], [5.0, -0.2], [0.0, 5.0], [0.2, 5.0], [-0.2, 5.0]])
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    assert p.argmax(1).tolist() == [0, 0, 1, 1, 1, 1]
    assert centroid_labels(features, p).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_class_without_weight_gets_no_example():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert set(centroid_labels(torch.randn(2, 3), p).tolist()) <= {0, 1}
    # All that the second round needs is lost for class 1, which no example is nearest to.
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]])
    assert centroid_labels(features, torch.full((3, 2), 0.5)).tolist() == [0, 0, 0]


def test_pseudo_labels_come_from_the_whole_target_in_the_second_stage_only():
    method = small()
    method.prepare(SOURCE, TARGET, 0.49)
    assert len(method.pseudo_labels) == 0
    method.prepare(SOURCE, TARGET, 0.5)
    z = method.features(TARGET.x).detach().numpy().astype(float)
    p = method.logits(TARGET.x).softmax(1).detach().numpy().astype(float)
    assert method.pseudo_labels.tolist() == by_loop(z, p, 2)
    without = small(beta=0.0)
    assert not without.pass_due(1.0)
    without.prepare(None, TARGET, 1.0)
    assert len(without.pseudo_labels) == 0


# -- the losses -------------------------------------------------------------------------------------------------


def test_both_stages_by_hand():
    method = small(label_smoothing=0.1, beta=0.4)
    source, target = batch_pair()
    log_p = method.logits(source.x).log_softmax(1)
    q = 0.9 * functional.one_hot(source.y, 2) + 0.05
    label = method.losses(source, None, 0.2)["label"]
    assert label.item() == pytest.approx(-(q * log_p).sum(1).mean().item(), rel=1e-5)

    p = method.logits(target.x).softmax(1).detach().numpy().astype(float)
    mean = p.mean(0)
    expected = {
        "entropy": -(p * np.log(p)).sum(1).mean(),
        "diversity": (mean * np.log(mean)).sum(),
    }
    terms = method.losses(None, target, 0.5)
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-5)
    labels = torch.arange(100) % 3 % 2
    method.pseudo_labels = labels
    terms = method.losses(None, target, 1.0)
    expected["pseudo"] = -0.4 * np.mean([np.log(p[i, labels[i]]) for i in range(12)])
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_it_never_gets_better_than_sure_and_even():
    method = small()
    target = batch_pair()[1]
    even = functional.one_hot(torch.arange(12) % 2, 2) * 1e3
    method.features = lambda x: torch.randn(12, 6)
    total = sum(method.losses(None, target, 1.0).values()).item()
    best = losses.entropy(even.float()) - losses.marginal_entropy(even.float())
    assert total >= best.item() == pytest.approx(-np.log(2), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_head_is_frozen_in_the_second_stage(optimizer):
    method, seen = small(), []
    inner = method.losses

    def losses_(source, target, progress):
        seen.append((progress, {k: v.clone() for k, v in method.state_dict().items()}))
        return inner(source, target, progress)

    method.losses = losses_
    fit(method, SOURCE, TARGET, optimizer=optimizer, weight_decay=0.1, **QUICK)
    switch = next(state for progress, state in seen if progress >= 0.5)
    first, last = seen[0][1], method.state_dict()
    assert torch.equal(last["head.weight"], switch["head.weight"])
    assert torch.equal(last["head.bias"], switch["head.bias"])
    assert not torch.equal(switch["head.weight"], first["head.weight"])
    key = "backbone.layers.1.weight"
    assert not torch.equal(last[key], switch[key])
    assert len(last["pseudo_labels"]) == 100


def test_history_has_a_column_for_each_term():
    history = fit("shot", SOURCE, TARGET, **{**QUICK, "log_every": 1}).history
    assert history["label"].iloc[11:].isna().all()
    assert history["entropy"].iloc[1:11].isna().all()
    assert history["entropy"].iloc[11:].notna().all()
    # The second stage begins at step 10, inside an epoch of 7 steps.
    assert history["pseudo"].notna().tolist() == [False] * 11 + [True] * 10


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match=r"beta must be a number of at least 0, got -0\.1"):
        small(beta=-0.1)


def test_it_beats_its_own_first_stage_where_clusters_keep_apart():
    source, target = moved_along_the_classes()
    backbone = {"name": "mlp", "hidden": (16, 8)}

    def group(name, **options):
        make = lambda s: methods.build(name, source, backbone=backbone, seed=s, **options)  # noqa: E731
        return fit(make, source, target, seeds=3, **LEARN)

    plain, adapted = (mean_accuracy(group("shot", pretrain=p), target) for p in (1.0, 0.5))
    assert adapted > plain, (plain, adapted)
