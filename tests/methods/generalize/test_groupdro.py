"""GroupDRO: weights by hand, the uniform limit, and the worst domain."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import LEARN, SOURCES, UNSEEN, batch_of, takes_the_path_of_erm, two_bits
from tests.training.toys import QUICK


def small(**hyper):
    return methods.build("groupdro", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def with_risks(monkeypatch, *values):
    given = torch.tensor(values, requires_grad=True)
    monkeypatch.setattr("dakit.methods.generalize.groupdro.risks", lambda *_, **__: given)
    return given


def test_weights_by_hand_over_two_steps(monkeypatch):
    """η = 1 and risks log 1, log 2, log 5: the weights are multiplied by 1, 2 and 5 and brought back to sum 1."""
    given = with_risks(monkeypatch, 0.0, math.log(2), math.log(5))
    method, batch = small(eta=1.0), batch_of(SOURCES)
    assert method.q.tolist() == pytest.approx([1 / 3] * 3)
    terms = method.losses(batch, None, 0.0)
    assert method.q.tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert list(terms) == ["label"]
    assert terms["label"].item() == pytest.approx(2 / 8 * math.log(2) + 5 / 8 * math.log(5))
    # No gradient through q: the slope with respect to a risk is its weight.
    assert torch.autograd.grad(terms["label"], given)[0].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    method.losses(batch, None, 0.0)
    assert method.q.tolist() == pytest.approx([1 / 30, 4 / 30, 25 / 30])
    assert method.diagnostics(None, None) == pytest.approx({"q_0": 1 / 30, "q_1": 4 / 30, "q_2": 25 / 30})


def test_a_vast_risk_does_not_overflow(monkeypatch):
    with_risks(monkeypatch, 1e6, 0.0, 1.0)
    method = small(eta=1.0)
    assert method.losses(batch_of(SOURCES), None, 0.0)["label"].item() == pytest.approx(1e6)
    assert method.q.tolist() == [1, 0, 0]


def test_the_loss_against_a_loop_over_domains():
    method, batch = small(eta=0.5), batch_of(SOURCES)
    each = [cross_entropy(method.logits(p.x), p.y).item() for p in batch.parts()]
    grown = [math.exp(0.5 * r) for r in each]
    expected = sum(g * r for g, r in zip(grown, each)) / sum(grown)
    assert method.losses(batch, None, 0.0)["label"].item() == pytest.approx(expected, rel=1e-5)


def test_without_a_step_size_it_takes_the_path_of_erm():
    assert takes_the_path_of_erm("groupdro", eta=0.0)
    assert not takes_the_path_of_erm("groupdro", eta=1.0)


def test_one_domain_is_erm():
    method = methods.build("groupdro", SOURCES[0])
    batch = batch_of(SOURCES[:1])
    label = method.losses(batch, None, 0.0)["label"]
    assert label.item() == pytest.approx(cross_entropy(method.logits(batch.x), batch.y).item())


def test_the_weights_are_saved_and_resumed(tmp_path):
    run = fit(lambda s: methods.build("groupdro", SOURCES, eta=0.3), SOURCES, UNSEEN, **QUICK)
    run.save(tmp_path)
    back = type(run).load(tmp_path)
    assert torch.equal(back.method.q, run.method.q)
    assert run.method.q.sum().item() == pytest.approx(1)
    assert run.method.q.std() > 0
    assert {"q_0", "q_1", "q_2"} <= set(run.history.columns)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="eta must be a number of at least 0, got -1"):
        small(eta=-1)
    with pytest.raises(ValueError, match="this GroupDRO has weights for 3 sources, the batch holds 2"):
        small().losses(batch_of(SOURCES[:2]), None, 0.0)
    with pytest.raises(ValueError, match="GroupDRO needs at least 2 source domains, got 1"):
        fit("groupdro", SOURCES[0], None, **QUICK)


def test_it_raises_the_accuracy_of_the_worst_domain():
    """The colour says more than the shape in two domains, and nothing in the third: ERM follows the two."""
    sources = [two_bits(0.9, name="a"), two_bits(0.9, name="b"), two_bits(0.5, name="c")]
    worst = {}
    for name, hyper in (("erm", {}), ("groupdro", {"eta": 0.1})):
        runs = fit(
            lambda s: methods.build(name, sources, backbone={"name": "mlp", "hidden": (8,)}, seed=s, **hyper),  # noqa: B023
            sources,
            None,
            seeds=3,
            **{**LEARN, "steps": 200},
        )
        worst[name] = sum(min(r.evaluate(d).accuracy for d in sources) for r in runs) / 3
    assert worst["groupdro"] > worst["erm"], worst
