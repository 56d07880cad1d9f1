"""V-REx: the variance of the risks, annealed; it lets a shortcut go that ERM takes."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, coloured, mean_accuracy, takes_the_path_of_erm
from tests.training.toys import QUICK


def small(**hyper):
    return methods.build("vrex", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def with_risks(monkeypatch, *values):
    """A method whose three sources have the given risks."""
    given = torch.tensor(values, requires_grad=True)
    monkeypatch.setattr("dakit.methods.generalize.vrex.risks", lambda *_, **__: given)
    return given


def test_three_risks_by_hand(monkeypatch):
    """Risks 1, 2, 6: mean 3, variance (4 + 1 + 9) / 3."""
    given = with_risks(monkeypatch, 1.0, 2.0, 6.0)
    terms = small(beta=3.0, rescale=False).losses(batch_of(SOURCES), None, 1.0)
    assert list(terms) == ["label", "variance"]
    assert terms["label"].item() == pytest.approx(3)
    assert terms["variance"].item() == pytest.approx(3 * 14 / 3)
    (slope,) = torch.autograd.grad(sum(terms.values()), given)
    # 1/3 + β 2 (R_e - 3) / 3: the domain that is easiest is to get worse.
    assert slope.tolist() == pytest.approx([1 / 3 - 4, 1 / 3 - 2, 1 / 3 + 6])


def test_equal_risks_cost_nothing(monkeypatch):
    given = with_risks(monkeypatch, 2.0, 2.0, 2.0)
    variance = small().losses(batch_of(SOURCES), None, 1.0)["variance"]
    assert variance.item() == 0
    assert torch.autograd.grad(variance, given)[0].tolist() == [0, 0, 0]


def test_the_losses_against_a_loop_over_domains():
    method, batch = small(beta=4.0, rescale=False), batch_of(SOURCES)
    each = [cross_entropy(method.logits(p.x), p.y).item() for p in batch.parts()]
    mean = sum(each) / 3
    terms = method.losses(batch, None, 0.5)
    assert terms["label"].item() == pytest.approx(mean, rel=1e-5)
    assert terms["variance"].item() == pytest.approx(4 * sum((r - mean) ** 2 for r in each) / 3, rel=1e-3)


def test_the_weight_and_the_rescaling_over_progress(monkeypatch):
    with_risks(monkeypatch, 1.0, 2.0, 6.0)
    method, batch = small(beta=20.0, anneal=0.3), batch_of(SOURCES)
    early, late = (method.losses(batch, None, p) for p in (0.29, 0.3))
    assert [early[k].item() for k in early] == pytest.approx([3, 14 / 3])
    assert [late[k].item() for k in late] == pytest.approx([3 / 20, 14 / 3])
    assert small(anneal=1.0).weight_at(1.0) == 1.0


def test_beta_zero_takes_the_path_of_erm():
    assert takes_the_path_of_erm("vrex", beta=0.0, anneal=0.0)
    assert not takes_the_path_of_erm("vrex", beta=5.0, anneal=0.0)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="beta must be a number of at least 0, got -1"):
        small(beta=-1)
    with pytest.raises(ValueError, match="VREx needs at least 2 source domains, got 1"):
        fit("vrex", SOURCES[0], None, **QUICK)


def test_it_lets_go_of_a_colour_that_erm_follows():
    """With the weight of the paper's experiment on coloured digits, 10 000; the default of 10 is too low here."""
    sources, unseen = coloured()
    fitting = {"steps": 200}
    erm = mean_accuracy("erm", sources, unseen, fitting=fitting)
    rex = mean_accuracy("vrex", sources, unseen, fitting=fitting, beta=1e4)
    assert erm < 0.5 < rex, (erm, rex)
