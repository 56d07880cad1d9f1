"""AdaBN: source weights bit for bit, target statistics, and nothing trained on the target."""

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.models.domain_norm import DomainBatchNorm
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, moved_along_the_classes
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
NORM = {"name": "mlp", "hidden": (6,), "norm": "batch"}


def small(seed=0, source=SOURCE, backbone=NORM, **options):
    return methods.build("adabn", source, backbone=backbone, seed=seed, **options)


def layers(method):
    return [m for m in method.modules() if isinstance(m, DomainBatchNorm)]


# -- what makes it AdaBN ----------------------------------------------------------------------------------------


def test_the_weights_and_the_sources_statistics_are_those_of_source_only_bit_for_bit():
    ours = weights(fit(small(), SOURCE, TARGET, **QUICK))
    plain = methods.build("source_only", SOURCE, backbone=NORM)
    theirs = weights(fit(plain, SOURCE, TARGET, **QUICK))
    for k, v in theirs.items():
        own = k.replace("layers.2.running", "layers.2.norms.source.running")
        assert (
            torch.equal(ours[own.replace("layers.2.num", "layers.2.norms.source.num")], v) or "num_b" in k
        ), k


def test_adapt_collects_the_statistics_of_all_target_examples():
    method = small()
    fit(method, SOURCE, TARGET, **QUICK)
    method.adapt(TARGET.x)
    norm, first = layers(method)[0].norms["target"], method.backbone.layers[1]
    z = first(TARGET.x)
    assert torch.allclose(norm.running_mean, z.mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, z.var(0), rtol=1e-4)
    before = method.eval().logits(SOURCE.x)
    other = torch.randn(50, 4) * 3
    with method.on("source"):
        as_source = method.logits(SOURCE.x)
        method.adapt(other)
        assert torch.equal(method.logits(SOURCE.x), as_source), "the source's side does not move"
    assert not torch.allclose(method.logits(SOURCE.x), before)


def test_adapt_by_batches_averages_and_leaves_modes_and_momentum():
    method = small(backbone={**NORM, "hidden": (6, 5), "dropout": 0.5}).train()
    method.adapt(TARGET.x, batch_size=25)
    z = method.backbone.layers[1](TARGET.x)
    norm = layers(method)[0].norms["target"]
    assert torch.allclose(norm.running_mean, z.mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, torch.stack([c.var(0) for c in z.chunk(4)]).mean(0), rtol=1e-4)
    assert norm.momentum == 0.1
    assert all(m.training for m in method.modules())
    method.eval().adapt(TARGET.x)
    assert not any(m.training for m in method.modules())


def test_no_batch_of_one_example_is_left_over():
    method = small()
    method.adapt(TARGET.x[:7], batch_size=3)  # 3 + 2 + 2
    z = method.backbone.layers[1](TARGET.x[:7])
    expected = torch.stack([c.var(0) for c in z.split([3, 2, 2])]).mean(0)
    assert torch.allclose(layers(method)[0].norms["target"].running_var, expected, rtol=1e-4)
    method.adapt(TARGET.x[:5], batch_size=2)


def test_a_shift_and_scale_of_every_input_is_undone():
    """An affine map of the inputs becomes one of each unit before the first norm, which the statistics take away."""
    method = small()
    fit(method, SOURCE, TARGET, **QUICK)
    method.adapt(SOURCE.x)
    before = method.eval().logits(SOURCE.x)
    moved = 3 * SOURCE.x + torch.tensor([1.0, -2.0, 5.0, 7.0])
    assert not torch.allclose(method.logits(moved), before, atol=0.1)
    method.adapt(moved)
    assert torch.allclose(method.logits(moved), before, atol=1e-3)


def test_no_gradient_comes_from_the_target():
    index = torch.arange(8)
    method = small()
    spoilt = torch.full_like(TARGET.x[:8], 1e4)
    gradients = []
    for x in (TARGET.x[:8], spoilt):
        method.zero_grad()
        batch = methods.Batch(SOURCE.x[:8], SOURCE.y[:8], index, 0), methods.Batch(x, None, index, 1)
        method.losses(*batch, 0.5)["label"].backward()
        gradients.append({n: p.grad.clone() for n, p in method.named_parameters()})
    assert same(*gradients)


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    runs = [weights(fit("adabn", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="backbone mlp has no batch norm"):
        small(backbone="mlp")
    with pytest.raises(ValueError, match="adapt needs at least 2 examples, got 1"):
        small().adapt(TARGET.x[:1])
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 2, got 1"):
        small().adapt(TARGET.x, batch_size=1)


# -- it works, and where not ------------------------------------------------------------------------------------


def accuracies(name, source, target):
    def make(seed):
        return methods.build(
            name, source, backbone={"name": "mlp", "hidden": (16,), "norm": "batch"}, seed=seed
        )

    return fit(make, source, target, seeds=3, **LEARN).accuracies(target)


def test_it_undoes_a_shift_along_the_classes():
    source, target = moved_along_the_classes()
    plain, adapted = accuracies("source_only", source, target), accuracies("adabn", source, target)
    assert np.mean(adapted) > np.mean(plain), (plain, adapted)


def test_other_class_proportions_are_taken_for_a_shift():
    """Nine in ten of the target are of one class, nothing else differs: the adapted network is the worse one."""
    source, target = blobs(300), blobs(1000, seed=1)
    rare = torch.nonzero(target.y == 0).flatten()[:55]
    index = torch.cat([rare, torch.nonzero(target.y == 1).flatten()])
    target = Domain("unbalanced", target.x[index], target.y[index], target.classes)
    plain, adapted = accuracies("source_only", source, target), accuracies("adabn", source, target)
    assert np.mean(adapted) < np.mean(plain), (plain, adapted)
