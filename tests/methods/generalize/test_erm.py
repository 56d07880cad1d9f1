"""ERM: the pooled risk, nothing else."""

import pytest
import torch

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, UNSEEN, batch_of
from tests.training.toys import QUICK, poisoned, same, weights


def test_the_loss_by_hand():
    method = methods.build("erm", SOURCES, backbone={"name": "mlp", "hidden": (5,)})
    batch = batch_of(SOURCES)
    log_p = torch.log_softmax(method.logits(batch.x), dim=1)
    terms = method.losses(batch, None, 0.5)
    assert list(terms) == ["label"]
    assert terms["label"].item() == pytest.approx(-log_p[torch.arange(36), batch.y].mean().item(), rel=1e-5)


def test_with_one_source_it_is_source_only():
    erm, plain = (weights(fit(name, SOURCES[0], None, **QUICK)) for name in ("erm", "source_only"))
    assert same(erm, plain)


def test_the_target_is_for_looking_only():
    runs = [fit("erm", SOURCES, target, **QUICK) for target in (None, UNSEEN, poisoned(UNSEEN))]
    assert same(weights(runs[0]), weights(runs[1]))
    assert same(weights(runs[0]), weights(runs[2]))


def test_it_learns_from_every_source():
    run = fit("erm", SOURCES, None, **{**QUICK, "steps": 150})
    assert all(run.evaluate(d).accuracy > 0.9 for d in SOURCES)  # blobs 4 apart: Bayes 0.977
