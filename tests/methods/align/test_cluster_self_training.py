"""Self-training on clusters: spherical k-means from source centres, two filters, and labels for each target row."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.align.cluster_self_training import spherical_k_means
from dakit.methods.method import Batch
from dakit.methods.passes import whole
from dakit.training import Run, fit
from tests.methods.align.deep_toys import mean_accuracy, moved_along_the_classes, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

NAME = "cluster_self_training"
SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, norm="none", **options):
    backbone = {"name": "mlp", "hidden": (6,), "norm": norm}
    return methods.build(NAME, SOURCE, backbone=backbone, seed=seed, **options)


# -- clusters ---------------------------------------------------------------------------------------------------


def at(*degrees):
    return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees])


def test_k_means_by_hand():
    """The point at 40° goes to the first centre at once; the one at 50° only when the centre has moved."""
    x = at(30, 40, 50, 100) * torch.tensor([[1.0], [5.0], [0.1], [2.0]])  # lengths do not count
    labels, centres = spherical_k_means(x, 3.0 * at(0, 95))
    assert labels.tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(centres, at(40, 100))
    assert spherical_k_means(x, at(0, 95), rounds=1)[0].tolist() == [0, 0, 1, 1]


def test_k_means_against_a_loop():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(80, 5)), rng.normal(size=(4, 5))
    labels, centres = spherical_k_means(torch.tensor(x), torch.tensor(c))
    u = [v / np.linalg.norm(v) for v in x]
    c = [v / np.linalg.norm(v) for v in c]
    last = None
    while True:
        now = [max(range(4), key=lambda k: float(v @ c[k])) for v in u]
        if now == last:
            break
        last = now
        for k in range(4):
            total = sum(v for v, y in zip(u, now) if y == k)
            c[k] = total / np.linalg.norm(total)
    assert labels.tolist() == last
    np.testing.assert_allclose(centres.numpy(), np.array(c), atol=1e-12)


def test_a_lost_cluster_keeps_its_centre_and_an_empty_class_gets_nothing():
    labels, centres = spherical_k_means(at(10, 20), torch.cat([at(15, 170), torch.zeros(1, 2)]))
    assert labels.tolist() == [0, 0]
    torch.testing.assert_close(centres, torch.cat([at(15, 170), torch.zeros(1, 2)]))
    opposite, _ = spherical_k_means(-at(15), torch.cat([at(15), torch.zeros(1, 2)]))
    assert opposite.tolist() == [0]  # the only class there is, however far


# -- labels -----------------------------------------------------------------------------------------------------


class Identity(torch.nn.Module):
    out_features = 2

    def forward(self, x):
        return x


def flat(degrees, y=None, name="d"):
    return Domain(name, at(*degrees), y, ("a", "b", "c"))


def prepared(radius, smallest, source=(0, 10, 90, 100, 200), target=(4, 8, 30, 95, 97, 150, 201, 199, 200)):
    method = methods.ClusterSelfTraining(Identity(), 3, radius=radius, smallest=smallest)
    method.prepare(flat(source, torch.tensor([0, 0, 1, 1, 2])), flat(target), 1.0)
    return method


def test_the_two_filters_by_hand():
    everything = prepared(1.0, 1)
    assert everything.pseudo_labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    # Directions sum to about 14, 96 and 188 degrees; a distance of 0.0105 is an angle of 11.76.
    angles = np.degrees(np.arccos(1 - 2 * everything.distances(at(4, 97, 200)).diagonal().numpy()))
    assert angles == pytest.approx([9.95, 1.0, 11.9], abs=0.05)
    assert prepared(0.0105, 1).pseudo_labels.tolist() == [0, 0, -1, 1, 1, -1, -1, 2, -1]
    assert prepared(0.0105, 2).pseudo_labels.tolist() == [0, 0, -1, 1, 1, -1, -1, -1, -1]
    assert prepared(0.0105, 3).pseudo_labels.tolist() == [-1] * 9


def test_before_the_warmup_ends_the_target_is_not_looked_at():
    method = small(warmup=0.5)
    source, target = batch_pair()
    method.prepare(SOURCE, TARGET, 0.49)
    assert len(method.pseudo_labels) == 0
    terms = method.losses(source, Batch(target.x * torch.nan, None, target.index, 1), 0.49)
    assert list(terms) == ["label"]
    assert torch.isfinite(terms["label"])
    method.prepare(SOURCE, TARGET, 0.5)
    assert method.pseudo_labels.shape == (100,)
    assert set(method.losses(source, target, 0.5)) == {"label", "cluster"}


def test_the_losses_by_loop():
    method = small(lambda_=2.0)
    source, target = batch_pair()
    labels = torch.full((100,), -1)
    labels[:12] = torch.tensor([0, 1, -1, -1, 1, 0, 0, -1, 1, 1, 0, -1])
    method.pseudo_labels = labels
    order = torch.tensor([3, 0, 11, 5, 4, 9, 1, 2, 6, 7, 8, 10])
    terms = method.losses(source, Batch(target.x[order], None, order, 1), 1.0)
    log_p = method.logits(target.x).log_softmax(1)
    kept = [-log_p[i, y].item() for i, y in enumerate(labels[:12].tolist()) if y >= 0]
    assert terms["cluster"].item() == pytest.approx(2.0 * np.mean(kept), rel=1e-5)
    label = functional.cross_entropy(method.logits(source.x), source.y)
    torch.testing.assert_close(terms["label"], label)


def test_a_batch_without_labels_adds_zero():
    method = small()
    method.pseudo_labels = torch.full((100,), -1)
    terms = method.losses(*batch_pair(), 1.0)
    assert terms["cluster"].item() == 0.0
    terms["cluster"].backward()
    assert not method.head.weight.grad.any()


def test_without_its_weight_it_takes_the_path_of_source_only():
    adapted = weights(fit(methods.build(NAME, SOURCE, lambda_=0.0), SOURCE, TARGET, **QUICK))
    for key, value in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(adapted[key], value, atol=1e-5), key


def test_prepare_uses_evaluation_mode_and_all_rows_in_order():
    method = small(norm="batch", radius=1.0, smallest=1, warmup=0.0).train()
    before = {k: v.clone() for k, v in method.state_dict().items() if "layers" in k}
    method.prepare(SOURCE, TARGET, 0.0)
    assert method.training
    assert same(before, {k: v for k, v in method.state_dict().items() if "layers" in k})
    z = method.eval().features(TARGET.x).detach()
    nearest = (functional.normalize(z, dim=1) @ method.centres.T).argmax(1)
    assert torch.equal(method.pseudo_labels, nearest)


def test_a_pass_does_not_depend_on_its_chunks():
    method = small()
    z, logits = whole(method, TARGET.x, batch_size=7)
    torch.testing.assert_close(z, method.features(TARGET.x).detach())
    torch.testing.assert_close(logits, method.logits(TARGET.x).detach())
    assert not z.requires_grad


# -- training ---------------------------------------------------------------------------------------------------


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    found = [weights(fit(NAME, SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_the_first_clusters_do_not_wait_for_an_epoch_and_those_of_another_training_go():
    settings = {**QUICK, "batch_size": 4, "log_every": 1}  # epochs of 30 steps, 20 steps in all
    method = small(warmup=0.2)
    for target in (TARGET.subset(slice(40)), TARGET):
        history = fit(method, SOURCE, target, **settings).history
        assert history["cluster"].notna().tolist() == [False] * 5 + [True] * 16
        assert len(method.pseudo_labels) == len(target)


def test_interrupted_and_saved_runs_keep_their_labels(tmp_path):
    def stop(run):
        if run.step >= 10:  # epochs begin at 0, 7 and 14
            raise KeyboardInterrupt

    whole_run = fit(NAME, SOURCE, TARGET, **QUICK)
    options = {**QUICK, "snapshots": 21}
    broken = fit(NAME, SOURCE, TARGET, on_snapshot=stop, **options)
    assert not broken.finished
    assert len(broken.method.pseudo_labels) == 100
    broken.save(tmp_path)
    resumed = fit(NAME, SOURCE, TARGET, resume=tmp_path, **options)
    assert same(weights(resumed), weights(whole_run))
    resumed.save(tmp_path)
    assert same(weights(Run.load(tmp_path)), weights(whole_run))


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"lambda_": -1}, "lambda_ must be a number of at least 0, got -1"),
        ({"radius": 0}, "radius must be a number of more than 0 and at most 1, got 0"),
        ({"smallest": 0}, "smallest must be an integer of at least 1, got 0"),
        ({"warmup": 2}, "warmup must be a number of at least 0 and at most 1, got 2"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


def test_it_beats_source_only_where_clusters_keep_apart():
    source, target = moved_along_the_classes()
    plain, adapted = (mean_accuracy(runs(name, source, target), target) for name in ("source_only", NAME))
    assert adapted > plain, (plain, adapted)
