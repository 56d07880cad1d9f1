import torch

from dakit import methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(shift=3.0, seed=1, name="moved")


def test_the_loss_is_the_cross_entropy_of_the_target_batch():
    method = methods.build("oracle", SOURCE)
    source, target = (Batch(d.x[:8], d.y[:8], torch.arange(8), i) for i, d in enumerate((SOURCE, TARGET)))
    by_hand = -torch.log_softmax(method.logits(target.x), dim=1)[torch.arange(8), target.y].mean()
    assert torch.allclose(method.losses(source, target, 0.0)["label"], by_hand)


def test_the_source_changes_nothing_and_target_labels_do():
    run = fit("oracle", SOURCE, TARGET, **QUICK)
    assert same(weights(run), weights(fit("oracle", poisoned(SOURCE), TARGET, **QUICK)))
    assert not same(weights(run), weights(fit("oracle", SOURCE, poisoned(TARGET), **QUICK)))


def test_it_bounds_source_only_where_the_classes_trade_places():
    swapped = poisoned(TARGET)
    options = {**QUICK, "steps": 100}
    assert fit("oracle", SOURCE, swapped, **options).evaluate(swapped).accuracy > 0.9
    assert fit("source_only", SOURCE, swapped, **options).evaluate(swapped).accuracy < 0.3


def test_health_says_that_it_is_a_bound():
    assert "bound" in fit("oracle", SOURCE, TARGET, **QUICK).health()["source"].text
