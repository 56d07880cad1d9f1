# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The bound: A-distance and Ben-David, assembled live
#
# > You will assemble the famous bound on the error in a new domain from its three terms, see what each of them knows and does not know, and find out where the bound helps and where it says nothing.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 50 minutes to read, about 1 minute to run on 2 CPU cores |
# | Memory | 0.7 GB |
# | Needs | *1_shift/02 Distances*; numpy, and what a held-out error is |
# | Data | digits (CC-BY-SA-3.0 and CC-BY-4.0), emoji features, sentiment, penguins; see their cards |
#
# A classifier has learned from handwritten digits of one collection (MNIST) whether a digit is even or odd. It is
# to work on digits of another collection (UCI optdigits), for which you have pictures and no labels.

# %%
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import dakit
from dakit import course, domains, methods, metrics, views
from dakit.domains import shifts
from dakit.views.palette import DOMAINS, INK, MARKERS

profile = course.setup(seed=0)
seeds = range(profile.pick(smoke=2, teach=3, full=10))
size = profile.pick(smoke=200, teach=1000, full=1500)
digits = dakit.load("digits")
views.samples(
    digits["mnist"], digits["optdigits"], per_class=2, title="Source and target"
)

# %% [markdown]
# ## Predict

# %%
course.predict(
    "there",
    "On new MNIST digits it is wrong on 17 of 100. On how many of the other collection?",
    between=(0, 100),
    step=1,
    unit="of 100",
)

# %% [markdown]
# Logistic regression on the 256 pixels. Everything is counted on points that took no part in training, for three
# random draws of the data.


# %%
def parity(name):
    """A set of digits as pixels in a row, with two classes."""
    domain = digits[name]
    return replace(domain, y=domain.y % 2, classes=("even", "odd"))


def draw(domain, seed, n=None):
    """n random examples as two arrays, inputs (n, d) and labels (n,)."""
    rows = np.random.default_rng(seed).permutation(len(domain))[
        : size if n is None else n
    ]
    chosen = domain.subset(rows)
    return chosen.x.flatten(1).double().numpy(), chosen.y.numpy()


def classifier():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


here, there = [], []
for seed in seeds:
    (xs, ys), (xt, yt) = draw(parity("mnist"), seed), draw(parity("optdigits"), seed)
    h = classifier().fit(xs[: size // 2], ys[: size // 2])
    here.append(1 - h.score(xs[size // 2 :], ys[size // 2 :]))
    there.append(1 - h.score(xt, yt))
print(f"wrong here  {np.mean(here):.3f} ± {np.std(here, ddof=1):.3f}")
print(f"wrong there {np.mean(there):.3f} ± {np.std(there, ddof=1):.3f}")
course.reveal("there", 100 * np.mean(there))

# %% [markdown]
# You could only guess: the target labels that settle it are the ones that you do not have. Is there at least a
# number that the error cannot exceed?
#
# ## The idea
#
# In words: **the error there is at most the error here, plus how differently the two domains look to classifiers of
# this kind, plus how badly the best single classifier for both would do.**
#
# A classifier $h$ is a function from inputs to two classes; $\mathcal H$ is the set of those that we may use, for
# example all half-spaces. $e_S(h)$ and $e_T(h)$ are its errors on source and target. Then (Ben-David et al. 2010)
#
# $$e_T(h) \;\le\; e_S(h) + \tfrac12\, d_{\mathcal H\Delta\mathcal H} + \lambda^*, \qquad
# \lambda^* = \min_{h' \in \mathcal H}\, e_S(h') + e_T(h'),$$
#
# $$d_{\mathcal H\Delta\mathcal H} = 2 \sup_{h, h' \in \mathcal H} \big|\,P_S(h \ne h') - P_T(h \ne h')\,\big|.$$
#
# So $d_{\mathcal H\Delta\mathcal H}$, between 0 and 2, asks: is there a pair of classifiers that disagree often in one
# domain and seldom in the other? The proof is three steps. Let $h^*$ be the classifier that attains
# $\lambda^*$. Whoever errs on the target either agrees with $h^*$, which errs too, or disagrees with it:
#
# $$e_T(h) \;\le\; e_T(h^*) + P_T(h \ne h^*) \;\le\; e_T(h^*) + P_S(h \ne h^*) + \tfrac12 d \;\le\;
# e_T(h^*) + e_S(h) + e_S(h^*) + \tfrac12 d.$$
#
# ## The terms, from scratch
#
# **Source error**: on held-out source points, as above. **λ***: train one classifier on both domains with the labels
# of both. You cannot do that in earnest; here we may. (A trained one need not be the best one, so what we get tends
# to lie above λ*.)


# %%
def halves(n, seed):
    """Rows to train on and rows to test on."""
    order = np.random.default_rng(seed).permutation(n)
    return order[round(n / 2) :], order[: round(n / 2)]


xs, ys = draw(parity("mnist"), seed=0)
xt, yt = draw(parity("optdigits"), seed=0)
train, test = halves(size, seed=0)
h = classifier().fit(xs[train], ys[train])
star = classifier().fit(
    np.concatenate([xs[train], xt[train]]), np.concatenate([ys[train], yt[train]])
)
source_error = 1 - h.score(xs[test], ys[test])
lambda_ = (1 - star.score(xs[test], ys[test])) + (1 - star.score(xt[test], yt[test]))
print(f"source error {source_error:.3f}    λ* {lambda_:.3f}")

# %% [markdown]
# **Divergence.** Begin with the simpler $d_{\mathcal H} = 2 \sup_h |P_S(h = 1) - P_T(h = 1)|$. A classifier that
# says "target" is right there and wrong on the source, so with $\varepsilon$ the mean of its two errors,
#
# $$d_{\mathcal H} = 2\,\big(1 - 2 \min_{h \in \mathcal H} \varepsilon(h)\big).$$
#
# That is the **A-distance**, and it turns a supremum into a task that we know: *train a classifier to tell the domains
# apart*. The minimum is replaced by what training finds, measured on held-out points.


# %%
def separation(xs, xt, seed, fresh=True):
    """A-distance by one classifier; `fresh=False` measures it on its own training points."""
    train, test = halves(len(xs), seed)
    x = np.concatenate([xs[train], xt[train]])
    probe = classifier().fit(x, np.repeat([0, 1], len(train)))
    rows = test if fresh else train
    error = (probe.predict(xs[rows]).mean() + 1 - probe.predict(xt[rows]).mean()) / 2
    return 2 * (1 - 2 * min(error, 0.5))


print(f"by hand, one split       {separation(xs, xt, seed=0):.3f}")
print(
    f"h_divergence, one split  {metrics.h_divergence(xs, xt, hypotheses='linear'):.3f}"
)
once = metrics.a_distance_estimate(xs, xt)
low, high = once.interval
print(f"a_distance, five folds   {once.value:.3f}, interval {low:.3f} to {high:.3f}")
assert np.isclose(
    separation(xs, xt, 0), metrics.h_divergence(xs, xt, hypotheses="linear"), atol=0.1
)

# %% [markdown]
# ## What stands for what?
#
# Four things go by the name of "the divergence", and they are not the same:
#
# | | ranges over | is |
# | --- | --- | --- |
# | $d_{\mathcal H}$ | single classifiers | at most $d_{\mathcal H\Delta\mathcal H}$, if $\mathcal H$ holds a constant |
# | $d_{\mathcal H\Delta\mathcal H}$ | disagreements of two | **what the bound needs** |
# | A-distance | one trained classifier | $d_{\mathcal H}$ by training, held out: tends to lie below it |
# | A-distance of a network | one trained network | a stand-in for $d_{\mathcal H\Delta\mathcal H}$ of the half-spaces |
#
# Does the second row differ from the first? On one axis both can be computed exactly. Thresholds disagree on an
# interval; so $d_{\mathcal H\Delta\mathcal H}$ looks for an interval, $d_{\mathcal H}$ for a half-line.


# %%
def exact(a, b):
    """d_H and d_HΔH of thresholds on one axis, from the two distribution functions."""
    at = np.concatenate([a, b, [np.inf]])
    gap = np.searchsorted(np.sort(a), at, "right") / len(a)
    gap -= np.searchsorted(np.sort(b), at, "right") / len(b)
    return 2 * np.abs(gap).max(), 2 * (gap.max() - gap.min())


rng = np.random.default_rng(0)
narrow, wide = rng.normal(size=4 * size), rng.normal(size=4 * size) * 3
d_h, d_hh = exact(narrow, wide)
library = metrics.h_divergence(narrow[:, None], wide[:, None], hypotheses="stumps")
print(f"same mean, three times the spread: d_H {d_h:.2f}, d_HΔH {d_hh:.2f}")
assert np.isclose(d_h, library) and 1.8 < d_hh / d_h <= 2

# %% [markdown]
# A half-line sees half of it. On pixels the suprema are out of reach, and only trained stand-ins remain. Here they all
# are, for a pair of one domain with itself (the truth is 0) and for the pair of the title.

# %%
rows = {}
for seed in seeds:
    source, both = draw(parity("mnist"), seed), draw(parity("mnist"), seed, 2 * size)
    cases = {
        "mnist twice": (both[0][:size], both[0][size:]),
        "mnist | optdigits": (source[0], draw(parity("optdigits"), seed)[0]),
    }
    for case, (a, b) in cases.items():
        made = {
            "d_H of one pixel, exact on the sample": "stumps",
            "d_H of half-spaces": "linear",
            "d_HΔH of half-spaces": "linear_pairs",
            "d_H of networks": "mlp",
        }
        for name, kind in made.items():
            value = metrics.h_divergence(a, b, hypotheses=kind, seed=seed)
            rows.setdefault((name, case), []).append(value)
        name = "d_H of half-spaces, on its training points"
        rows.setdefault((name, case), []).append(separation(a, b, seed, fresh=False))
        name = "A-distance, five folds"
        rows.setdefault((name, case), []).append(metrics.a_distance(a, b, seed=seed))
stand_ins = pd.DataFrame(
    {
        case: {
            n: f"{np.mean(v):.2f} ± {np.std(v, ddof=1):.2f}"
            for (n, c), v in rows.items()
            if c == case
        }
        for case in cases
    }
)
stand_ins

# %%
on_train = rows["d_H of half-spaces, on its training points", "mnist twice"]
held_out = rows["d_H of half-spaces", "mnist twice"]
single = np.mean(rows["d_H of half-spaces", "mnist | optdigits"])
double = np.mean(rows["d_HΔH of half-spaces", "mnist | optdigits"])
assert np.mean(on_train) > 0.5 > 0.2 > np.mean(held_out)
print(f"half-spaces {single:.2f}; pairs of half-spaces, a larger class, {double:.2f}")

# %% [markdown]
# Three things to see:
#
# - *Measured on its training points* a probe finds a large distance between a domain and itself. That is memory, not
#   shift.
# - *Exact on the sample* is not exact: the best of 256 pixels, chosen on the same points, lies above the truth as
#   well. Held-out values err to the other side.
# - The class of **pairs of half-spaces is larger than that of half-spaces, so its supremum cannot be smaller. Its
#   trained probe found less.** Training is not a supremum. Every number that goes into the bound below is the reading
#   of an instrument, and this one can read too low.
#
# There is one distance of this kind without training: for linear functions $w^\top x$ with $|w| \le 1$ under the
# squared loss, the **discrepancy** of Mansour et al. has a closed form, 4 times the largest eigenvalue (in size)
# of the difference of the two second moments.

# %%
a, b = cases["mnist | optdigits"]
second = a.T @ a / len(a) - b.T @ b / len(b)
by_hand = 4 * np.abs(np.linalg.eigvalsh(second)).max()
print(f"discrepancy by hand {by_hand:.4f}, dakit {metrics.discrepancy(a, b):.4f}")
assert np.isclose(by_hand, metrics.discrepancy(a, b))
mnist_twice = metrics.discrepancy(*cases["mnist twice"])
print(f"mnist twice {mnist_twice:.4f}")

# %% [markdown]
# ## Assemble it
#
# Source error, λ* and divergence are there. What do they add up to?

# %%
course.predict(
    "bound",
    "The true target error is below 30 %. What does the bound on it come to?",
    options=["about 35 %", "about 60 %", "about 90 %", "more than 100 %"],
)

# %%
bound = metrics.ben_david_bound(xs, ys, xt, yt, seed=0)
print(bound)
assert np.isclose(bound.source_error, source_error)
assert np.isclose(bound.lambda_, lambda_, atol=0.01)

# %%
nearest = np.argmin(np.abs(np.array([0.35, 0.6, 0.9, 1.2]) - min(bound.value, 1.2)))
answers = ["about 35 %", "about 60 %", "about 90 %", "more than 100 %"]
course.reveal(
    "bound",
    answers[nearest],
    because=f"It is {bound.value:.0%}, and every error is below 100 % anyway: "
    "here the bound says nothing.",
)

# %% [markdown]
# Source error and λ* agree with ours, made by hand. This is how the library assembles them:

# %%
course.source("dakit.metrics.bound.ben_david_bound", docstring=False)

# %% [markdown]
# ## Where does it lose so much?
#
# Walk the chain of the proof with the two classifiers that we really have. On a sample each step is a statement
# about counts, so it holds exactly; only the divergence is replaced by what *this* pair, h and h*, contributes.

# %%
disagree = {
    "source": np.mean(h.predict(xs[test]) != star.predict(xs[test])),
    "target": np.mean(h.predict(xt[test]) != star.predict(xt[test])),
}
own = max(0.0, disagree["target"] - disagree["source"])
star_s, star_t = 1 - star.score(xs[test], ys[test]), 1 - star.score(xt[test], yt[test])
chain = {
    "target error of h": 1 - h.score(xt[test], yt[test]),
    "e_T(h*) + P_T(h ≠ h*)": star_t + disagree["target"],
    "… with the gap of this pair": source_error + own + lambda_,
    "… with the worst pair: the bound": source_error + bound.divergence / 2 + lambda_,
}
assert list(chain.values()) == sorted(chain.values())
for step, value in chain.items():
    print(f"{step:34} {value:.3f}")

# %% [markdown]
# The first steps cost little. Nearly all of the slack enters when the disagreement of h with h* is replaced by that of
# the **worst pair of classifiers**, and there always is some pair that reads the edge pixels of one collection and
# does not care for digits at all. The theorem must allow for it, because without target labels it does not know h*.
#
# ## A knob: shift and severity
#
# Now the shift is ours. Half of a draw of MNIST is the source, the other half, shifted, is the target. Three bars
# stacked are the bound, the dot is the true error.

# %%
TERMS = ("source error", "half of the divergence", "λ*")
KINDS = ["blur", "rotation", "inversion", "label_priors", "concept_flip"]
mnist = parity("mnist")


def terms(kind, severity, seed):
    """Source error, half of d, λ*, and the true target error."""
    rows = np.random.default_rng(seed).permutation(len(mnist))[:size]
    source, rest = mnist.subset(rows).split(0.5, seed=seed)
    target = shifts.apply(rest, kind, severity, seed=seed)
    made = metrics.ben_david_bound(source.x, source.y, target.x, target.y, seed=seed)
    return made.source_error, made.divergence / 2, made.lambda_, made.target_error


def stacked(rows, title, note=""):
    """The three terms end to end, a bar for each row, and a dot at the true error."""
    rows = {name: np.atleast_2d(values) for name, values in rows.items()}

    def draw(narrow):
        figure = Figure(
            figsize=(3.75 if narrow else 8, 0.36 * len(rows) + 1.4),
            layout="constrained",
        )
        ax = figure.subplots()
        for i, values in enumerate(rows.values()):
            left, mean = 0.0, values.mean(0)
            for k, hatch in enumerate(("", "//", "..")):
                label = TERMS[k] if i == 0 else None
                look = {"color": DOMAINS[k], "alpha": 0.55, "hatch": hatch}
                ax.barh(i, mean[k], 0.68, left, label=label, **look)
                left += mean[k]
            if len(values) > 1:
                ax.errorbar(left, i, xerr=values[:, :3].sum(1).std(ddof=1), color=INK)
            label = "true target error" if i == 0 else None
            ax.plot(mean[3], i, "o", color=INK, markersize=7, label=label)
        ax.axvline(1, color=INK, linewidth=1, linestyle="--")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlim(0, max(1.1, *(1.08 * v[:, :3].sum(1).max() for v in rows.values())))
        ax.set_xlabel("error; right of the dashed line a bound says nothing")
        columns = 2 if narrow else 4
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns)
        return figure

    said = "; ".join(
        f"{name}: "
        + " + ".join(f"{v:.2f}" for v in values.mean(0)[:3])
        + f" = {values[:, :3].sum(1).mean():.2f}, true {values[:, 3].mean():.2f}"
        for name, values in rows.items()
    )
    alt = f"Stacked bars of source error, half of the divergence and λ*. {said}."
    return views.View(title, alt, draw, note=note)


def turn(kind="blur", severity=0.5):
    rungs = {
        "no shift": terms(kind, 0.0, 0),
        f"{kind} {severity:g}": terms(kind, severity, 0),
    }
    return stacked(rungs, f"{kind}: {shifts.KINDS[kind].split(' shift')[0]} shift")


views.knobs(turn, kind=KINDS, severity=(0.0, 1.0, 0.25))

# %% [markdown]
# The same as a still picture:

# %%
steps = profile.pick(smoke=(1.0,), teach=(0.5, 1.0), full=(0.25, 0.5, 0.75, 1.0))
ladder = {"no shift": np.array([terms("blur", 0.0, seed) for seed in seeds])}
for kind in KINDS:
    for step in steps:
        ladder[f"{kind} {step:g}"] = np.array([terms(kind, step, s) for s in seeds])
stacked(
    ladder,
    "The bound and the truth, under five shifts",
    f"MNIST, even or odd, {size // 2} examples a side. Mean over {len(seeds)} seeds; "
    "line: standard deviation of the sum.",
)

# %%
names = [*TERMS, "true error"]
table = pd.DataFrame(
    {
        rung: [f"{m:.2f} ± {s:.2f}" for m, s in zip(v.mean(0), v.std(0, ddof=1))]
        for rung, v in ladder.items()
    },
    index=names,
).T
table

# %%
bounds = {rung: v[:, :3].sum(1) for rung, v in ladder.items()}
if profile.name != "smoke":
    assert all((v[:, 3] <= bounds[rung]).all() for rung, v in ladder.items())
    assert bounds["blur 1"].min() > 1
    assert ladder["blur 1"][:, 3].mean() < ladder["no shift"][:, 3].mean() + 0.05
    assert ladder["concept_flip 1"][:, 1].max() < 0.15
    assert ladder["concept_flip 1"][:, 2].min() > 0.8

# %% [markdown]
# *What to see*: no dot lies beyond its bar, as the theorem says. And yet:
#
# - **blur** sends the bound beyond 1, while the true error stays where it was. The classifiers that notice blur and
#   the ones that read digits are not the same.
# - **inversion** (all pictures as negatives) is the only one where *both* terms come near 1: no single half-space reads
#   black on white and white on black.
# - **label_priors** costs d without a change in any picture of a class: d sees that there are fewer of some.
# - **concept_flip** is invisible to d. All of it lands in λ*, the term that you cannot compute.
#
# ## Richer classifiers: larger d, smaller λ*
#
# The class $\mathcal H$ is your choice. Larger classes hold a better $h^*$, and they hold someone who tells the domains
# apart.


# %%
def network(seed):
    """One hidden layer, trained until the loss stands still."""
    return MLPClassifier(
        (64,), max_iter=200, tol=5e-3, learning_rate_init=3e-3, random_state=seed
    )


probes = {
    "thresholds of one pixel": (
        "stumps",
        lambda s: DecisionTreeClassifier(max_depth=1),
    ),
    "half-spaces": ("linear", lambda s: LogisticRegression(max_iter=1000)),
    "networks of 64 units": ("mlp", network),
}


def with_probe(kind, model, source, target, seed):
    """The terms for one class of classifiers, with d_H of that class as its divergence."""
    (a, ya), (b, yb) = source, target
    train, test = halves(len(a), seed)
    h, star = (
        make_pipeline(StandardScaler(), model(seed)),
        make_pipeline(StandardScaler(), model(seed)),
    )
    h.fit(a[train], ya[train])
    star.fit(
        np.concatenate([a[train], b[train]]), np.concatenate([ya[train], yb[train]])
    )
    return (
        1 - h.score(a[test], ya[test]),
        metrics.h_divergence(a, b, hypotheses=kind, seed=seed) / 2,
        2 - star.score(a[test], ya[test]) - star.score(b[test], yb[test]),
        1 - h.score(b[test], yb[test]),
    )


richer = {}
for seed in seeds:
    rows = np.random.default_rng(seed).permutation(len(mnist))
    source = draw(mnist.subset(rows[:size]), seed)
    turned = shifts.apply(
        mnist.subset(rows[size : 2 * size]), "rotation", 0.25, seed=seed
    )
    for name, (kind, model) in probes.items():
        value = with_probe(kind, model, source, draw(turned, seed), seed)
        richer.setdefault(name, []).append(value)
stacked(
    richer,
    "Three classes of classifiers, one pair of domains",
    f"MNIST against MNIST turned by 15°. Mean over {len(seeds)} seeds. "
    "The divergence is d_H of each class.",
)

# %%
poor, middle, rich = (np.array(richer[name]) for name in probes)
pd.DataFrame(
    {
        name: [
            f"{m:.2f} ± {s:.2f}" for m, s in zip(np.mean(v, 0), np.std(v, 0, ddof=1))
        ]
        for name, v in richer.items()
    },
    index=names,
).T

# %%
if profile.name != "smoke":
    assert poor[:, 1].mean() < middle[:, 1].mean() < rich[:, 1].mean()
    assert poor[:, 2].mean() > middle[:, 2].mean() > rich[:, 2].mean()

# %% [markdown]
# From top to bottom half of d grows, λ* shrinks. There is no class for which both are small by themselves; what one
# saves on the second term is paid in the first or the third.
#
# ## Measure: real pairs
#
# Enough of made shifts. All ordered pairs of four of the bundled sets, each with two classes: even or odd, female or
# male, negative or positive sentences, and for the emoji living beings against things. For each pair: the terms by
# half-spaces, with A-distance for the divergence. (It tends to be smaller than what the bound asks for. If even this
# sum exceeds 1, the right one does.)
#
# And two numbers of another kind, which need no theory and no target labels either. They look at how *sure* the
# classifier is:
#
# - **DoC** (difference of confidences): accuracy falls by as much as the mean confidence falls.
# - **ATC** (average thresholded confidence): find the threshold above which there are as many source points as are
#   right; the share of target points above it is the estimate.

# %%
LIVING = {"animal", "face", "hand", "person", "plant"}


def two_classes(name):
    loaded = dakit.load(name)
    groups = {
        "digits": [i % 2 for i in range(10)],
        "emoji_features": [int(c in LIVING) for c in loaded.classes],
    }
    group = torch.tensor(groups.get(name, [0, 1]))
    made = [
        replace(d, x=d.x.flatten(1), y=group[d.y], classes=("0", "1"))
        for d in loaded.values()
    ]
    return domains.DomainSet(name, made)


SETS = ("digits", "emoji_features", "sentiment", "penguins")
sets = {name: two_classes(name) for name in SETS}
if profile.name == "smoke":
    few = list(sets["emoji_features"].values())[:3]
    sets["emoji_features"] = domains.DomainSet("emoji_features", few)


# %%
def measure(source, target, seed, d):
    """Terms of the bound, true drop of accuracy, and the drops that ATC and DoC expect."""
    (train_s, test_s), (train_t, test_t) = (
        [
            (part.x.double().numpy(), part.y.numpy())
            for part in domain.split(0.5, seed=seed)
        ]
        for domain in (source, target)
    )

    def fit(x, y):
        model = LogisticRegression(C=0.1, max_iter=1000)
        return make_pipeline(StandardScaler(), model).fit(x, y)

    h = fit(*train_s)
    star = fit(*(np.concatenate(pair) for pair in zip(train_s, train_t)))
    right, right_t = h.score(*test_s), h.score(*test_t)
    sure = h.predict_proba(test_s[0]), test_s[1], h.predict_proba(test_t[0])
    lambda_ = 2 - star.score(*test_s) - star.score(*test_t)
    return {
        "A-distance": d,
        "λ*": lambda_,
        "bound": 1 - right + d / 2 + lambda_,
        "target error": 1 - right_t,
        "drop": right - right_t,
        "ATC": right - metrics.average_thresholded_confidence(*sure, bootstrap=0).value,
        "DoC": right - metrics.difference_of_confidences(*sure, bootstrap=0).value,
    }


rows = []
for name, made in sets.items():
    for seed in seeds:
        apart = {}
        for i, j in permutations(made, 2):
            pair = made.pair(i, j, seed=seed)
            rng = np.random.default_rng(seed)
            pair = [d.subset(rng.permutation(len(d))[:size]) for d in pair]
            key = frozenset((i, j))
            if key not in apart:  # the same both ways
                apart[key] = metrics.a_distance(pair[0].x, pair[1].x, seed=seed)
            found = measure(*pair, seed, apart[key])
            rows.append({"set": name, "pair": f"{i} → {j}", "seed": seed, **found})
pairs = pd.DataFrame(rows)
by_pair = pairs.drop(columns="seed").groupby(["set", "pair"], sort=False).mean()
by_pair.loc[["digits", "sentiment", "penguins"]].round(2)

# %%
summary = by_pair.groupby("set", sort=False).agg(
    pairs=("bound", "size"),
    smallest=("bound", "min"),
    largest=("bound", "max"),
    vacuous=("bound", lambda b: f"{(b > 1).sum()} of {len(b)}"),
    worst_error=("target error", "max"),
)
share = (by_pair["bound"] > 1).mean()
print(f"{(by_pair['bound'] > 1).sum()} of {len(by_pair)} bounds exceed 1: {share:.0%}")
if profile.name != "smoke":
    assert share > 0.8 and by_pair["target error"].max() < 0.6
summary.round(2)

# %% [markdown]
# **On real pairs the bound is vacuous.** Only pairs of near neighbours among the drawing styles stay below 1.
#
# Perhaps its middle term is still good for something: does a larger A-distance at least go with a larger loss of
# accuracy? And do ATC and DoC, which were made for the purpose, follow the loss better?

# %%
course.predict(
    "follows",
    "Which one sorts pairs of domains best by the loss of accuracy?",
    options=["A-distance", "ATC", "DoC", "it depends on the set"],
)


# %%
def ranks(frame):
    """Rank correlation with the true drop, seed by seed."""
    found = {}
    for name in ("A-distance", "ATC", "DoC"):
        found[name] = [
            spearmanr(g[name], g["drop"])[0] for _, g in frame.groupby("seed")
        ]
    return found


follow = {name: ranks(frame) for name, frame in pairs.groupby("set", sort=False)}
follow["all pairs"] = ranks(pairs)
best = [max(f, key=lambda name: np.mean(f[name])) for f in list(follow.values())[:-1]]
course.reveal("follows", best[0] if len(set(best)) == 1 else "it depends on the set")
pd.DataFrame(
    {
        name: {k: f"{np.mean(v):+.2f} ± {np.std(v, ddof=1):.2f}" for k, v in f.items()}
        for name, f in follow.items()
    }
).T


# %%
def predictors(narrow):
    figure = Figure(figsize=(3.75, 7.6) if narrow else (8.4, 4.2), layout="constrained")
    axes = figure.subplots(*(2, 1) if narrow else (1, 2), sharey=True)
    for i, name in enumerate(sets):
        part = by_pair.loc[name]
        marker = MARKERS[i]
        look = {
            "color": DOMAINS[i],
            "markerfacecolor": DOMAINS[i] if marker.filled else "white",
            "label": name.replace("_", " "),
        }
        for ax, column in zip(axes, ("A-distance", "ATC")):
            ax.plot(part[column], part["drop"], marker.matplotlib, **look)
    axes[1].axline((0, 0), slope=1, color=INK, linewidth=1, linestyle="--")
    axes[0].set(xlabel="A-distance", ylabel="loss of accuracy")
    axes[1].set(xlabel="loss expected by ATC (dashed: exact)")
    axes[0].legend(loc="upper left")
    return figure


views.View(
    "What A-distance and ATC know of the loss",
    f"Two scatter plots of the loss of accuracy of {len(by_pair)} pairs, against "
    "A-distance and against the loss expected by ATC. Rank correlation over all pairs: "
    + ", ".join(f"{k} {np.mean(v):.2f}" for k, v in follow["all pairs"].items())
    + ".",
    predictors,
    note=f"One dot for each ordered pair, mean over {len(seeds)} seeds.",
)

# %%
error = {
    "no loss at all": pairs["drop"].abs(),
    "ATC": (pairs["ATC"] - pairs["drop"]).abs(),
    "DoC": (pairs["DoC"] - pairs["drop"]).abs(),
}
off = pd.DataFrame(error).groupby([pairs["set"], pairs["seed"]], sort=False).mean()
off = off.groupby("set", sort=False).agg(["mean", "std"])
off.round(3).rename_axis("mean error of the expected accuracy")

# %% [markdown]
# It depends (`teach`, 3 seeds, mean ± standard deviation):
#
# - **Drawing styles**: A-distance sorts the pairs best (0.74 ± 0.08). Here it takes values from 0.66 to 1.96.
# - **Sentences**: ATC and DoC follow the loss (0.66 ± 0.09 and 0.70 ± 0.16), A-distance does not (−0.10 ± 0.02).
#   All its values lie between 1.65 and 1.84, at the end of the scale, and it is the same both ways, while tweets →
#   movies loses 0.19 and movies → tweets 0.02.
# - **Penguins and digits**: nobody does. On the penguins ATC and DoC even expect a *gain* where 0.28 to 0.38 are
#   lost: the classifier is surer of itself on the foreign species than at home. Confidence is no witness where a
#   model extrapolates.
#
# As the expected accuracy itself, ATC and DoC are off by 0.09 on styles and sentences (to expect no loss at all is
# off by 0.15 and 0.10), and on the penguins they are worse than to expect nothing. They have one advantage over the
# bound in every case: they give a number that can be believed or refuted, in units of accuracy. The textbook order
# "confidence beats distance" did not come out here. Forty-two of the 66 pairs are drawing styles, so the row "all
# pairs" is mostly theirs.
#
# ## Break it
#
# ### d = 0 and every classifier wrong
#
# The example of Zhao et al. (2019). Source points lie between −1 and 0, target points between 1 and 2. One interval,
# from −½ to 1½, is right everywhere. Now align: shift both onto the stretch from 0 to 1.

# %%
rng = np.random.default_rng(0)
x_s, x_t = rng.uniform(-1, 0, 2 * size), rng.uniform(1, 2, 2 * size)
y_s, y_t = (x_s > -0.5).astype(int), (x_t < 1.5).astype(int)
z_s, z_t = x_s + 1, x_t - 1

interval = np.mean((x_t > -0.5) & (x_t < 1.5) != y_t)


def best_threshold(a, ya, b, yb):
    """λ* of thresholds, either way round."""
    sums = [
        np.mean((a > c) != ya) + np.mean((b > c) != yb) for c in np.linspace(-1, 2, 301)
    ]
    return min(*sums, *(2 - s for s in sums))


h = DecisionTreeClassifier(max_depth=1).fit(z_s[:, None], y_s)
swapped = {
    "d_H of thresholds": exact(z_s, z_t)[0],
    "source error": 1 - h.score(z_s[:, None], y_s),
    "λ* of thresholds": best_threshold(z_s, y_s, z_t, y_t),
    "target error": 1 - h.score(z_t[:, None], y_t),
}
print(
    f"before: d_H {exact(x_s, x_t)[0]:.2f}, and an interval with error {interval:.2f}"
)
print("after: ", {k: round(float(v), 2) for k, v in swapped.items()})
assert swapped["d_H of thresholds"] < 0.2 and swapped["target error"] > 0.95
assert swapped["λ* of thresholds"] > 0.9 and interval == 0

# %% [markdown]
# Perfectly aligned, perfect on the source, wrong on all of the target. Of the three terms the two that you can see
# are 0. The third was 0 before the alignment (for intervals) and is 1 after it: **the alignment itself made it
# large.**
#
# ### Reduce d, and watch λ*
#
# That was made to fail. Take digits and an honest way to make d small: find the direction that tells the domains
# apart, project it out of the features, and repeat. Two pairs:
#
# - optdigits → MNIST: other pictures, the same shares of even and odd;
# - MNIST → MNIST: the same kind of pictures, but 10 % odd in the source and 90 % odd in the target.


# %%
def with_share(domain, odd, n, rows):
    """n of these rows, a share of them odd."""
    y = domain.y.numpy()[rows]
    k = round(odd * n)
    chosen = np.concatenate([rows[y == 1][:k], rows[y == 0][: n - k]])
    part = domain.subset(chosen)
    return part.x.flatten(1).double().numpy(), part.y.numpy()


def four_parts(source, target, shares, seed):
    """Training and test points of source and of target."""
    rng, n = np.random.default_rng(seed), size // 2
    made = []
    for domain, share in zip((source, target), shares):
        rows = rng.permutation(len(domain))
        half = len(rows) // 2
        made += [
            with_share(domain, share, n, part) for part in (rows[:half], rows[half:])
        ]
    return made


REMOVED = profile.pick(smoke=(0, 4), teach=(0, 16, 32, 48), full=(0, 8, 16, 32, 48, 64))


def strip(source, target, shares, seed):
    """The terms after removing more and more directions that tell the domains apart."""
    (a, ya), (b, yb), (c, yc), (e, ye) = four_parts(source, target, shares, seed)
    scale = StandardScaler().fit(np.concatenate([a, c]))
    a, b, c, e = (scale.transform(x) for x in (a, b, c, e))
    domain = np.repeat([0, 1], [len(a), len(c)])
    found = []
    for removed in range(max(REMOVED) + 1):
        if removed in REMOVED:
            h = LogisticRegression(C=0.1, max_iter=500).fit(a, ya)
            both = np.concatenate([a, c]), np.concatenate([ya, yc])
            star = LogisticRegression(C=0.1, max_iter=500).fit(*both)
            d = metrics.h_divergence(b, e, hypotheses="linear", seed=seed)
            lambda_ = 2 - star.score(b, yb) - star.score(e, ye)
            found.append((1 - h.score(b, yb), d / 2, lambda_, 1 - h.score(e, ye)))
        probe = LogisticRegression(max_iter=300).fit(np.concatenate([a, c]), domain)
        w = probe.coef_.ravel() / np.linalg.norm(probe.coef_)
        a, b, c, e = (x - np.outer(x @ w, w) for x in (a, b, c, e))
    return found


course.predict(
    "strip",
    "48 directions are removed and d falls by nearly half. "
    "What does that do to the target error of a classifier trained afterwards?",
    options=["it falls in both pairs", "it falls in one", "it falls in neither"],
)

# %%
stripped = {
    "other pictures": ("optdigits", "mnist", (0.5, 0.5)),
    "other shares": ("mnist", "mnist", (0.1, 0.9)),
}
stripped = {
    name: np.array([strip(parity(i), parity(j), shares, seed) for seed in seeds])
    for name, (i, j, shares) in stripped.items()
}
stacked(
    {
        f"{name}, {k} removed": found[:, i]
        for name, found in stripped.items()
        for i, k in enumerate(REMOVED)
    },
    "Directions that tell the domains apart, removed",
    f"Even or odd, {size // 2} examples a side to learn from, as many to test. "
    f"Mean over {len(seeds)} seeds; line: standard deviation of the sum.",
)

# %%
last = {
    (name, when): [f"{m:.2f} ± {s:.2f}" for m, s in zip(v.mean(0), v.std(0, ddof=1))]
    for name, found in stripped.items()
    for when, v in (("before", found[:, 0]), ("after", found[:, -1]))
}
fell = [(f[:, 0, 3] - f[:, -1, 3]).mean() > 0.05 for f in stripped.values()]
options = ["it falls in neither", "it falls in one", "it falls in both pairs"]
course.reveal("strip", options[sum(fell)])
pd.DataFrame(last, index=names).T

# %%
shares = stripped["other shares"]
if profile.name != "smoke":
    fall = stripped["other pictures"][:, 0] - stripped["other pictures"][:, -1]
    assert fall[:, 1].mean() > 0.2 and abs(fall[:, 3].mean()) < 0.05
    fall = shares[:, 0] - shares[:, -1]
    assert fall[:, 1].mean() > 0.1 and fall[:, 2].max() < -0.2

# %% [markdown]
# - **Other pictures**: the bound falls by about 0.4 and no longer exceeds 1; the target error stays at 0.33 to 0.35. What made
#   the domains look different was not what made the classifier fail. A smaller d is not a smaller error.
# - **Other shares**: whatever tells the domains apart also tells even from odd, because the target has more odd
#   digits. Half of d falls from 0.43 to 0.24, λ* rises from 0.26 to 0.79 and the target error from 0.42 to 0.82. What was
#   gained in the second term was paid in the third, with interest.
#
# From unlabelled data the two cases look the same: d falls, source error hardly moves.
#
# ### The same with DANN
#
# DANN makes d small by training (chapter *2_align/03*). Two moons, the target turned by 20°. In the source one point
# of ten lies on the upper moon, in the target nine of ten.

# %%
moon_steps = profile.pick(smoke=100, teach=1000, full=5000)
shallow = {"name": "mlp", "hidden": (15,), "activation": "sigmoid"}
choices = {
    "source_only": {},
    "dann": {"lambda_": 6.0, "ramp": False, "hidden": 0, "anneal": False},
}


def moons(seed, degrees, upper, n=300):
    x, y = make_moons(
        (round(n * upper), n - round(n * upper)), noise=0.1, random_state=seed
    )
    made = domains.from_arrays(
        x - [0.5, 0.25], y, name="moons", classes=("upper", "lower")
    )
    return shifts.rotation(made, degrees)


def train(name, seed, upper=(0.1, 0.9)):
    """Errors on new points, A-distance of their features, and λ* on them."""
    source, target = moons(seed, 0, upper[0]), moons(seed + 100, 20, upper[1])
    method = methods.build(name, source, backbone=shallow, seed=seed, **choices[name])
    options = {"lr": 0.1, "seed": seed, "snapshots": 2, "precision": "float32"}
    run = dakit.fit(method, source, target, steps=moon_steps, progress=False, **options)
    new = moons(seed + 200, 0, upper[0], 1000), moons(seed + 300, 20, upper[1], 1000)
    a, b = (run.features(domain) for domain in new)
    ya, yb = (domain.y.numpy() for domain in new)
    star = LogisticRegression(max_iter=2000)
    star.fit(np.concatenate([a[::2], b[::2]]), np.concatenate([ya[::2], yb[::2]]))
    return {
        "source error": 1 - run.evaluate(new[0]).accuracy,
        "target error": 1 - run.evaluate(new[1]).accuracy,
        "λ* on the features": 2
        - star.score(a[1::2], ya[1::2])
        - star.score(b[1::2], yb[1::2]),
        "A-distance of the features": metrics.a_distance(a, b),
        "MMD² of the features": metrics.mmd(a, b),
    }


moon_seeds = range(profile.pick(smoke=2, teach=5, full=20))
trained = {
    name: pd.DataFrame([train(name, seed) for seed in moon_seeds]) for name in choices
}
pd.DataFrame(
    {
        name: {c: f"{f[c].mean():.3f} ± {f[c].std():.3f}" for c in f}
        for name, f in trained.items()
    }
)


# %%
least = jensenshannon([0.1, 0.9], [0.9, 0.1], base=2) ** 2 / 2
print(f"aligned features, 10 % against 90 %: errors of at least {least:.3f} in sum")
for name, found in trained.items():
    total = found["source error"] + found["target error"]
    print(f"{name:12} {total.mean():.3f} ± {total.std():.3f}")

# %%
harm = trained["dann"]["target error"] - trained["source_only"]["target error"]
print("harm done, seed by seed:", harm.round(2).tolist())
if profile.name != "smoke":
    assert harm.mean() > 0.1

# %% [markdown]
# The target error rose from 0.43 ± 0.02 to 0.74 ± 0.23 (5 seeds), on four seeds of five; on three of them nearly every
# point is given the majority class of the source. What did it buy? MMD² of the features fell from 0.36 to 0.13. The
# A-distance did *not* fall (1.36 ± 0.11 before, 1.50 ± 0.02 after): with such shares, whoever recognises the class
# recognises the domain, and a fresh probe finds it in directions that the discriminator no longer looks at. λ* on
# the features did not rise reliably either (0.28 ± 0.03, then 0.35 ± 0.32); it did on the one seed where MMD² went to
# 0.001, to 0.91. So DANN fails here as the theory warns, but our numbers do not show it as cleanly as the
# projection above: it did not reach invariance, and did the harm on the way there.
#
# ## Exercises
#
# **1.** A domain classifier has looked at held-out points of source and target; True means that it says "target". The
# samples need not be of one size. Return the A-distance.


# %%
def a_distance_of(called_s, called_t):
    """From two arrays of True and False to a number between 0 and 2."""
    # solution: the balanced error, cut at one half, stretched to 0 … 2
    error = (np.mean(called_s) + np.mean(~called_t)) / 2
    return 2 * (1 - 2 * min(error, 0.5))
    # end solution


course.check("bound.a_distance_of", a_distance_of)

# %%
# course.hint("bound.a_distance_of")      # take the # away: one step at a time
# course.solution("bound.a_distance_of")  # comes last

# %% [markdown]
# **2.** Assemble the bound. You get where h is wrong on the source points it was `trained` on and on `fresh` ones, where
# h* is wrong on source and on target (arrays of True and False), and d between 0 and 2.


# %%
def bound_from(trained, fresh, star_s, star_t, d):
    """The bound on the target error of h."""
    # solution: three terms, from four arrays and d
    return np.mean(fresh) + d / 2 + np.mean(star_s) + np.mean(star_t)
    # end solution


course.check("bound.bound_from", bound_from)

# %%
# course.hint("bound.bound_from")
# course.solution("bound.bound_from")

# %% [markdown]
# **3.** Build a pair of domains with d = 0 on which whoever is right on the source is always wrong on the target.
# Return `xs, ys, xt, yt`: inputs of shape (n, d), labels 0 and 1 of shape (n,), both classes in both domains.


# %%
def harmless(n):
    """Two domains that look the same."""
    # solution: xs, ys, xt, yt of n points each
    x = np.linspace(-1, 1, n)[:, None]
    y = (x[:, 0] > 0).astype(int)
    return x, y, x, 1 - y
    # end solution


course.check("bound.harmless", harmless)

# %%
# course.hint("bound.harmless")
# course.solution("bound.harmless")

# %% [markdown]
# **4.** Zhao et al. (2019): with perfectly aligned features, source error + target error is at least half of the
# Jensen-Shannon divergence of the two class shares, counted in bits. Write it for two classes; `share_s` and `share_t`
# are the shares of class 1. Write it without scipy.


# %%
def least_errors(share_s, share_t):
    """The least sum of the two errors that aligned features allow."""

    # solution: entropy of the mean share, less the mean of the entropies; half of it
    def entropy(p):
        return -p * np.log2(p) - (1 - p) * np.log2(1 - p)

    mean = (entropy(share_s) + entropy(share_t)) / 2
    return (entropy((share_s + share_t) / 2) - mean) / 2
    # end solution


course.check("bound.price", least_errors)

# %%
# course.hint("bound.price")
# course.solution("bound.price")

# %% [markdown]
# **5.** Open question. In the ladder above, find a shift of `KINDS` and a class of probes for which the bound stays
# below one half. What do you have to give up?
#
# ## What the papers report, what was reproduced here, what was not
#
# - *Ben-David et al. (2010)*, theorem 2: the chain of the proof was followed on samples, and no true error exceeded its
#   sum on any of the 11 rungs and 3 seeds. That is no proof of our numbers: d comes from a trained probe (too low), λ*
#   from a trained classifier (too high), and the term for finite samples was left out. At 1,000
#   points a side and 256 pixels that term alone is 7.9 (`vc_dimension=257`). The paper's own experiments (sentiment, with A-distance) were not repeated.
# - *Mansour et al. (2009)*: the closed form of the discrepancy, checked; its bounds were not used.
# - *Zhao et al. (2019)*: the example (d = 0, target error 1) exactly; the lower bound for other class shares was
#   computed, and no run fell below it. Their digit experiments were not repeated.
# - *Garg et al. (2022)* report that ATC estimates target accuracy 2 to 4 times as accurately as earlier methods, over
#   many shifts and networks. Not reproduced: here ATC and DoC are about equally far off. Differences: logistic
#   regression on a few hundred examples, no calibration, real pairs far apart, no corruptions.
# - *Guillory et al. (2021)* fit a regression of accuracy on DoC over many known shifts; ours has the slope 1.
#
# ## References
#
# - S. Ben-David, J. Blitzer, K. Crammer, F. Pereira, *Analysis of representations for domain adaptation*, NIPS 2007:
#   the bound with $d_{\mathcal H}$ and the proxy A-distance.
# - S. Ben-David, J. Blitzer, K. Crammer, A. Kulesza, F. Pereira, J. Vaughan, *A theory of learning from different
#   domains*, Machine Learning 79 (2010),
#   [doi.org/10.1007/s10994-009-5152-4](https://doi.org/10.1007/s10994-009-5152-4): theorem 2.
# - Y. Mansour, M. Mohri, A. Rostamizadeh, *Domain adaptation: learning bounds and algorithms*, COLT 2009,
#   [arXiv:0902.3430](https://arxiv.org/abs/0902.3430).
# - H. Zhao, R. Tachet des Combes, K. Zhang, G. Gordon, *On learning invariant representations for domain adaptation*,
#   ICML 2019, [arXiv:1901.09453](https://arxiv.org/abs/1901.09453).
# - S. Garg, S. Balakrishnan, Z. Lipton, B. Neyshabur, H. Sedghi, *Leveraging unlabeled data to predict
#   out-of-distribution performance*, ICLR 2022, [arXiv:2201.04234](https://arxiv.org/abs/2201.04234): ATC.
# - D. Guillory, V. Shankar, S. Ebrahimi, T. Darrell, L. Schmidt, *Predicting with confidence on unseen distributions*,
#   ICCV 2021, [arXiv:2107.03315](https://arxiv.org/abs/2107.03315): DoC.
#
# Next: *2_align/03 DANN* makes the middle term small by training.

# %%
course.provenance()
