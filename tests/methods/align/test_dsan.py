"""Deep subdomain adaptation: its term, the pseudo-labels in it, and what it reaches."""

import numpy as np
import pytest
import torch

from dakit import losses, methods
from dakit.domains.domain import Domain
from dakit.training import fit
from tests.losses.test_local_mmd_loss import by_loops
from tests.methods.align.deep_toys import mean_accuracy, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    small_net = {"name": "mlp", "hidden": (5,)}
    return methods.build("dsan", SOURCE, backbone=small_net, seed=seed, **{"ramp": False, **options})


def test_the_losses_by_hand():
    method = small(lambda_=0.7, bandwidths=(1.0, 3.0))
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    fs, ft, pt = method.features(source.x), method.features(target.x), method.logits(target.x).softmax(1)
    assert list(terms) == ["label", "lmmd"]
    assert terms["lmmd"].item() == pytest.approx(0.7 * by_loops(fs, ft, source.y, pt, [1.0, 3.0]), rel=1e-3)
    label = -torch.log_softmax(method.head(fs), dim=1)[torch.arange(12), source.y].mean()
    assert torch.allclose(terms["label"], label, atol=1e-6)


def test_the_weight_grows_as_in_the_paper():
    method = small(ramp=True, lambda_=2.0)
    assert method.lambda_at(0.0) == 0.0
    assert method.lambda_at(1.0) == pytest.approx(2 * 0.99991, abs=1e-4)
    assert small(lambda_=2.0).lambda_at(0.0) == 2.0


def test_lambda_zero_is_source_only():
    adapted = weights(fit(methods.build("dsan", SOURCE, lambda_=0.0), SOURCE, TARGET, **QUICK))
    for k, v in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(adapted[k], v, atol=1e-5), k


def test_a_head_that_gives_all_to_all_classes_compares_each_class_with_the_whole_target():
    method = small(bandwidths=(3.0,))
    source, target = batch_pair()
    for p in method.head.parameters():
        p.data.zero_()
    fs, ft = method.features(source.x), method.features(target.x)
    expected = sum(losses.mmd(fs[source.y == c], ft, bandwidths=3.0) for c in (0, 1)) / 2
    assert torch.allclose(method.losses(source, target, 0.5)["lmmd"], expected, atol=1e-6)


def test_both_domains_feel_it_and_the_head_does_not():
    method, (source, target) = small(), batch_pair()
    source.x, target.x = (b.x.detach().requires_grad_() for b in (source, target))
    method.losses(source, target, 1.0)["lmmd"].backward()
    for felt in (source.x, target.x, method.backbone.layers[1].weight):
        assert felt.grad.abs().sum() > 0
    assert method.head.weight.grad is None  # pseudo-labels pass no gradient


def test_the_discrepancy_reads_the_source_labels():
    method, (source, target) = small(), batch_pair()
    right = method.losses(source, target, 1.0)["lmmd"].item()
    source.y = 1 - source.y
    assert method.losses(source, target, 1.0)["lmmd"].item() != pytest.approx(right)


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    made = [weights(fit("dsan", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(made[0], made[1])
    assert same(made[0], made[2])


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match="lambda_ must be a number of at least 0, got -1"):
        small(lambda_=-1)
    with pytest.raises(ValueError, match="each of bandwidths must be a number of more than 0, got 0"):
        small(bandwidths=(1.0, 0))
    with pytest.raises(ValueError, match="dsan needs at least one bandwidth, or None"):
        small(bandwidths=())


def test_it_learns_over_seeds_where_class_shares_differ():
    """Two blobs moved along the class axis, 40 examples of the left class to 160 of the right: mean of three seeds."""
    source, moved = blobs(300), blobs(300, seed=1)
    kept = torch.cat([torch.where(moved.y == 0)[0][:40], torch.where(moved.y == 1)[0]])
    offset = torch.tensor([1.5, 0.0, 0.0, 0.0])
    target = Domain("moved", moved.x[kept] + offset, moved.y[kept], moved.classes)
    plain, adapted = runs("source_only", source, target), runs("dsan", source, target)
    assert mean_accuracy(adapted, target) > mean_accuracy(plain, target)

    def gap(run):
        """Distance of the domains' class means in units of the source's spread, by the predicted classes."""
        last = run.snapshots[-1]
        fs, ft = last.source_features, last.target_features
        zs, zt = (run.method.head(torch.as_tensor(f)).argmax(1).numpy() for f in (fs, ft))
        apart = [np.linalg.norm(fs[zs == c].mean(0) - ft[zt == c].mean(0)) for c in (0, 1)]
        return np.mean(apart) / fs.std(0).mean()

    assert max(map(gap, adapted)) < min(map(gap, plain))
