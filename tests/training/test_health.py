"""``run.health()``: each finding on a run that has it, and on one that has not."""

import copy

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.training import Finding, Health, fit
from dakit.training.health import _gain
from dakit.training.signs import columns, effective_rank, softmax
from tests.training.toys import QUICK, blobs

SOURCE, TARGET = blobs(200), blobs(200, shift=0.5, seed=1, name="moved")
LONG = {**QUICK, "steps": 200, "batch_size": 32, "log_every": 5, "lr": 0.05}


@pytest.fixture(scope="module")
def good():
    return fit("dann", SOURCE, TARGET, **LONG)


def doctored(run, **last):
    """The run with other numbers in its last row."""
    other = copy.copy(run)
    other.rows = [*run.rows[:-1], {**run.rows[-1], **last}]
    return other


def with_last_snapshot(run, **arrays):
    other = copy.copy(run)
    snapshot = copy.copy(run.snapshots[-1])
    for key, value in arrays.items():
        setattr(snapshot, key, value)
    other.snapshots = [*run.snapshots[:-1], snapshot]
    other.rows = [*run.rows[:-1], {**run.rows[-1], **columns(snapshot)}]
    return other


def test_a_good_run_is_found_good(good):
    health = good.health()
    assert {f.key for f in health.findings} >= {
        "finite",
        "source",
        "converged",
        "features",
        "transfer",
        "discriminator",
    }
    assert health["source"].level == health["finite"].level == health["transfer"].level == "fine"
    assert not [f for f in health.findings if f.level == "alarm"], str(health)
    assert "✓ finite: all losses" in str(health)
    with pytest.raises(KeyError, match="nothing was found about 'humour'"):
        health["humour"]


def test_the_worst_comes_first():
    health = Health([Finding("a", "note", ""), Finding("b", "alarm", "x"), Finding("c", "fine", "")])
    assert [f.key for f in health.findings] == ["b", "c", "a"]
    assert not health.ok
    assert Health([Finding("a", "fine", "")]).ok


# -- discriminator ----------------------------------------------------------------------------------------------


def test_a_discriminator_that_wins_is_told():
    far = blobs(200, shift=8.0, seed=1)
    run = fit(lambda s: methods.build("dann", SOURCE, lambda_=0.0, seed=s), SOURCE, far, **LONG)
    assert run.health()["discriminator"].level == "warning"
    assert "the discriminator wins (accuracy 1.00)" in run.health()["discriminator"].text


def test_a_dead_discriminator_is_told_from_aligned_features():
    far = blobs(200, shift=8.0, seed=1)

    def dead(seed):
        method = methods.build("dann", SOURCE, seed=seed, lambda_=0.0)
        for p in method.discriminator.parameters():
            p.data.zero_()
            p.requires_grad_(False)
        return method

    finding = fit(dead, SOURCE, far, **LONG).health()["discriminator"]
    assert finding.level == "alarm"
    assert "a fresh classifier still tells the domains apart" in finding.text
    same = fit(dead, SOURCE, blobs(200, seed=1), **LONG).health()["discriminator"]
    assert same.level == "fine"
    assert "at chance" in same.text


def test_a_method_without_a_discriminator_has_no_finding_about_one():
    assert "discriminator" not in fit("dan", SOURCE, TARGET, **QUICK).health()


# -- the rest ---------------------------------------------------------------------------------------------------


def test_collapsed_features_are_told(good):
    d = good.snapshots[-1].source_features.shape[1]
    flat = with_last_snapshot(good, source_features=np.ones((200, d)), target_features=np.ones((200, d)))
    assert flat.health()["features"].level == "alarm"
    line = np.linspace(0, 1, 200)[:, None] * np.ones(d)
    assert (
        with_last_snapshot(good, source_features=line, target_features=line).health()["features"].level
        == "alarm"
    )


def test_negative_transfer_is_suspected_without_labels(good):
    crowd = np.tile([5.0, -5.0], (200, 1)).astype(np.float32)
    finding = with_last_snapshot(good, target_logits=crowd).health()["transfer"]
    assert finding.level == "alarm"
    assert "100% in one, none in right" in finding.text
    undecided = np.random.default_rng(0).normal(scale=1e-3, size=(200, 2)).astype(np.float32)
    assert "undecided" in with_last_snapshot(good, target_logits=undecided).health()["transfer"].text
    best = max(row["source_accuracy"] for row in good.rows if "source_accuracy" in row)
    fallen = doctored(good, source_accuracy=best - 0.2).health()["source"]
    assert (fallen.level, "negative transfer" in fallen.text) == ("warning", True)


def test_another_class_proportion_is_a_warning():
    few = TARGET.subset(np.flatnonzero((TARGET.y == 0).numpy() | (np.arange(200) % 10 == 1)))
    run = fit("source_only", SOURCE, few, **LONG)
    assert run.health()["transfer"].level == "warning"
    assert "class proportions differ" in run.health()["transfer"].text


def test_a_source_that_is_not_learned_is_told():
    noise = Domain("noise", torch.randn(400, 4), torch.arange(400) % 2, SOURCE.classes)
    assert (
        fit("source_only", noise, noise.unlabeled(), **{**LONG, "lr": 1e-4}).health()["source"].level
        == "alarm"
    )


def test_a_run_that_is_too_short_is_told(good):
    short = fit("source_only", SOURCE, TARGET, **{**LONG, "lr": 0.002, "steps": 100}).health()["converged"]
    assert (short.level, "more steps will help" in short.text) == ("warning", True)
    settled = fit("source_only", SOURCE, TARGET, **{**LONG, "lr": 0.2, "steps": 400}).health()["converged"]
    assert settled.level == "fine"


def test_numbers_that_are_not_finite_are_told(good):
    assert doctored(good, label=float("inf")).health()["finite"].level == "alarm"
    spoilt = copy.copy(good)
    spoilt.method = copy.deepcopy(good.method)
    next(spoilt.method.parameters()).data.fill_(float("nan"))
    assert "the weights" in spoilt.health()["finite"].text


def test_a_run_without_snapshots_and_an_interrupted_one_say_so():
    assert (
        "no snapshots" in fit("dann", SOURCE, TARGET, **{**QUICK, "snapshots": 0}).health()["snapshots"].text
    )

    def stop(run):
        if run.step == 7:
            raise KeyboardInterrupt

    assert (
        "stopped at step 7 of 20"
        in fit("dann", SOURCE, TARGET, on_snapshot=stop, **QUICK).health()["converged"].text
    )


# -- seeds ------------------------------------------------------------------------------------------------------


def test_a_gain_is_held_against_its_spread():
    plain = np.array([0.50, 0.52, 0.48])
    assert _gain(plain + 0.2, plain, "source_only").level == "fine"
    assert _gain(np.array([0.40, 0.70, 0.46]), plain, "source_only").level == "warning"
    assert _gain(plain - 0.2, plain, "source_only").level == "alarm"
    assert "from one seed" in _gain(plain[:1], plain, "source_only").text
    by_hand = np.sqrt(plain.var(ddof=1) / 3 * 2)
    assert f"standard error {by_hand:.3f}" in _gain(plain + 0.2, plain, "source_only").text


def test_seeds_are_looked_at_together():
    plain = fit("source_only", SOURCE, TARGET, seeds=3, **QUICK)
    adapted = fit("dann", SOURCE, TARGET, seeds=3, **QUICK)
    health = adapted.health(plain, TARGET)
    assert "gain over source_only" in health["gain"].text
    assert "gain" not in adapted.health()
    assert health["finite"].text.startswith("in every seed: ")
    assert "take at least 3" in fit("dann", SOURCE, TARGET, seeds=2, **QUICK).health()["seeds"].text


# -- the numbers under it ---------------------------------------------------------------------------------------


def test_the_effective_rank_counts_directions():
    rng = np.random.default_rng(0)
    for r in (1, 3, 8):
        q, _ = np.linalg.qr(rng.normal(size=(400, r)))
        x = (q - q.mean(axis=0)) @ np.linalg.qr(rng.normal(size=(20, 20)))[0][:r]
        assert effective_rank(x) == pytest.approx(r, rel=0.02)
    assert effective_rank(np.ones((5, 3))) == 0.0
    assert np.isnan(effective_rank(np.full((5, 3), np.nan)))


def test_the_columns_by_hand():
    from types import SimpleNamespace

    fs, ft = np.array([[0.0, 0], [2, 0]]), np.array([[0.0, 1], [0, 3]])
    sure, half = np.array([[50.0, 0], [0, 50]]), np.zeros((2, 2))
    made = SimpleNamespace(source_features=fs, target_features=ft, source_logits=sure, target_logits=half)
    got = columns(made)
    assert got["source_spread"] == pytest.approx(np.sqrt(0.5))
    assert got["target_entropy"] == pytest.approx(1.0)
    assert got["target_balance"] == pytest.approx(0.0)
    made.target_logits = np.array([[50.0, 0], [50, 0]])
    assert columns(made)["target_entropy"] == pytest.approx(0.0, abs=1e-9)
    assert columns(made)["target_balance"] == pytest.approx(0.5)
    assert softmax(np.array([[1000.0, 1000.0]])).tolist() == [[0.5, 0.5]]


def test_the_label_loss_of_a_method_with_phases_is_read():
    run = fit("mcd", SOURCE, TARGET, **LONG)
    assert "label" not in run.rows[-1]
    assert any(f.key == "converged" for f in run.health().findings)
