"""CORAL among sources: numpy's moments over all pairs, what it feels, and that it brings the sources together."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, takes_the_path_of_erm
from tests.training.toys import QUICK


def small(**hyper):
    return methods.build("coral_dg", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def test_the_losses_against_numpys_moments():
    method, batch = small(gamma=3.0), batch_of(SOURCES)
    terms = method.losses(batch, None, 0.5)
    f = [method.features(p.x).detach().numpy().astype(np.float64) for p in batch.parts()]
    distances = [
        np.mean((a.mean(0) - b.mean(0)) ** 2) + np.mean((np.cov(a.T) - np.cov(b.T)) ** 2)
        for a, b in combinations(f, 2)
    ]
    risk = np.mean([cross_entropy(method.logits(p.x), p.y).item() for p in batch.parts()])
    assert list(terms) == ["label", "coral"]
    assert len(distances) == 3
    assert terms["coral"].item() == pytest.approx(3 * np.mean(distances), rel=1e-4)
    assert terms["label"].item() == pytest.approx(risk, rel=1e-5)


def test_it_feels_a_translation_and_a_scaling_but_no_mirror_image():
    method = methods.build("coral_dg", SOURCES, backbone="embedding")
    batch = batch_of([SOURCES[0], SOURCES[0]])
    x = batch.x[:12] - batch.x[:12].mean(0) + method.backbone.mean
    found = []
    for other in (x, x + 1, 2 * (x - x.mean(0)) + x.mean(0), 2 * x.mean(0) - x):
        batch.x = torch.cat([x, other])
        found.append(method.losses(batch, None, 0.0)["coral"].item())
    assert found[0] == pytest.approx(0, abs=1e-10)
    assert found[1] == pytest.approx(
        (1 / method.backbone.sd).square().mean().item(), rel=1e-4
    )  # the mean alone
    assert found[2] > 0.01
    assert found[3] == pytest.approx(0, abs=1e-10)


def test_every_source_feels_it_and_the_head_does_not():
    method, batch = small(), batch_of(SOURCES)
    batch.x = batch.x.clone().requires_grad_()
    method.losses(batch, None, 1.0)["coral"].backward()
    assert all(g.abs().sum() > 0 for g in batch.x.grad.split(12))
    assert method.head.weight.grad is None


def test_gamma_zero_takes_the_path_of_erm():
    assert takes_the_path_of_erm("coral_dg", gamma=0.0)
    assert not takes_the_path_of_erm("coral_dg", gamma=5.0)


def test_one_domain_has_nothing_to_be_aligned_with():
    assert small().losses(batch_of(SOURCES[:1]), None, 0.5)["coral"].item() == 0


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="gamma must be a number of at least 0, got -1"):
        small(gamma=-1)
    with pytest.raises(ValueError, match="CORALDG needs at least 2 source domains, got 1"):
        fit("coral_dg", SOURCES[0], None, **QUICK)


def test_it_brings_the_sources_together_over_seeds():
    gaps = {}
    for name, hyper in (("erm", {}), ("coral_dg", {})):
        runs = fit(
            lambda s: methods.build(name, SOURCES, seed=s, **hyper),  # noqa: B023
            SOURCES,
            None,
            seeds=3,
            **{**QUICK, "steps": 150, "snapshots": 0, "batch_size": 60},
        )
        gaps[name] = []
        for run in runs:
            means = [run.features(d).mean(0) for d in SOURCES]
            scale = np.concatenate([run.features(d) for d in SOURCES]).std()  # not merely by shrinking
            gaps[name].append(np.mean([np.linalg.norm(a - b) for a, b in combinations(means, 2)]) / scale)
    assert max(gaps["coral_dg"]) < min(gaps["erm"]), gaps
