import torch

from dakit import losses, methods
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, same, weights

SOURCE = blobs()


def test_the_loss_is_the_cross_entropy_of_the_source_batch():
    method = methods.build("source_only", SOURCE)
    source, target = batch_pair()
    terms = method.losses(source, target, 0.3)
    assert list(terms) == ["label"]
    by_hand = -torch.log_softmax(method.logits(source.x), dim=1)[torch.arange(12), source.y].mean()
    assert torch.allclose(terms["label"], by_hand)
    smooth = methods.build("source_only", SOURCE, label_smoothing=0.2).losses(source, target, 0.3)["label"]
    assert torch.allclose(
        smooth, losses.cross_entropy(method.logits(source.x), source.y, label_smoothing=0.2)
    )


def test_the_target_changes_nothing_at_all():
    a = fit("source_only", SOURCE, blobs(80, shift=2, seed=1), **QUICK)
    b = fit("source_only", SOURCE, blobs(80, shift=-9, seed=5), **QUICK)
    assert same(weights(a), weights(b))
    assert methods.build("source_only", SOURCE).lr_factor(0.9) == 1.0


def test_it_learns_the_source():
    run = fit("source_only", SOURCE, SOURCE.unlabeled(), **{**QUICK, "steps": 100})
    assert run.evaluate(blobs(200, seed=7)).accuracy > 0.93
