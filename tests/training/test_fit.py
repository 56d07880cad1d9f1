"""``fit``: what it reads, what it leaves alone, what it repeats, what it refuses."""

import logging
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import NonFiniteLoss, Run, Runs, fit
from tests.methods.test_methods import sources
from tests.training.toys import QUICK, blobs, noisy, pair, pictures, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
ADAPTING = [n for n in methods.names() if n != "oracle"]


# -- target labels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADAPTING)
def test_fit_never_sees_target_labels(name):
    source, target = sources(name), pair(name)[1]
    clean = fit(name, source, target, **QUICK)
    wrong = fit(name, source, poisoned(target), **QUICK)
    none = fit(name, source, target.unlabeled(), **QUICK)
    for other in (wrong, none):
        assert same(weights(clean), weights(other))
        assert clean.rows == other.rows
        assert clean.config == other.config
        assert clean.health().findings == other.health().findings


class _Spy(Method):
    """Keeps what it was shown."""

    def __init__(self, backbone, num_classes):
        super().__init__(backbone, num_classes)
        self.seen = []

    def prepare(self, source, target, progress):
        self.seen.append(("prepare", source.y is not None, target.y is not None))

    def losses(self, source, target, progress):
        self.seen.append((progress, source.y is not None, target.y is not None))
        return {"label": nn.functional.cross_entropy(self.logits(source.x), source.y)}


def test_a_method_is_shown_source_labels_and_no_target_labels():
    spy = _Spy(methods.build("source_only", SOURCE).backbone, 2)
    fit(spy, SOURCE, TARGET, **QUICK)
    assert {seen[1:] for seen in spy.seen} == {(True, False)}
    shown = [s[0] for s in spy.seen if s[0] != "prepare"]
    assert shown == pytest.approx(np.linspace(0, 1, QUICK["steps"]))
    epochs = -(-QUICK["steps"] // (len(SOURCE) // QUICK["batch_size"]))
    assert sum(s[0] == "prepare" for s in spy.seen) == epochs


REMEMBERED = {
    "shot": ("pseudo_labels", None),
    "nrc": ("bank", None),
    "cluster_self_training": ("pseudo_labels", None),
    "dance": ("memory", None),
    "pada": ("looked_at", 0.0),
    "cotta": ("adapting", False),
    "adda": ("adapting", False),
    "gdcan": ("adapting", False),
    "dsbn": ("second", False),
    "swad": ("steps", 0),
}


@pytest.mark.parametrize("name", REMEMBERED)
def test_a_second_training_forgets_what_the_first_left_beside_the_weights(name):
    """On other targets, the second one larger: rows of the first would not reach."""
    kept, start = REMEMBERED[name]
    method = methods.build(name, SOURCE)
    forgotten, inner = [], method.begin

    def begin():
        inner()
        value = getattr(method, kept)
        forgotten.append(len(value) == 0 if start is None else bool(value == start))

    method.begin = begin
    for target in (TARGET.subset(slice(40)), TARGET):
        fit(method, SOURCE, target, **QUICK)
        value = getattr(method, kept)
        assert len(value) == len(target) if start is None else value != start
    assert forgotten == [True, True]


def test_the_oracle_is_the_one_that_reads_target_labels():
    clean, wrong = fit("oracle", SOURCE, TARGET, **QUICK), fit("oracle", SOURCE, poisoned(TARGET), **QUICK)
    assert not same(weights(clean), weights(wrong))
    with pytest.raises(
        ValueError, match="Oracle is a bound that is trained on target labels, but target 'moved' has none"
    ):
        fit("oracle", SOURCE, TARGET.unlabeled(), **QUICK)


# -- randomness -------------------------------------------------------------------------------------------------


def test_a_seed_repeats_a_run_whatever_the_global_random_state():
    torch.manual_seed(1)
    first = fit(noisy(), SOURCE, TARGET, seed=5, **QUICK)
    torch.manual_seed(2)
    torch.rand(17)
    second = fit(noisy(), SOURCE, TARGET, seed=5, **QUICK)
    other = fit(noisy(), SOURCE, TARGET, seed=6, **QUICK)
    assert same(weights(first), weights(second))
    assert first.rows == second.rows
    assert all(
        np.array_equal(a.target_logits, b.target_logits) for a, b in zip(first.snapshots, second.snapshots)
    )
    assert not same(weights(first), weights(other))


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(7)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(noisy(), SOURCE, TARGET, augment=lambda x, g: x + torch.randn(x.shape, generator=g), **QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_a_method_that_is_passed_is_trained_in_place_and_left_in_training_mode():
    method = methods.build("dann", SOURCE)
    start = {k: v.clone() for k, v in method.state_dict().items()}
    run = fit(method, SOURCE, TARGET, **QUICK)
    assert run.method is method
    assert method.training
    assert method.autocast_dtype is None
    assert not same(start, method.state_dict())


@pytest.mark.parametrize("change", [None, "shift+flip"])
def test_streaming_trains_to_the_same_bits_as_resident_data(change):
    source, target = pictures(), pictures(dark=0.5, seed=1)
    small = {"name": "lenet", "width": 8, "features": 16}
    options = {**QUICK, "steps": 8, "augment": change}
    runs = [
        fit(methods.build("dann", source, backbone=small), source, target, resident_gb=gb, **options)
        for gb in (None, 0)
    ]
    assert same(weights(runs[0]), weights(runs[1]))
    assert runs[0].rows == runs[1].rows


# -- what is recorded -------------------------------------------------------------------------------------------


def test_history_and_snapshots_hold_what_they_should():
    run = fit("dann", SOURCE, TARGET, snapshot_size=30, **QUICK)
    history = run.history
    assert [s.step for s in run.snapshots] == [0, 7, 13, 20]
    assert history["step"].tolist() == sorted({0, 7, 13, 20, *range(3, 21, 3)})
    looked = history.dropna(subset="source_accuracy")
    assert looked["step"].tolist() == [0, 7, 13, 20]
    assert {"label", "domain", "lr", "progress", "discriminator_accuracy", "effective_rank"} <= set(history)
    assert history.loc[1:, ["label", "domain"]].notna().all().all()
    assert history["lr"].iloc[-1] == pytest.approx(0.01 * 11**-0.75)
    s = run.snapshots[-1]
    assert s.source_features.shape == (30, 64)
    assert s.target_logits.shape == (30, 2)
    assert s.source_features.dtype == s.target_logits.dtype == np.float32
    assert np.allclose(run.features(SOURCE)[run.source_index], s.source_features, atol=1e-5)
    assert np.allclose(run.logits(TARGET)[run.target_index], s.target_logits, atol=1e-5)
    right = run.predict(SOURCE)[run.source_index] == SOURCE.y.numpy()[run.source_index]
    assert looked["source_accuracy"].iloc[-1] == pytest.approx(right.mean())


def test_a_row_is_the_mean_of_the_losses_since_the_row_before():
    every = fit("source_only", SOURCE, TARGET, **{**QUICK, "log_every": 1, "snapshots": 1})
    some = fit("source_only", SOURCE, TARGET, **{**QUICK, "log_every": 5, "snapshots": 1})
    fine, coarse = every.history["label"].to_numpy(), some.history["label"].to_numpy()
    assert coarse == pytest.approx(fine.reshape(-1, 5).mean(axis=1))


def test_on_snapshot_is_called_with_the_growing_run():
    calls = []
    fit(
        "source_only",
        SOURCE,
        TARGET,
        on_snapshot=lambda run: calls.append((run.step, len(run.snapshots))),
        **QUICK,
    )
    assert calls == [(0, 1), (7, 2), (13, 3), (20, 4)]


def test_one_step_and_no_snapshots_work():
    run = fit("dann", SOURCE, TARGET, **{**QUICK, "steps": 1, "snapshots": 0})
    assert run.step == 1
    assert run.snapshots == []
    assert len(run.history) == 1
    run = fit("dann", SOURCE, TARGET, **{**QUICK, "steps": 1})
    assert [s.step for s in run.snapshots] == [0, 1]


# -- seeds ------------------------------------------------------------------------------------------------------


def test_seeds_are_the_single_runs():
    runs = fit("dann", SOURCE, TARGET, seeds=3, seed=4, together=False, **QUICK)
    assert isinstance(runs, Runs)
    assert [r.seed for r in runs] == [4, 5, 6]
    assert same(weights(runs[1]), weights(fit("dann", SOURCE, TARGET, seed=5, **QUICK)))
    assert [r.seed for r in fit("source_only", SOURCE, TARGET, seeds=[3, 1], **QUICK)] == [3, 1]
    with pytest.raises(ValueError, match="need a method's name or a function seed -> Method"):
        fit(methods.build("dann", SOURCE), SOURCE, TARGET, seeds=2, **QUICK)
    with pytest.raises(ValueError, match="seeds must be at least 1, got 0"):
        fit("dann", SOURCE, TARGET, seeds=0, **QUICK)


# -- several players --------------------------------------------------------------------------------------------


class _TwoPlayers(Method):
    """The backbone pulls its features to the discriminator's zero, the discriminator pushes them away."""

    def __init__(self, backbone, num_classes):
        super().__init__(backbone, num_classes)
        self.critic = nn.Linear(backbone.out_features, 1)

    def phases(self):
        feature = [*self.backbone.parameters(), *self.head.parameters()]
        return [("critic", list(self.critic.parameters())), ("feature", feature)]

    def losses(self, source, target, progress):
        z = self.features(source.x)
        score = self.critic(z).mean()
        if self.phase == "critic":
            return {"score": -score}
        return {"label": nn.functional.cross_entropy(self.head(z), source.y), "score": score}


def test_each_player_moves_its_own_parameters_in_its_turn():
    method = _TwoPlayers(methods.build("source_only", SOURCE).backbone, 2)
    reference = _TwoPlayers(methods.build("source_only", SOURCE).backbone, 2)
    reference.load_state_dict(method.state_dict())
    run = fit(
        method, SOURCE, TARGET, **{**QUICK, "steps": 1, "batch_size": len(SOURCE), "momentum": 0.0, "lr": 0.1}
    )
    critic, feature = (
        list(reference.critic.parameters()),
        [*reference.backbone.parameters(), *reference.head.parameters()],
    )
    loss = -reference.critic(reference.backbone(SOURCE.x)).mean()
    for p, g in zip(critic, torch.autograd.grad(loss, critic)):
        p.data -= 0.1 * g
    z = reference.backbone(SOURCE.x)
    loss = nn.functional.cross_entropy(reference.head(z), SOURCE.y) + reference.critic(z).mean()
    for p, g in zip(feature, torch.autograd.grad(loss, feature)):
        p.data -= 0.1 * g
    for a, b in zip(method.parameters(), reference.parameters()):
        assert torch.allclose(a, b, atol=1e-6)
    assert {"critic.score", "feature.score", "feature.label"} <= set(run.history)
    assert all(p.requires_grad for p in method.parameters())


# -- trouble ----------------------------------------------------------------------------------------------------


class _Breaks(Method):
    """Its second term becomes NaN at one step."""

    def __init__(self, backbone, num_classes, *, at: int = 12):
        super().__init__(backbone, num_classes)
        self.at, self.calls = at, 0

    def losses(self, source, target, progress):
        self.calls += 1
        label = nn.functional.cross_entropy(self.logits(source.x), source.y)
        return {"label": label, "bad": label * (float("nan") if self.calls == self.at else 0.0)}


def test_a_non_finite_loss_crosses_a_process_border_in_words():
    error = NonFiniteLoss(3, "label", float("nan"), run=None, kept="")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_loss_that_is_not_finite_stops_with_its_step_and_term_and_the_last_checkpoint_stays_good(tmp_path):
    method = _Breaks(methods.build("source_only", SOURCE).backbone, 2)
    with pytest.raises(
        NonFiniteLoss, match=r"'bad' became nan at step 12.*the last good checkpoint is step 10"
    ) as caught:
        fit(method, SOURCE, TARGET, checkpoint=tmp_path, checkpoint_every=5, **{**QUICK, "log_every": 100})
    assert (caught.value.step, caught.value.term) == (12, "bad")
    kept = Run.load(tmp_path, _Breaks(methods.build("source_only", SOURCE).backbone, 2))
    assert kept.step == 10
    assert all(torch.isfinite(p).all() for p in kept.method.parameters())
    assert kept.evaluate(SOURCE).accuracy > 0.5


def test_too_large_a_learning_rate_is_found_out():
    with pytest.raises(NonFiniteLoss, match="'label' became"):
        fit("source_only", blobs(d=4), TARGET, **{**QUICK, "steps": 300, "lr": 1e12})


def test_running_out_of_gpu_memory_becomes_advice(monkeypatch):
    method = methods.build("source_only", SOURCE)

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(method, "losses", full)
    with pytest.raises(
        MemoryError, match=r"halve batch_size .* resident_gb=0 to stream the data, or take device='cpu'"
    ):
        fit(method, SOURCE, TARGET, **QUICK)


def test_a_batch_larger_than_a_domain_is_clipped_and_that_is_said(caplog):
    few = TARGET.subset(slice(10))
    with caplog.at_level(logging.INFO, logger="dakit"):
        run = fit("dann", SOURCE, few, **QUICK)
    said = "'moved' has 10 examples, so its batches hold 10 instead of 16"
    assert run.config["notes"] == [said]
    assert said in caplog.text
    assert run.health()["batches"].text == said
    with pytest.raises(ValueError, match=r"mmd needs batches .* at least 2 examples each"):
        fit("dan", SOURCE, TARGET.subset([3]), **QUICK)


def test_batch_norm_with_one_example_is_refused_and_other_norms_are_not():
    with pytest.raises(ValueError, match="batch normalisation cannot learn from batches of one example"):
        fit(noisy(), SOURCE, TARGET.subset([0]), **QUICK)
    assert fit("dann", SOURCE, TARGET.subset([0]), **QUICK).finished


OTHER_CLASSES = Domain("other", TARGET.x, TARGET.y, ("up", "down"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"source": SOURCE.unlabeled()}, ValueError, "source domain 'blobs' has no labels"),
        (
            {"target": blobs(d=5)},
            ValueError,
            r"disagree in shape: source 'blobs' has \(4,\), target 'blobs' has \(5,\)",
        ),
        (
            {"target": OTHER_CLASSES},
            ValueError,
            r"classes disagree: .*\['left', 'right'\].*\['up', 'down'\]; domains.align_classes",
        ),
        (
            {"target": TARGET.x},
            TypeError,
            "target must be a Domain, got Tensor; domains.from_arrays makes one",
        ),
        ({"method": "dan2"}, ValueError, "unknown method 'dan2'; choose one of source_only, dann"),
        ({"method": 3}, TypeError, "method must be a Method, a name, or a function seed -> Method, got int"),
        ({"method": lambda seed: None}, TypeError, "function seed -> Method"),
        ({"steps": 0}, ValueError, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, ValueError, "steps must be a whole number of at least 1, got 2.5"),
        ({"batch_size": -1}, ValueError, "batch_size must be a whole number of at least 1, got -1"),
        ({"log_every": 0}, ValueError, "log_every must be a whole number"),
        ({"snapshots": -1}, ValueError, "snapshots must be a whole number of at least 0, got -1"),
        ({"lr": 0.0}, ValueError, "lr must be a positive number, got 0.0"),
        ({"lr": float("nan")}, ValueError, "lr must be a positive number, got nan"),
        ({"momentum": 1.0}, ValueError, r"momentum must lie in \[0, 1\), got 1.0"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be at least 0"),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0, got -1"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of sgd, adam, adamw, got 'lion'"),
        ({"schedule": "step"}, ValueError, "unknown schedule 'step'; choose one of constant, cosine, dann"),
        ({"precision": "int8"}, ValueError, "precision must be one of auto, float32, bf16, fp16, got 'int8'"),
        ({"precision": "fp16"}, ValueError, "precision='fp16' needs a GPU"),
        (
            {"memory_format": "nhwc"},
            ValueError,
            "memory_format must be one of auto, contiguous, channels_last",
        ),
        ({"memory_format": "channels_last"}, ValueError, "needs pictures"),
        ({"augment": "shift"}, ValueError, "augment='shift' needs pictures .* but the source is flat"),
        (
            {"augment": "cutmix"},
            ValueError,
            "unknown augmentation 'cutmix'; join names of shift, flip, rotate, zoom",
        ),
        ({"device": "abacus"}, ValueError, "device must be 'auto', 'cpu'"),
        ({"device": "cuda:99"}, ValueError, "device 'cuda:99' was asked for, but torch sees"),
    ],
)
def test_bad_input_is_told_in_a_sentence(change, error, words):
    call = {"method": "dann", "source": SOURCE, "target": TARGET, **QUICK, "device": "cpu", **change}
    with pytest.raises(error, match=words):
        fit(call.pop("method"), call.pop("source"), call.pop("target"), **call)


class _Returns(Method):
    def __init__(self, backbone, num_classes, *, what=None):
        super().__init__(backbone, num_classes)
        self.what = what

    def losses(self, source, target, progress):
        return self.what(self.logits(source.x))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda z: {}, "must return a dictionary of named loss terms"),
        (lambda z: z.sum(), "must return a dictionary of named loss terms, got Tensor"),
        (lambda z: {"label": z}, r"the term 'label' must be a scalar tensor, got shape \(16, 2\)"),
        (lambda z: {"label": 1.0}, "the term 'label' must be a scalar tensor, got float"),
        (lambda z: {"label": z.sum().detach()}, "no term depends on a parameter that is trained"),
    ],
)
def test_what_cannot_be_minimised_is_told(what, words):
    method = _Returns(methods.build("source_only", SOURCE).backbone, 2, what=what)
    with pytest.raises((TypeError, ValueError), match=words):
        fit(method, SOURCE, TARGET, **QUICK)


# -- it learns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("augment", [None, "shift+flip", "shift+rotate+zoom"])
def test_pictures_are_learned_with_every_optimiser_and_augmentation(optimizer, augment):
    source = pictures(96)
    lr = 0.02 if optimizer == "sgd" else 0.002
    options = {"steps": 60, "batch_size": 24, "snapshots": 1, "progress": False, "precision": "float32"}
    small = {"name": "lenet", "width": 8, "features": 16}
    run = fit(
        lambda seed: methods.build("source_only", source, backbone=small, seed=seed),
        source,
        source.unlabeled(),
        lr=lr,
        optimizer=optimizer,
        augment=augment,
        **options,
    )
    assert run.evaluate(pictures(60, seed=9)).accuracy > 0.9
