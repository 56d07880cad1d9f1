"""Concept shift: silent where only covariates or class shares move, loud where the rule does."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from dakit.metrics import concept_shift


def draw(kind, seed, n=200, d=3):
    """Two samples whose labels follow one wavy rule, or two."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    if kind == "covariate":
        xt = 0.7 * xt + 0.8

    def rule(x, tilt=1.0):
        noise = 0.5 * rng.logistic(size=len(x))
        return (np.sin(2 * x[:, 0]) + tilt * x[:, 1] + noise > 0).astype(int)

    ys, yt = rule(xs), rule(xt, -0.3 if kind == "concept" else 1.0)
    if kind == "label":
        keep = np.where(yt == 1, 1.0, 0.3) > rng.random(n)
        xt, yt = xt[keep], yt[keep]
    return xs, ys, xt, yt


@pytest.mark.parametrize("kind", ["nothing", "covariate", "label"])
def test_rarely_rejects_where_the_rule_is_the_same(kind):
    trials = 25
    found = [concept_shift(*draw(kind, s), seed=s) for s in range(trials)]
    assert sum(f.pvalue <= 0.05 for f in found) <= binom.ppf(0.999, trials, 0.05)
    assert np.mean([f.gain for f in found]) < 0.005


def test_finds_a_changed_rule():
    found = [concept_shift(*draw("concept", s, n=300), seed=s) for s in range(6)]
    assert all(f.pvalue < 0.01 and f.gain > 0 for f in found)
    assert all(f.own_accuracy > f.shared_accuracy for f in found)


def test_the_gain_rises_with_the_angle_between_the_rules():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))

    def gain(degrees):
        a = np.deg2rad(degrees)
        return concept_shift(xs, xs[:, 0] > 0, xt, xt @ [np.cos(a), np.sin(a)] > 0).gain

    gains = [gain(a) for a in (0, 20, 45, 90, 180)]
    assert gains == sorted(gains)
    assert gains[0] < 0 < gains[1]


def test_without_overlap_it_says_so():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 8
    apart = concept_shift(xs, xs[:, 0] > 0, xt, xt[:, 0] > 8)
    near = concept_shift(xs, xs[:, 0] > 0, xs + 0.01, xs[:, 0] > 0)
    assert apart.overlap < 0.02 < 0.9 < near.overlap <= 1


def test_names_tensors_and_classes_of_one_domain_only():
    xs, ys, xt, yt = draw("concept", 0)
    plain = concept_shift(xs, ys, xt, yt)
    names = np.array(["no", "yes"])
    assert concept_shift(torch.from_numpy(xs), names[ys], torch.from_numpy(xt), names[yt]) == plain
    extra = np.concatenate([xs, xs[:20] + 3])
    assert concept_shift(extra, np.append(names[ys], ["other"] * 20), xt, names[yt]) == plain


def test_bad_input():
    xs, ys, xt, yt = draw("nothing", 0)
    with pytest.raises(ValueError, match="two classes that occur in both domains"):
        concept_shift(xs, ys, xt, yt + 10)
    with pytest.raises(ValueError, match="each domain needs 10 examples"):
        concept_shift(xs[:6], ys[:6], xt, yt)
    with pytest.raises(ValueError, match=r"one label per example, shape \(200,\)"):
        concept_shift(xs, ys[:-1], xt, yt)
    with pytest.raises(ValueError, match="same features"):
        concept_shift(xs, ys, xt[:, :2], yt)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rare", ["a", "b", "c"])
def test_a_class_with_fewer_examples_than_folds(rare):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    others = [c for c in "abc" if c != rare]
    y = np.where(x[:, 0] > 0, *others)
    y[:3] = y[60:62] = rare
    assert 0 < concept_shift(x[:60], y[:60], x[60:], y[60:]).pvalue <= 1
