"""Streams: every example answered once, before it is learned from; order, resets, labels, and what is refused."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.domains.domain import Domain, DomainSet
from dakit.methods.method import Batch
from dakit.training import Stream, fit, stream
from tests.training.toys import QUICK, blobs, pictures, poisoned, same, weights

SOURCE = blobs(300)
BACKBONE = {"name": "mlp", "hidden": (16, 8), "norm": "batch"}


def changed(scale=0.3, offset=0.5, n=130, name="dimmed", seed=1):
    d = blobs(n, seed=seed)
    return Domain(name, scale * d.x + offset, d.y, d.classes)


TARGET = changed()


@pytest.fixture(scope="module")
def trained():
    """Source-only runs of tent and cotta on the same weights, and one of a method that learns from no stream."""
    out = {}
    for name, options in (("tent", {"pretrain": 1.0}), ("cotta", {"pretrain": 1.0, "views": 2}), ("mcc", {})):
        method = methods.build(name, SOURCE, backbone=BACKBONE, **options)
        out[name] = fit(method, SOURCE, SOURCE.unlabeled(), **{**QUICK, "steps": 100, "lr": 0.05})
    return out


# -- the protocol -----------------------------------------------------------------------------------------------


def test_without_learning_it_answers_as_evaluate_does(trained):
    run = trained["mcc"]
    answered = stream(run, TARGET, lr=0.0, batch_size=32)
    assert np.allclose(answered.logits, run.logits(TARGET)[answered.index], atol=1e-5)
    assert answered.accuracy == pytest.approx(run.evaluate(TARGET).accuracy)
    assert answered.terms == [{}] * 5


def test_a_method_that_may_say_unknown_is_asked_about_a_domain_that_has_it():
    run = fit(methods.build("osbp", SOURCE, backbone=BACKBONE), SOURCE, TARGET, **QUICK)
    y = TARGET.y.clone()
    y[::3] = 2
    wider = Domain("wider", TARGET.x, y, (*TARGET.classes, "unknown"))
    answered = stream(run, wider, lr=0.0, batch_size=32)
    assert answered.logits.shape == (130, 3)
    assert answered.accuracy == pytest.approx(run.evaluate(wider).accuracy)


def test_every_example_comes_once_in_an_order_of_the_seed(trained):
    a, b, c = (stream(trained["mcc"], TARGET, lr=0.0, seed=s) for s in (1, 1, 2))
    assert sorted(a.index.tolist()) == list(range(130))
    assert np.array_equal(a.index, b.index)
    assert not np.array_equal(a.index, c.index)
    kept = stream(trained["mcc"], TARGET, lr=0.0, shuffle=False)
    assert kept.index.tolist() == list(range(130))
    assert np.array_equal(kept.labels, TARGET.y.numpy())
    assert np.bincount(kept.batch).tolist() == [64, 64, 2]


def test_a_last_batch_of_one_joins_the_one_before(trained):
    sizes = {
        n: np.bincount(stream(trained["tent"], changed(n=n), batch_size=10).batch).tolist()
        for n in (31, 32, 9)
    }
    assert sizes == {31: [10, 10, 11], 32: [10, 10, 10, 2], 9: [9]}
    assert len(set(stream(trained["mcc"], TARGET, lr=0.0, batch_size=1).batch.tolist())) == 130


@pytest.mark.parametrize("steps", [1, 3])
def test_tent_by_hand(trained, steps):
    """Forward in training mode, answer, step on the entropy of the scales and shifts; answers before the last step."""
    answered = stream(trained["tent"], TARGET, batch_size=50, lr=0.1, steps=steps, shuffle=False)
    net = copy.deepcopy(trained["tent"].method).train()
    optimiser = torch.optim.SGD(net.affine(), lr=0.1, momentum=0.9)
    expected, entropies = [], []
    for x in TARGET.x.split(50):
        for _ in range(steps):
            z = net.head(net.backbone(x))
            p = z.softmax(1)
            loss = -(p * p.log()).sum(1).mean()
            net.zero_grad()
            loss.backward()
            optimiser.step()
        expected.append(z.detach())
        entropies.append(loss.item())
    np.testing.assert_allclose(answered.logits, torch.cat(expected).numpy(), atol=1e-4)
    assert [t["entropy"] for t in answered.terms] == pytest.approx(entropies, rel=1e-4)
    for a, b in zip(answered.method.affine(), net.affine()):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_cotta_answers_by_the_teacher_before_the_step(trained):
    method = copy.deepcopy(trained["cotta"].method)
    method.threshold = 1.0  # always unsure: student and teacher differ from the first batch on
    answered = stream(method, TARGET, batch_size=65, lr=0.5, shuffle=False, seed=4)
    own = copy.deepcopy(method).train()
    own.pretrain = 0.0
    optimiser = torch.optim.SGD(own.phases()[0][1], lr=0.5, momentum=0.9)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        teachers, answers = [], []
        for x in TARGET.x.split(65):
            optimiser.zero_grad()
            sum(own.losses(None, Batch(x, None, torch.arange(65), 1), 1.0).values()).backward()
            answers.append(own.answers)
            teachers.append(own.head.weight.detach().clone())
            optimiser.step()
    np.testing.assert_allclose(answered.logits, torch.cat(answers).numpy(), atol=1e-5)
    assert torch.equal(teachers[0], method.head.weight)
    assert not torch.equal(teachers[1], teachers[0])
    assert answered.method.adapting
    assert not method.adapting


@pytest.mark.parametrize("name", ["tent", "cotta"])
def test_the_method_that_is_passed_stays_as_it_was(trained, name):
    before, mode = weights(trained[name]), trained[name].method.training
    answered = stream(trained[name], TARGET, lr=0.1)
    assert same(weights(trained[name]), before)
    assert trained[name].method.training == mode
    assert trained[name].method.pretrain == 1.0
    assert not same(answered.method.state_dict(), before)


@pytest.mark.parametrize("name", ["tent", "cotta"])
def test_labels_play_no_part_and_equal_seeds_give_equal_answers(trained, name):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    found = [stream(trained[name], t, lr=0.1) for t in (TARGET, TARGET, poisoned(TARGET), TARGET.unlabeled())]
    assert torch.equal(torch.get_rng_state(), state)
    for other in found[1:]:
        assert np.array_equal(found[0].logits, other.logits)
        assert found[0].terms == other.terms
    assert found[2].accuracy == pytest.approx(1 - found[0].accuracy)
    assert np.isnan(found[3].accuracy)
    assert "no labels" in repr(found[3])


def test_dropout_is_off():
    backbone = {**BACKBONE, "dropout": 0.5}
    method = methods.build("tent", SOURCE, backbone=backbone, pretrain=0.0)
    a, b = (stream(method, TARGET, lr=0.0, seed=s, shuffle=False) for s in (0, 1))
    assert np.array_equal(a.logits, b.logits)


def test_pictures_flow_too():
    source = pictures(20)
    method = methods.build(
        "cotta", source, backbone={"name": "lenet", "width": 4, "features": 8}, pretrain=0.0, views=2
    )
    answered = stream(method, pictures(20, dark=0.5), batch_size=8)
    assert answered.logits.shape == (20, 2)
    assert np.isfinite(answered.logits).all()


# -- several domains and resets ---------------------------------------------------------------------------------


def test_domains_come_one_after_another_and_their_weights_go_on(trained):
    other = changed(2.0, -1.0, n=40, name="bright")
    both = stream(trained["tent"], [TARGET, other], lr=0.1, batch_size=20)
    assert both.names == ("dimmed", "bright")
    assert np.bincount(both.domain).tolist() == [130, 40]
    assert (np.diff(both.domain) >= 0).all()
    assert max(np.bincount(both.batch)) == 20  # no batch holds two domains
    alone = stream(trained["tent"], other, lr=0.1, batch_size=20)
    second = both.logits[both.domain == 1]
    again = stream(trained["tent"], [TARGET, other], lr=0.1, batch_size=20, reset="domain")
    fresh = again.logits[again.domain == 1]
    # Rows come in another order, so compare by row.
    index = again.index[again.domain == 1]
    assert not np.allclose(second[np.argsort(both.index[both.domain == 1])], fresh[np.argsort(index)])
    kept = [
        stream(trained["tent"], d, lr=0.1, batch_size=20, shuffle=False, reset=r)
        for d, r in (([TARGET, other], "domain"), (other, "never"))
    ]
    np.testing.assert_allclose(kept[0].logits[kept[0].domain == 1], kept[1].logits, atol=1e-6)
    assert alone.names == ("bright",)
    as_set = stream(trained["tent"], DomainSet("both", [TARGET, other]), lr=0.1, batch_size=20)
    assert np.array_equal(as_set.logits, both.logits)


def test_an_episode_begins_anew_with_every_batch(trained):
    options = {"batch_size": 26, "shuffle": False}
    still = stream(trained["tent"], TARGET, lr=0.0, **options)
    once = stream(trained["tent"], TARGET, lr=0.1, reset="batch", **options)
    np.testing.assert_allclose(once.logits, still.logits, atol=1e-6)
    thrice = stream(trained["tent"], TARGET, lr=0.1, reset="batch", steps=3, **options)
    assert not np.allclose(thrice.logits, still.logits, atol=1e-3)
    last = TARGET.subset(np.arange(104, 130))
    alone = stream(trained["tent"], last, lr=0.1, steps=3, **options)
    np.testing.assert_allclose(thrice.logits[104:], alone.logits, atol=1e-6)


def test_the_statistics_are_those_of_the_batch(trained):
    """What batch normalisation takes out of a batch does not change its answers."""
    moved = Domain("moved", TARGET.x + 7.0, TARGET.y, TARGET.classes)
    a, b = (stream(trained["tent"], d, lr=0.0, batch_size=26) for d in (TARGET, moved))
    np.testing.assert_allclose(a.logits, b.logits, atol=1e-3)


# -- the result -------------------------------------------------------------------------------------------------


def test_accuracies_by_hand():
    answered = Stream(
        method=None,
        names=("a", "b", "c"),
        domain=np.array([0, 0, 0, 1, 1, 2]),
        index=np.array([2, 0, 1, 1, 0, 0]),
        batch=np.array([0, 0, 1, 2, 2, 3]),
        logits=np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32),
        labels=np.array([0, 0, 0, 1, 0, -1]),
        terms=[{"entropy": v} for v in (0.4, 0.3, 0.2, 0.1)],
    )
    assert answered.predicted.tolist() == [0, 1, 0, 1, 0, 0]
    assert answered.accuracy == pytest.approx(0.8)
    assert answered.per_batch[:3].tolist() == [0.5, 1.0, 1.0]
    assert np.isnan(answered.per_batch[3])
    assert list(answered.per_domain) == ["a", "b", "c"]
    assert list(answered.per_domain.values())[:2] == pytest.approx([2 / 3, 1.0])
    again = replace(answered, names=("a", "b", "a"), labels=np.array([0, 0, 0, 1, 0, 1]))
    assert again.per_domain == pytest.approx({"a": 2 / 4, "b": 1.0})
    history = answered.history
    assert list(history) == ["batch", "domain", "n", "accuracy", "entropy"]
    assert history["n"].tolist() == [2, 1, 2, 1]
    assert history["domain"].tolist() == ["a", "a", "b", "c"]
    assert history["entropy"].tolist() == [0.4, 0.3, 0.2, 0.1]


def test_history_has_one_row_a_batch(trained):
    answered = stream(trained["tent"], TARGET, batch_size=50)
    assert answered.history["n"].tolist() == [50, 50, 30]
    assert (answered.history["n"] * answered.history["accuracy"]).sum() / 130 == pytest.approx(
        answered.accuracy
    )
    assert repr(answered).startswith("Stream of dimmed through Tent: 130 examples in 3 batches, accuracy 0.")


# -- what is refused --------------------------------------------------------------------------------------------


def test_bad_input_is_told(trained):
    tent = trained["tent"]
    for bad, words in (
        ({"lr": -1}, "lr must be a number of at least 0, got -1"),
        ({"lr": float("nan")}, "lr must be a number of at least 0, got nan"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"reset": "always"}, "reset must be one of never, domain, batch, got 'always'"),
        ({"optimizer": "lbfgs"}, "optimizer must be one of sgd, adam, adamw, got 'lbfgs'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"batch_size": 1}, "batch normalisation cannot learn from batches of one example"),
    ):
        with pytest.raises(ValueError, match=words):
            stream(tent, TARGET, **bad)
    with pytest.raises(
        ValueError, match="MCC does not learn from a stream, tent and cotta do; lr=0 only answers it"
    ):
        stream(trained["mcc"], TARGET)
    with pytest.raises(TypeError, match="method must be a trained Method or a Run, got str"):
        stream("tent", TARGET)
    with pytest.raises(TypeError, match="domain 0 must be a Domain, got Tensor"):
        stream(tent, [TARGET.x])
    with pytest.raises(ValueError, match="the stream holds no domain"):
        stream(tent, [])
    with pytest.raises(ValueError, match=r"has examples of shape \(3,\), the method takes \(4,\)"):
        stream(tent, Domain("flat", torch.randn(9, 3)))
    renamed = Domain("renamed", TARGET.x, TARGET.y, ("right", "left"))
    with pytest.raises(ValueError, match="'renamed' has the classes"):
        stream(tent, renamed)
    with pytest.raises(ValueError, match="'more' has 3 classes, the method knows 2"):
        stream(tent.method, Domain("more", TARGET.x, TARGET.y, ("a", "b", "c")))


def test_a_loss_that_is_not_finite_is_told(trained):
    method = copy.deepcopy(trained["tent"].method)
    method.head.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="the loss term 'entropy' became nan in batch 0: lower lr"):
        stream(method, TARGET)


# -- it works ---------------------------------------------------------------------------------------------------


def test_statistics_of_the_stream_beat_those_of_the_source():
    target = changed(n=300)
    plain, online = [], []
    for seed in range(3):
        method = methods.build("tent", SOURCE, backbone=BACKBONE, pretrain=1.0, seed=seed)
        run = fit(method, SOURCE, target, seed=seed, **{**QUICK, "steps": 150, "lr": 0.05})
        plain.append(run.evaluate(target).accuracy)
        online.append(stream(run, target, lr=0.01, seed=seed).accuracy)
    assert np.mean(online) > np.mean(plain), (plain, online)
