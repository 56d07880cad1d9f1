"""The report: what it finds on shifts whose truth is known, and what it says."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom

import dakit
from dakit.bench.report import shift_report
from dakit.bench.report.moved import what_moved
from dakit.bench.report.space import space
from dakit.domains import Domain

QUICK = {"permutations": 150}


def toy(kind="nothing", n=300, seed=0):
    """Two domains of three features; the label follows the first two."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
    if kind == "covariate":
        xt = 0.8 * xt + [0.8, 0, 0]

    def label(x, tilt):
        return (x[:, 0] + tilt * x[:, 1] + 0.3 * rng.logistic(size=len(x)) > 0).astype(int)

    ys, yt = label(xs, 1.0), label(xt, -1.0 if kind == "concept" else 1.0)
    if kind == "label":
        keep = np.where(yt == 1, 1.0, 0.2) > rng.random(n)
        xt, yt = xt[keep], yt[keep]
    names = ("age", "spent", "visits")
    return tuple(
        Domain(
            name, torch.tensor(x, dtype=torch.float32), torch.tensor(y), ("leaves", "stays"), features=names
        )
        for name, x, y in (("before", xs, ys), ("after", xt, yt))
    )


@pytest.fixture(scope="module")
def reports():
    kinds = ("nothing", "covariate", "label", "concept")
    return {kind: shift_report(*toy(kind), **QUICK) for kind in kinds}


# -- what it finds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nothing", (False, False, False)),
        ("covariate", (True, None, False)),  # the label follows x, so its shares move along
        ("label", (True, True, False)),  # and with the shares the inputs
        ("concept", (False, False, True)),
    ],
)
def test_the_three_kinds_of_shift_are_told_apart(reports, kind, expected):
    moved = reports[kind].moved
    found = (moved.covariate, moved.label, moved.concept)
    for answer, wanted in zip(found, expected):
        assert wanted is None or answer is wanted


def test_false_alarms_stay_within_alpha():
    trials, alarms = 60, 0
    for seed in range(trials):
        compared = space(*toy(n=60, seed=100 + seed), features=None, max_points=100, seed=seed)
        moved = what_moved(compared, permutations=200, alpha=0.05, seed=seed)
        alarms += any((moved.covariate, moved.label, moved.concept))
    assert alarms <= binom.ppf(0.999, trials, 0.05)


def test_advice_follows_from_what_moved(reports):
    families = {kind: [a.family for a in r.advice] for kind, r in reports.items()}
    assert families["nothing"] == ["Nothing, but keep watching"]
    assert "Labels from the target" in families["concept"]
    assert "Weights inside any alignment" in families["label"]
    assert "Matching moments" in families["covariate"]
    known = set(dakit.methods.names())
    assert all(set(a.methods) <= known for r in reports.values() for a in r.advice)


def test_a_shift_of_means_is_removed_by_matching_them(reports):
    left = {r.name: r.left for r in reports["covariate"].repaired}
    assert left["nothing"] == 1
    assert left["each domain standardised by itself"] < 0.2


def test_the_feature_that_moved_is_named(reports):
    features = reports["covariate"].places.features
    assert features.names[int(np.argmax(features.effects))] == "age"
    assert features.rejected() == ("age",)


def test_expected_accuracy_holds_without_shift_and_fails_under_concept_shift(reports):
    for estimate in reports["nothing"].follows.expected.values():
        assert abs(estimate.value - reports["nothing"].follows.target_accuracy) < 0.08
    follows = reports["concept"].follows
    assert min(e.value for e in follows.expected.values()) > follows.target_accuracy + 0.15
    assert "too hopeful" in reports["concept"].verdict()


def test_extremes_are_where_the_other_domain_is_not(reports):
    r = reports["covariate"]
    far = r.space.xt[r.places.unlike_source, 0]
    assert far.mean() > r.space.xt[:, 0].mean() + 0.5
    assert r.space.xs[r.places.unlike_target, 0].mean() < r.space.xs[:, 0].mean() - 0.5


def test_without_overlap_concept_shift_cannot_be_told():
    source, target = toy("concept")
    far = replace(target, x=target.x + torch.tensor([0.0, 0.0, 20.0]))
    moved = shift_report(source, far, **QUICK).moved
    assert moved.concept is None
    assert moved.overlap < 0.1
    assert "cannot be told" in moved.sentences["concept"]


# -- what goes in -------------------------------------------------------------------------------------------


def test_target_labels_enter_nothing_but_what_is_about_them():
    source, target = toy("covariate")
    with_labels = shift_report(source, target, **QUICK)
    without = shift_report(source, target.unlabeled(), **QUICK)
    assert with_labels.amounts == without.amounts
    assert with_labels.repaired == without.repaired
    assert {k: e.value for k, e in with_labels.follows.expected.items()} == {
        k: e.value for k, e in without.follows.expected.items()
    }
    np.testing.assert_array_equal(with_labels.follows.priors.priors, without.follows.priors.priors)
    assert without.moved.concept is None
    assert without.follows.target_accuracy is None
    assert without.follows.bound.lambda_ is None


def test_arrays_tables_and_pairs_are_taken():
    source, target = toy("covariate")
    xs, xt = source.x.numpy(), target.x.numpy()
    ys = source.y.numpy()
    plain = shift_report((xs, ys), xt, names=["a", "b", "c"], **QUICK)
    table = shift_report(
        (pd.DataFrame(xs, columns=["a", "b", "c"]), ys), pd.DataFrame(xt, columns=["a", "b", "c"]), **QUICK
    )
    assert plain.amounts == table.amounts
    assert plain.places.features.names == table.places.features.names == ("a", "b", "c")


def test_a_unit_of_measurement_changes_nothing():
    source, target = toy("covariate")
    grams = torch.tensor([1.0, 1000.0, 1.0])
    first = shift_report(source, target, **QUICK)
    second = shift_report(replace(source, x=source.x * grams), replace(target, x=target.x * grams), **QUICK)
    for a, b in zip(first.amounts, second.amounts):
        assert a.value == pytest.approx(b.value, rel=1e-3, abs=1e-6)


def test_a_model_of_ones_own_and_a_space_of_ones_own():
    source, target = toy("covariate")

    def model(domain):
        assert domain.y is None
        p = torch.sigmoid(3 * (domain.x[:, 0] + domain.x[:, 1]))
        return torch.stack([1 - p, p], dim=1)

    report = shift_report(source, target, model=model, features=lambda d: d.x[:, 1:], **QUICK)
    own = (model(source.unlabeled()).argmax(1) == source.y).float().mean()
    assert report.follows.source_accuracy == pytest.approx(float(own))
    assert report.space.xs.shape[1] == 2
    assert not report.moved.covariate  # the feature that moved is not among those that were given


def test_the_same_things_in_two_styles_are_kept_apart():
    emoji = dakit.load("emoji")
    source, target = (emoji[n].subset(slice(0, 200)) for n in ("noto", "twemoji"))
    compared = shift_report(source, target, **QUICK).space
    assert not set(compared.source.meta["concept"]) & set(compared.target.meta["concept"])
    assert len(compared.xs) == len(compared.xt) == 100


def test_large_domains_are_thinned_and_it_is_said():
    report = shift_report(*toy(n=400), max_points=100, **QUICK)
    assert report.settings["n"] == report.settings["m"] == 100
    assert "100 of 400 and 100 of 400" in report.space.said


# -- what comes out -----------------------------------------------------------------------------------------


def test_json_holds_the_numbers(reports):
    for report in reports.values():
        got = json.loads(json.dumps(report.as_dict()))
        assert got["amounts"]["mmd"]["value"] == report.amounts[0].value
        assert got["moved"]["covariate"] == report.moved.covariate
        assert got["settings"]["permutations"] == 150


def test_page_reads_without_scripts_and_fetches_nothing(reports, tmp_path):
    page = reports["covariate"].save(tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page
    text = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "What moved",
        "How much",
        "Where",
        "What it does to a model",
        "What fits",
        "The two domains in one picture",
        "How this was made",
    ]
    assert "<noscript>" in text
    images = re.findall(r"<img\b[^>]*>", text)
    assert images
    assert all(re.search(r'\balt="[^"]+"', image) for image in images)
    assert text.count('tabindex="0"') >= 6  # tables can be scrolled by keyboard


def test_names_and_labels_are_escaped(tmp_path):
    source, target = toy("covariate", n=60)
    evil = "<script>alert(1)</script>"
    source = replace(source, name=evil, classes=("<b>no</b>", "yes"), features=("<i>a</i>", "b", "c"))
    target = replace(target, classes=("<b>no</b>", "yes"), features=("<i>a</i>", "b", "c"))
    report = shift_report(source, target, permutations=50)
    for text in (report.html(), report._repr_html_()):
        assert evil not in text
        assert "<b>no</b>" not in text
        assert "<i>a</i>" not in text


def test_in_a_notebook_and_as_text(reports):
    report = reports["label"]
    assert "the class shares" in report._repr_html_()
    assert repr(report).startswith("Shift from before to after")
    assert "MMD²" in repr(report)


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    source, target = toy(n=40)
    with pytest.raises(ValueError, match="both need the same features"):
        shift_report(source, replace(target, x=target.x[:, :2], features=()))
    with pytest.raises(ValueError, match="at least 10 examples a side, and 'after' has 3"):
        shift_report(source, target.subset([0, 1, 2]))
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
        shift_report(source, target, alpha=2)
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        shift_report(source, target, permutations=0)
    with pytest.raises(ValueError, match=r"one vector for each example, \(40, d\) for 'before'"):
        shift_report(source, target, features=lambda d: d.x[:5])
    with pytest.raises(ValueError, match=r"probabilities of shape \(40, 2\) for 'before'"):
        shift_report(source, target, model=lambda d: d.x)
    with pytest.raises(ValueError, match="NaN"):
        shift_report(np.full((40, 2), np.nan), np.zeros((40, 2)))


def test_unusual_data_still_give_a_report():
    rng = np.random.default_rng(0)
    constant = np.concatenate([np.zeros((40, 1)), rng.normal(size=(40, 1))], axis=1)
    one_class = shift_report((constant, ["a"] * 40), constant + 0.0, **QUICK)
    assert one_class.follows is None
    other_names = shift_report((constant, ["a", "b"] * 20), (constant, ["c", "d"] * 20), **QUICK)
    assert other_names.moved.label is True
    assert other_names.moved.concept is None
    assert other_names.follows.target_accuracy is None
    counts = rng.integers(0, 5, size=(60, 3))
    assert shift_report(counts, counts + 10, **QUICK).moved.covariate
    assert shift_report(rng.normal(size=(20, 500)), rng.normal(size=(20, 500)) + 3, **QUICK).moved.covariate
    series = shift_report(rng.normal(size=(30, 3, 16)), rng.normal(size=(30, 3, 16)) * 4, **QUICK)
    assert series.moved.covariate
    assert series.places.features is None
