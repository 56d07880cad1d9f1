"""IBN-Net: nothing but the backbone differs from source only, no target is needed, and style is forgotten."""

import numpy as np
import pytest
import torch

from dakit import methods, models
from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from dakit.models.ibn import InstanceBatchNorm
from dakit.training import fit
from tests.training.toys import QUICK, blobs, pictures, same, weights

SOURCE = pictures()
SMALL = {"name": "resnet8", "width": 4}


def small(seed=0, backbone=SMALL, **options):
    return methods.build("ibn", SOURCE, backbone=backbone, seed=seed, **options)


def restyled(domain: Domain, seed: int = 0) -> Domain:
    """Every picture with a gain and an offset of its own."""
    rng = np.random.default_rng(seed)
    gain = torch.tensor(rng.uniform(0.2, 1, size=(len(domain), 1, 1, 1)), dtype=torch.float32)
    offset = torch.tensor(rng.uniform(0, 1, size=(len(domain), 1, 1, 1)), dtype=torch.float32) * (1 - gain)
    return Domain("restyled", offset + gain * domain.x, domain.y, domain.classes)


# -- values -----------------------------------------------------------------------------------------------------


def test_the_loss_is_the_cross_entropy_of_the_source():
    method = small()
    batch = Batch(SOURCE.x[:8], SOURCE.y[:8], torch.arange(8), 0)
    terms = method.losses(batch, None, 0.3)
    log_p = torch.log_softmax(method.head(method.backbone(batch.x)), 1)[torch.arange(8), batch.y]
    assert {k: v.item() for k, v in terms.items()} == {"label": pytest.approx(-log_p.mean().item(), rel=1e-5)}


# -- what makes it IBN ------------------------------------------------------------------------------------------


def test_ratio_0_takes_the_path_of_source_only_bit_for_bit():
    plain = methods.build("source_only", SOURCE, backbone=SMALL)
    a, b = (fit(m, SOURCE, None, **QUICK) for m in (small(ratio=0.0), plain))
    theirs, ours = b.method.state_dict(), a.method.state_dict()
    for k, v in theirs.items():
        assert torch.equal(ours[k if k in ours else k.replace(".bn1.", ".bn1.batch.")], v), k


def test_no_target_is_needed_and_one_that_is_given_changes_nothing():
    assert not small().uses_target
    runs = [fit(small(), SOURCE, t, **QUICK) for t in (None, restyled(SOURCE))]
    assert same(weights(runs[0]), weights(runs[1]))


def test_the_backbone_is_copied_and_keeps_its_other_weights():
    mine = models.build("resnet8", SOURCE.shape, width=4)
    before = {k: v.clone() for k, v in mine.state_dict().items()}
    method = methods.IBN(mine, 2)
    assert same(mine.state_dict(), before)
    assert mine.spec["ibn"] is None
    ours = method.backbone.state_dict()
    assert all(torch.equal(ours[k], v) for k, v in before.items() if k in ours)
    assert isinstance(method.backbone.layer1[0].bn1, InstanceBatchNorm)


def test_a_backbone_that_has_ibn_is_taken_as_it_is():
    mine = models.build("resnet8", SOURCE.shape, width=4, ibn="b")
    assert methods.IBN(mine, 2, variant="b").backbone is mine
    with pytest.raises(ValueError, match="already has ibn='b'"):
        methods.IBN(mine, 2)


@pytest.mark.parametrize(
    "backbone", [SMALL, {"name": "lenet", "norm": "batch"}, {"name": "resnet18", "width": 4}]
)
def test_backbones_with_batch_norm_are_converted(backbone):
    method = small(backbone=backbone)
    assert any(isinstance(m, InstanceBatchNorm) for m in method.modules())
    assert method.logits(SOURCE.x[:3]).shape == (3, 2)


def test_auto_is_a_small_residual_network():
    assert methods.build("ibn", SOURCE).backbone.spec["name"] == "resnet8"


def test_bad_input_is_told():
    for options, words in (
        ({"variant": "c"}, "ibn must be 'a' or 'b', got 'c'"),
        ({"ratio": -0.1}, r"ratio must lie in \[0, 1\], got -0.1"),
        ({"backbone": "lenet"}, "residual blocks and batch norm.*lenet.*got lenet with norm='group'"),
        ({"backbone": "mlp"}, "residual blocks and batch norm.*got mlp"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**options)
    with pytest.raises(ValueError, match="resnet8 needs pictures"):
        methods.build("ibn", blobs())


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_reads_restyled_pictures_better_than_batch_norm():
    source, target = pictures(200), restyled(pictures(100, seed=1))
    options = {**QUICK, "steps": 50, "batch_size": 16, "lr": 0.05, "snapshots": 0, "seeds": 3}

    def accuracies(name, **hyperparameters):
        def make(seed):
            return methods.build(name, source, backbone=SMALL, seed=seed, **hyperparameters)

        runs = fit(make, source, None, **options)
        return runs.accuracies(source), runs.accuracies(target)

    plain, a, b = accuracies("source_only"), accuracies("ibn"), accuracies("ibn", variant="b")
    for ours in (a, b):
        assert np.mean(ours[0]) > 0.9
        assert np.mean(ours[1]) > np.mean(plain[1]), (plain, ours)
