"""Validators over runs: scores without target labels, picks, and their agreement with the truth."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from dakit import metrics
from dakit.domains.domain import Domain
from dakit.training import Runs, Seen, Validation, fit, select, validate
from dakit.training.ranking import agreement
from dakit.training.validation import VALIDATORS
from tests.training.toys import QUICK, blobs, poisoned

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
VAL, TRUTH = blobs(80, seed=5, name="held out"), blobs(90, shift=2.0, seed=6, name="moved")


@pytest.fixture(scope="module")
def runs():
    quick = {**QUICK, "snapshots": 2}
    return [
        *(
            fit("source_only", SOURCE, TARGET, seed=s, **{**quick, "steps": n})
            for s, n in ((0, 4), (1, 20), (2, 60))
        ),
        *(fit("dan", SOURCE, TARGET, seed=s, **quick) for s in (0, 1)),
    ]


# -- scores -------------------------------------------------------------------------------------------------


def test_every_validator_scores_every_run(runs):
    result = validate(runs, VAL, TARGET)
    assert isinstance(result, Validation)
    assert list(result.scores.index) == [
        "source_only, seed 0",
        "source_only, seed 1",
        "source_only, seed 2",
        "dan, seed 0",
        "dan, seed 1",
    ]
    assert list(result.scores.columns) == list(VALIDATORS)
    assert result.scores.notna().all().all()
    assert result.problems == {}
    assert (result.accuracy, result.report) == (None, None)
    assert "dan, seed 1" in str(result)


def test_scores_are_those_of_the_metrics(runs):
    run = runs[1]
    scores = validate([run], VAL, TARGET, source_train=SOURCE, seed=3).scores.iloc[0]
    zs, zt, z_train = (run.features(d) for d in (VAL, TARGET, SOURCE))
    p = torch.softmax(torch.from_numpy(run.logits(TARGET)).double(), 1)
    predicted, ys = run.predict(TARGET), VAL.y.numpy()
    wrong = (run.predict(VAL) != ys).astype(float)
    weights = metrics.importance_weights(z_train, zt, zs)
    expected = {
        "source_accuracy": run.evaluate(VAL).accuracy,
        "entropy": metrics.entropy_score(p),
        "information_maximisation": metrics.information_maximisation(p),
        "snd": metrics.snd(p),
        "iwcv": -metrics.iwcv(wrong, weights).value,
        "dev": -metrics.dev(wrong, weights).value,
        "mmd": -metrics.mmd(zs, zt),
        "a_distance": -metrics.a_distance(zs, zt, seed=3),
        "silhouette": metrics.cluster_score(zt, predicted),
        "reverse_validation": metrics.reverse_validation(zs, ys, zt, predicted),
        "rankme": metrics.rankme(zt),
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-6), name


def test_target_labels_do_not_enter(runs):
    two = runs[1::2]
    free = validate(two, VAL, TARGET.unlabeled())
    for target, truth in ((TARGET, None), (poisoned(TARGET), TRUTH), (TARGET, poisoned(TRUTH))):
        same = validate(two, VAL, target, truth=truth, draws=20)
        pd.testing.assert_frame_equal(same.scores, free.scores, check_exact=True)
        assert same.picks.equals(free.picks)


def test_a_validator_is_handed_nothing_of_the_truth(runs):
    fields = {f.name for f in dataclasses.fields(Seen)}
    assert fields == {"zs", "zt", "logits_s", "logits_t", "ys", "z_train", "seed"}
    handed = []

    def mine(seen):
        handed.append(seen)
        return seen.pt.max(axis=1).mean()

    result = validate(runs[0], VAL, TARGET, truth=TRUTH, validators={"confidence": mine})
    assert list(result.scores.columns) == ["confidence"]
    assert np.array_equal(handed[0].ys, VAL.y.numpy())
    assert len(handed[0].zt) == len(TARGET)


def test_a_sample_of_large_domains_is_the_same_for_all_runs(runs):
    few = ["source_risk", "entropy", "snd", "mmd", "dev"]
    twice = [
        validate([runs[1], runs[1]], VAL, TARGET, validators=few, max_points=50, seed=s).scores
        for s in (0, 0, 1)
    ]
    assert list(twice[0].index) == ["source_only, seed 1", "source_only, seed 1 (2)"]
    assert (twice[0].iloc[0] == twice[0].iloc[1]).all()
    assert twice[0].equals(twice[1])
    assert not twice[0].equals(twice[2])


def test_a_run_that_has_collapsed_gets_a_reason(runs):
    import copy

    dead = copy.deepcopy(runs[1])
    with torch.no_grad():
        dead.method.head.weight.zero_()
        dead.method.head.bias.copy_(torch.tensor([1.0, 0.0]))
    result = validate({"dead": dead, "alive": runs[1]}, VAL, TARGET, truth=TRUTH)
    assert np.isnan(result.scores.loc["dead", "silhouette"])
    assert "one pseudo-label" in result.problems["dead", "silhouette"]
    assert result.picks["silhouette"] == "alive"
    assert result.scores.loc["dead", "information_maximisation"] == pytest.approx(0)


def test_runs_come_in_any_shape(runs):
    pair = Runs(runs[3:])
    few = {"validators": "entropy"}
    assert list(validate(pair, VAL, TARGET, **few).scores.index) == ["dan, seed 0", "dan, seed 1"]
    assert list(validate([pair, runs[0]], VAL, TARGET, **few).scores.index)[2] == "source_only, seed 0"
    named = validate({"aligned": pair, "plain": runs[0]}, VAL, TARGET, **few)
    assert list(named.scores.index) == ["aligned, seed 0", "aligned, seed 1", "plain"]


# -- agreement with the truth -------------------------------------------------------------------------------


def test_report_against_scipy(runs):
    result = validate(runs, VAL, TARGET, truth=TRUTH, validators=["source_risk", "entropy", "mmd"])
    true = np.array([run.evaluate(TRUTH).accuracy for run in runs])
    np.testing.assert_array_equal(result.accuracy, true)
    for name, row in result.report.iterrows():
        score = result.scores[name].to_numpy()
        assert row["pick"] == result.scores.index[score.argmax()]
        assert row["accuracy"] == true[score.argmax()]
        assert row["lost"] == pytest.approx(true.max() - true[score.argmax()])
        assert row["gained"] == pytest.approx(true[score.argmax()] - true.mean())
        assert row["spearman"] == pytest.approx(spearmanr(score, true).statistic)
        assert row["kendall"] == pytest.approx(kendalltau(score, true).statistic)
        assert row["low"] <= row["high"]
    assert "best" in str(result)


def frame(**columns):
    return pd.DataFrame(columns, index=[f"run {i}" for i in range(len(next(iter(columns.values()))))])


def test_agreement_by_hand():
    accuracy = pd.Series([0.5, 0.6, 0.9, 0.8], index=[f"run {i}" for i in range(4)])
    scores = frame(
        right=[1.0, 2, 4, 3],
        wrong=[4.0, 3, 1, 2],
        tied=[0.0, 1, 1, 0],
        flat=[1.0] * 4,
        none=[np.nan] * 4,
        part=[9.0, np.nan, np.nan, 1.0],
    )
    report = agreement(scores, accuracy)
    assert report.loc["right", ["lost", "spearman", "kendall"]].tolist() == pytest.approx([0, 1, 1])
    assert report.loc["wrong", ["lost", "spearman", "kendall"]].tolist() == pytest.approx([0.4, -1, -1])
    assert report.loc["right", "gained"] == pytest.approx(0.2)
    assert report.loc["tied", ["pick", "accuracy"]].tolist() == ["run 1", pytest.approx(0.75)]
    assert report.loc["flat", "accuracy"] == pytest.approx(0.7)
    assert pd.isna(report.loc["none", "pick"])
    assert report.loc["part", "pick"] == "run 0"
    assert report.loc[["flat", "none", "part"], ["spearman", "low", "high", "kendall"]].isna().all().all()


def test_bootstrap_interval_covers_and_narrows():
    rng = np.random.default_rng(0)
    covered, widths = 0, {}
    for n in (10, 40):
        for k in range(60):
            accuracy = rng.normal(size=n)
            scores = frame(v=accuracy + rng.normal(size=n))
            row = agreement(scores, pd.Series(accuracy, index=scores.index), draws=200, seed=k).loc["v"]
            widths.setdefault(n, []).append(row["high"] - row["low"])
            # Spearman's rho of a normal pair with correlation r is 6/pi asin(r/2); here r² is one half.
            covered += n == 40 and row["low"] <= 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2) <= row["high"]
    assert np.mean(widths[40]) < 0.7 * np.mean(widths[10])
    assert covered >= 50  # of 60, at a nominal 95 %


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input(runs):
    with pytest.raises(ValueError, match="source_val needs labels, but domain 'held out' has none"):
        validate(runs, VAL.unlabeled(), TARGET)
    with pytest.raises(ValueError, match="truth needs labels"):
        validate(runs, VAL, TARGET, truth=TRUTH.unlabeled())
    with pytest.raises(ValueError, match="there is no validator 'oracle'; there are source_accuracy"):
        validate(runs, VAL, TARGET, validators=["oracle"])
    with pytest.raises(ValueError, match="there are no runs"):
        validate([], VAL, TARGET)
    with pytest.raises(TypeError, match="scores runs, as fit returns them, got str"):
        validate([["dann"]], VAL, TARGET)
    other = Domain("other", VAL.x, VAL.y, ("up", "down"))
    with pytest.raises(ValueError, match="source_val has the classes"):
        validate(runs, other, TARGET)
    with pytest.raises(ValueError, match="max_points must be at least 10"):
        validate(runs, VAL, TARGET, max_points=5)


# -- select -------------------------------------------------------------------------------------------------


def test_select_returns_the_run_with_the_best_score(runs):
    scores = validate(runs, VAL, TARGET, validators=["entropy"]).scores["entropy"]
    assert select(runs, VAL, TARGET, validator="entropy") is runs[int(np.argmax(scores))]
    last = select(runs, VAL, TARGET, validator=lambda seen: -seen.ps.max(1).mean())
    assert last is runs[int(np.argmin([softmax_confidence(r) for r in runs]))]


def softmax_confidence(run):
    return float(torch.softmax(torch.from_numpy(run.logits(VAL)).double(), 1).max(1).values.mean())


def test_select_sees_no_target_labels_and_needs_a_defined_validator(runs):
    poisoned_target = dataclasses.replace(TARGET, y=TARGET.y.flip(0))
    assert select(runs, VAL, poisoned_target, validator="dev") is select(runs, VAL, TARGET, validator="dev")
    with pytest.raises(ValueError, match="undefined for every run"):
        select(runs, VAL, TARGET, validator=lambda seen: float("nan"))
    with pytest.raises(ValueError, match="there is no validator 'magic'"):
        select(runs, VAL, TARGET, validator="magic")
