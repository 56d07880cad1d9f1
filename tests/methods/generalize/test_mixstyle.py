"""MixStyle as a method: source only with p = 0, mixing in training alone, partners from other domains."""

import numpy as np
import pytest
import torch

from dakit import methods, models
from dakit.domains.domain import Domain
from dakit.models import mixstyle
from dakit.training import fit
from tests.training.toys import QUICK, blobs, pictures, same, weights

SOURCE = pictures()
DARK = pictures(40, dark=0.5, seed=1, name="dark")
SMALL = {"name": "lenet", "width": 4, "features": 8, "norm": "batch"}


def small(seed=0, source=SOURCE, backbone=SMALL, **options):
    return methods.build("mixstyle", source, backbone=backbone, seed=seed, **options)


def test_p_0_takes_the_path_of_source_only():
    plain = methods.build("source_only", SOURCE, backbone=SMALL)
    assert same(*(weights(fit(m, SOURCE, None, **QUICK)) for m in (small(p=0.0), plain)))


def test_evaluation_is_not_mixed_and_training_is():
    method = small(p=1.0)
    plain = methods.build("source_only", SOURCE, backbone=SMALL)
    assert torch.equal(method.eval().logits(SOURCE.x), plain.eval().logits(SOURCE.x))
    assert not torch.equal(method.train().logits(SOURCE.x), plain.train().logits(SOURCE.x))


def test_no_target_is_needed_and_one_that_is_given_changes_nothing():
    assert not small().uses_target
    runs = [weights(fit(small(), SOURCE, t, **QUICK)) for t in (None, DARK, None)]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_partners_come_from_another_source_domain():
    seen = []
    method = small(source=[SOURCE, DARK], mix="crossdomain", p=1.0)
    (layer,) = (m for m in method.modules() if isinstance(m, mixstyle.MixStyle))
    draw = layer.partners

    def partners(n, device):
        rows = draw(n, device)
        seen.append((layer.group, layer.group[rows]))
        return rows

    layer.partners = partners
    fit(method, [SOURCE, DARK], None, **{**QUICK, "snapshots": 0})
    assert len(seen) >= 20
    assert all((a != b).all() for a, b in seen)
    assert set(seen[0][0].tolist()) == {0, 1}


def test_layers_may_be_named():
    method = small(layers=["maps.8"], p=1.0)
    assert [n for n, m in method.named_modules() if isinstance(m, mixstyle.MixStyle)] == ["backbone.maps.8.1"]
    mine = models.build("lenet", SOURCE.shape)
    methods.MixStyle(mine, 2)
    assert not any(isinstance(m, mixstyle.MixStyle) for m in mine.modules()), "the backbone is copied"


def test_bad_input_is_told():
    with pytest.raises(
        ValueError, match=r"MixStyle works on maps.*the backbone mlp names none: take pictures"
    ):
        methods.build("mixstyle", blobs())
    for bad, words in (
        ({"p": 1.5}, "p must be a number of at least 0 and at most 1, got 1.5"),
        ({"alpha": 0}, "alpha must be a number of more than 0, got 0"),
        ({"mix": "all"}, "mix must be one of 'random', 'crossdomain', got 'all'"),
        ({"layers": ["conv9"]}, "no submodule 'conv9'"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


def test_it_learns_two_styles_and_what_lies_between():
    """Bright bars on a dark ground and faint ones on a light ground; the target lies between the two."""

    def dressed(n, gain, offset, seed):
        rng = np.random.default_rng(seed)
        d = pictures(n, seed=seed, name=f"{gain}")
        k = torch.tensor(gain + 0.05 * rng.normal(size=(n, 1, 1, 1)), dtype=torch.float32)
        return Domain(d.name, offset + k * d.x, d.y, d.classes)

    given = [dressed(100, 0.9, 0.0, 0), dressed(100, 0.2, 0.6, 1)]
    target = dressed(200, 0.5, 0.3, 2)
    options = {**QUICK, "steps": 60, "lr": 0.05, "snapshots": 0, "seeds": 3}
    backbone = {**SMALL, "width": 8}
    ours = fit(lambda s: small(s, given, backbone, mix="crossdomain"), given, None, **options)
    assert np.mean([run.evaluate(d).accuracy for run in ours for d in given]) > 0.9
    assert np.mean(ours.accuracies(target)) > 0.8
