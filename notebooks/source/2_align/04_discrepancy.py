# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Discrepancies: match a statistic, without a judge
#
# > You will match moments, kernels and classes between two domains, and build for each of them a difference that it
# > cannot see.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 45 minutes to read, about 1 minute to run on 1 CPU core |
# | Memory | 0.7 GB |
# | Needs | *1_shift/02 Distances*, *2_align/03 DANN*; what a covariance is |
# | Data | clouds of points (generated), emoji as 128 features (MIT, Apache-2.0, CC-BY-4.0, see the card of the set) |
#
# DANN needs a judge, and a game between two players. A **discrepancy** needs none: write down a number that says how
# different two batches of features are, and let gradient descent make it small. The question is which number.
#
# Below are four pairs of clouds. In each pair the two clouds differ. Which differences would you call hard to see?

# %%
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

import dakit
from dakit import bench, course, domains, losses, methods, metrics, training, views
from dakit.views.palette import SOURCE, TARGET

profile = course.setup(seed=0)
seeds = range(profile.pick(smoke=2, teach=4, full=10))


def isotropic(n, rng, ring):
    """Mean 0 and covariance 1 for every `ring` from 0, a Gaussian, to 1, a circle."""
    x = rng.normal(size=(n, 2))
    square = (x**2).sum(1, keepdims=True)
    return x * np.sqrt((1 - ring) + ring * 2 / square)


def pair(kind, n, seed, ring=1.0):
    """Two clouds of shape (n, 2) that differ in one way."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 2)), rng.normal(size=(n, 2))
    if kind == "moved":
        b[:, 0] += 0.5
    elif kind == "tilted":  # each coordinate alone is a standard Gaussian in both
        a[:, 1] = 0.5 * a[:, 0] + 0.75**0.5 * a[:, 1]
        b[:, 1] = -0.5 * b[:, 0] + 0.75**0.5 * b[:, 1]
    elif kind == "skewed":  # mean 0 and variance 1 in both
        a, b = rng.exponential(size=(n, 2)) - 1, 1 - rng.exponential(size=(n, 2))
    else:
        b = isotropic(n, rng, ring)
    return torch.tensor(a), torch.tensor(b)


def picture(panels, title, alt, note=""):
    """Panels side by side; each is a title and a function that draws on an axis."""

    def draw(narrow):
        k = len(panels)
        size = (3.75, 3.2 * k) if narrow else (9.4, 9.4 / max(k, 2) + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(*((k, 1) if narrow else (1, k)), squeeze=False).ravel()
        for ax, (name, paint) in zip(axes, panels.items()):
            paint(ax)
            ax.set_title(name, fontsize=10)
            ax.set_aspect("equal")
        return figure

    return views.View(title, alt, draw, note=note)


def clouds(xs, xt, reach=3.6):
    def paint(ax):
        ax.scatter(*np.asarray(xs).T, 7, color=SOURCE, alpha=0.6, linewidths=0)
        open_ = {"facecolors": "none", "edgecolors": TARGET, "linewidths": 0.7}
        ax.scatter(*np.asarray(xt).T, 13, marker="^", **open_)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        ax.locator_params(nbins=4)

    return paint


kinds = ("moved", "tilted", "skewed", "ring")
picture(
    {kind: clouds(*pair(kind, 200, seed=1)) for kind in kinds},
    "Four pairs of clouds",
    "Four panels, source as circles and target as triangles: the target is moved to "
    "the right; tilted the other way; skewed the other way; a ring around the source.",
)

# %% [markdown]
# ## Predict
#
# The ring has the mean of the cloud, and its covariance too, exactly. Four losses look at this pair: **CORAL** compares
# covariances, **HoMM** third moments $\mathbb E\,x_i x_j x_k$, **CMD** moments of single coordinates up to order 5,
# **MMD** mean embeddings in a kernel space.

# %%
course.predict(
    "ring",
    "How many of the four notice the ring, from 100 points a side, in at least half "
    "of the draws?",
    options=["none", "one", "two", "three", "all four"],
)

# %% [markdown]
# "Notice" needs a yardstick: with 100 points two samples of *one* distribution differ as well. So mix the two clouds,
# split the mixture at random, many times, and take the value that 95 % of these splits stay below.

# %%
BOX = (-4.0, 4.0)  # CMD wants an interval that holds the features
measures = {
    "CORAL": losses.coral,
    "HoMM, order 3": lambda a, b: losses.higher_order_moments(a, b, order=3),
    "HoMM, order 4": lambda a, b: losses.higher_order_moments(a, b, order=4),
    "CMD": lambda a, b: losses.cmd(a, b, interval=BOX),
    "MMD": lambda a, b: losses.mmd(a, b, unbiased=True),
}
draws = profile.pick(smoke=20, teach=200, full=1000)


def noticed(kind, ring=1.0, n=100):
    """Share of draws in which each measure exceeds 95 % of what chance gives."""
    found = {name: [] for name in measures}
    chance = {name: [] for name in measures}
    for s in range(draws):
        a, b = pair(kind, n, s, ring)
        both = torch.cat([a, b])[torch.randperm(2 * n)]
        for name, measure in measures.items():
            found[name].append(measure(a, b).item())
            chance[name].append(measure(both[:n], both[n:]).item())
    return {k: np.mean(found[k] > np.quantile(chance[k], 0.95)) for k in measures}


power = pd.DataFrame({kind: noticed(kind) for kind in kinds})
first_four = power["ring"].drop("HoMM, order 4")
course.reveal(
    "ring", ["none", "one", "two", "three", "all four"][(first_four > 0.5).sum()]
)
power.map("{:.0%}".format)

# %% [markdown]
# Read the table by rows. 5 % is what a blind measure gets by luck.
#
# - CORAL sees the tilt and nothing else. Neither a move, nor a skew, nor the ring.
# - HoMM of order 3 (centred, as the method takes it) sees the skew, and misses all that is symmetric.
# - CMD looks at one coordinate at a time. The tilt is a matter of two coordinates: it is missed.
# - MMD sees all four. It is not always the sharpest: a moment that is aimed at the difference needs fewer points.

# %%
if profile.name != "smoke":  # too few draws there
    blind = power.loc["CORAL", ["moved", "ring"]]
    assert power.loc["CORAL", "tilted"] > 0.9 > 0.4 > blind.max()
    assert power.loc["CMD", "tilted"] < 0.4 < power.loc["CMD", "moved"]
    assert power.loc["MMD"].min() > 0.5

# %% [markdown]
# ## The idea
#
# In words: describe each batch by a list of averages, and make the lists equal. Every method of this chapter fits into
# one formula; they differ in $\varphi$, the features of features whose averages are compared:
#
# $$\min_\theta\; \underset{S}{\mathrm{mean}}\ \mathrm{CE}(G_y(f), y) + \lambda\, \Big\lVert \underset{S}{\mathrm{mean}}\,
# \varphi(f) - \underset{T}{\mathrm{mean}}\,\varphi(f) \Big\rVert^2 .$$
#
# | method | $\varphi(f)$ | blind to |
# | --- | --- | --- |
# | Deep CORAL | products $f_i f_j$, mean taken out | means, all moments but the second |
# | HoMM | products of $p$ entries, mean taken out | means, moments of other orders |
# | CMD | $f_i$, and powers $f_i^k$ with the mean taken out (norms not squared) | how entries go together |
# | DAN | a kernel's own, infinitely many: $\langle\varphi(f), \varphi(f')\rangle = k(f, f')$ | nothing in principle; in a batch, what the bandwidth hides |
# | JAN | $\varphi(f) \otimes \varphi(p)$, with the predictions $p$ | classes, where the predictions are wrong |
# | DSAN | DAN's, class by class, target weighted by $p$ | the same |
#
# ## The method's own file
#
# The loss, and the method around it: no second player, no schedule but the weight's.

# %%
course.source(losses.coral, docstring=False)

# %%
course.source(methods.DAN, docstring=False)

# %% [markdown]
# ### From scratch
#
# A kernel is a way not to write down $\varphi$. HoMM of order 2 says: average all products $x_i x_j$, a $d \times d$
# table, and compare. The kernel $k(x, y) = \langle x, y\rangle^2$ says the same without the table. And it is CORAL, up
# to a factor.

# %%
x, y = pair("tilted", 50, seed=0)
x, y = x - x.mean(0), y - y.mean(0)
tables = [torch.einsum("ni,nj->ij", z, z) / len(z) for z in (x, y)]
by_table = (tables[0] - tables[1]).square().sum()


def k(a, b):
    return (a @ b.T).square().mean()


by_kernel = k(x, x) + k(y, y) - 2 * k(x, y)
d, n = 2, 50
from_coral = 4 * d**2 * losses.coral(x, y) * ((n - 1) / n) ** 2
homm = d**2 * losses.higher_order_moments(x, y, order=2)
print(*(f"{v.item():.6f}" for v in (by_table, by_kernel, from_coral, homm)))
assert torch.allclose(by_table, by_kernel) and torch.allclose(by_table, from_coral)
assert torch.allclose(by_table, homm)

# %% [markdown]
# ## A knob: from a cloud to a ring
#
# Turn `ring` from 0 to 1. Mean and covariance stay as they are, all the way. The two numbers are losses divided by the
# value that 95 % of chance stays below: above 1 the difference shows.


# %%
def chance_level(name, ring, n=200, rounds=40):
    values = []
    for s in range(rounds):
        both = torch.cat(pair("ring", n, s, ring))[torch.randperm(2 * n)]
        values.append(measures[name](both[:n], both[n:]).item())
    return np.quantile(values, 0.95)


def turn(ring=0.5):
    a, b = pair("ring", 200, 1, ring)
    says = [
        f"{name} {measures[name](a, b).item() / chance_level(name, ring):.1f}"
        for name in ("CORAL", "MMD")
    ]
    title = "Loss over chance level: " + ", ".join(says)
    alt = f"A Gaussian cloud, and one that is {ring:.0%} on its way to a ring. {title}."
    return picture({"": clouds(a, b)}, title, alt)


views.knobs(turn, ring=(0, 1, 0.1))

# %% [markdown]
# The same as a still, with the share of draws in which each loss notices:

# %%
turns = profile.pick(
    smoke=[0, 1], teach=[0, 0.25, 0.5, 0.75, 1], full=[*np.arange(11) / 10]
)
seen = [noticed("ring", ring) for ring in turns]
views.ladder(
    turns,
    {name: [s[name] for s in seen] for name in measures},
    x_label="ring",
    y_label="share of draws",
    lines={"chance": 0.05},
    title="How often the ring is noticed",
    note="100 points a side. Mean and covariance of both clouds are equal everywhere.",
)

# %% [markdown]
# ## What a loss does to points
#
# Forget the network. Take loose points, call them features, and let them slide down each loss towards two moons. What
# they look like when they have stopped is what the loss can tell.

# %%
moons = torch.tensor(make_moons(100, noise=0.06, random_state=0)[0] - [0.5, 0.25])


slide_steps = profile.pick(smoke=80, teach=200, full=1000)


def slide(loss, start):
    """Move points by Adam until the loss to the moons is small."""
    points = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([points], lr=0.1)
    for _ in range(slide_steps):
        optimiser.zero_grad()
        loss(points, moons).backward()
        optimiser.step()
    return points.detach()


def blob(seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(100, 2, generator=generator, dtype=torch.float64)
    return 0.5 * points + torch.tensor([1.5, 1.5])


ways = {
    "CORAL": losses.coral,
    "CMD": lambda a, b: losses.cmd(a, b, interval=(-3.0, 3.0)),
    "MMD": lambda a, b: losses.mmd(a, b),
}
arrived = {name: slide(loss, blob(0)) for name, loss in ways.items()}
picture(
    {"start": clouds(blob(0), moons, 2.9)}
    | {name: clouds(points, moons, 2.9) for name, points in arrived.items()},
    "Points (circles) that slide towards two moons (triangles)",
    "Four panels. Start: a round cloud beside two moons. CORAL stretches the cloud and "
    "leaves it where it is. CMD moves it onto the moons but does not bend it. MMD bends "
    "it into the two moons.",
)

# %% [markdown]
# How far from the moons is each at the end? Two numbers that none of them minimised: the energy distance of the two
# clouds, and how far a typical (median) moved point lies from its nearest point of the moons.


# %%
def judged(points):
    off = torch.cdist(points, moons).min(1).values.median().item()
    return {
        "energy distance": metrics.energy_distance(points, moons),
        "off the moons": off,
    }


left = {
    name: [judged(slide(loss, blob(s))) for s in seeds] for name, loss in ways.items()
}
left["start"] = [judged(blob(s)) for s in seeds]
ends = {name: pd.DataFrame(values) for name, values in left.items()}
pd.concat(
    {name: e.agg(["mean", "std"]).T.stack() for name, e in ends.items()}, axis=1
).T.round(3)

# %% [markdown]
# CORAL stays where it is (energy distance 2.33 ± 0.05, at the start 2.51 ± 0.04). CMD and MMD arrive (0.030 ± 0.009 and
# 0.054 ± 0.004), and here is a surprise: by this number CMD is closer. Look at the picture for the reason. MMD's points
# lie *on* the moons, but for a few strays: far from everything the kernel is flat, and a stray gets no pull. CMD's points
# lie around the moons in a shapeless cloud with the right moments: off
# by 0.194 ± 0.027 in the median, MMD's by 0.058 ± 0.002.

# %%
assert ends["CORAL"]["energy distance"].min() > 1
assert ends["MMD"]["off the moons"].max() < ends["CMD"]["off the moons"].min()

# %% [markdown]
# ## A second knob: the bandwidth
#
# The kernel's scale is MMD's only choice. Below it is a multiple of the median squared distance of all points at the
# start.

# %%
course.predict(
    "bandwidth",
    "A bandwidth 10,000 times too large. What do the points do?",
    options=["stay where they are", "move, but keep their shape", "form the moons"],
)


# %%
def slid_with(factor, seed=0):
    scale = factor * losses.median_bandwidth(blob(seed), moons)
    return slide(
        lambda a, b: losses.mmd(a, b, bandwidths=scale) * max(factor, 1), blob(seed)
    )


def turn_bandwidth(exponent=0):
    points = slid_with(10.0**exponent)
    apart = metrics.energy_distance(points, moons)
    alt = f"Points after sliding down MMD with bandwidth 10^{exponent:g} × median."
    alt += f" Energy distance to the moons {apart:.3f}."
    title = f"bandwidth = 10^{exponent:g} × median: {apart:.3f} from the moons"
    return picture({"": clouds(points, moons, 2.9)}, title, alt)


views.knobs(turn_bandwidth, exponent=(-4, 4))

# %%
exponents = profile.pick(
    smoke=[-4, 0, 4], teach=[-4, -2, -1, 0, 1, 4], full=[*range(-4, 5)]
)
measured = [[judged(slid_with(10.0**e, s)) for s in seeds[:3]] for e in exponents]
far = {
    key: np.array([[one[key] for one in row] for row in measured])
    for key in ("energy distance", "off the moons")
}
wide = slid_with(10.0**4)
shape = (wide - wide.mean(0)).std(0) / (blob(0) - blob(0).mean(0)).std(0)
moved = (wide.mean(0) - moons.mean(0)).norm().item()
course.reveal(
    "bandwidth",
    "move, but keep their shape"
    if moved < 0.1 and (shape - 1).abs().max() < 0.1
    else "stay where they are",
    because="So wide a kernel is a flat parabola: its mean embedding holds the mean, "
    "and little else.",
)
views.ladder(
    exponents,
    far,
    x_label="log10 of bandwidth / median",
    together=False,
    title="What is left to do, by bandwidth",
)

# %% [markdown]
# Too narrow, and no point sees another: no slope, no motion (energy distance 2.17 ± 0.04, as at the start). Too wide, and
# only the means meet. The best single one here is ten times the median: wide enough to fetch all points from afar, too
# wide to form the moons. One kernel cannot do both; DAN takes five around the median of each batch, which moves along.

# %%
energy = far["energy distance"]
assert energy[0].min() > 10 * energy[exponents.index(0)].max()

# %% [markdown]
# ## Run it: emoji
#
# Labelled *noto* emoji, unlabelled *high contrast* ones; a small network on 128 features of each. The two styles draw
# the same 524 things. We give half of the things to the source and the other half to the target, so that no thing is on
# both sides.

# %%
emoji = dakit.load("emoji")
features = dakit.load("emoji_features")
styles = "noto", "fluent-emoji-high-contrast"
views.samples(
    emoji[styles[0]], emoji[styles[1]], per_class=1, title="Source and target"
)


# %%
def task(seed):
    rows = np.random.default_rng(seed).permutation(524)
    source, target = features[styles[0]], features[styles[1]]
    return bench.make_task(
        source.subset(rows[:262]),
        target.subset(rows[262:]),
        target_holdout=0.4,
        seed=seed,
    )


arms = {
    "source_only": {},
    "deep_coral": {},
    "deep_coral, features": {"layer": "features"},
    "homm": {},
    "homm, ramp": {"ramp": True},
    "cmd": {},
    "dan": {},
    "jan": {},
    "dsan": {},
}
course.predict(
    "emoji",
    "DSAN matches class by class, DAN matches the whole. Who gains more here?",
    options=["DAN", "DSAN", "no difference beyond the spread"],
)

# %%
options = {
    "steps": profile.pick(smoke=20, teach=300, full=2000),
    "lr": 0.05,
    "precision": "float32",
    "progress": False,
}
backbone = {"name": "mlp", "hidden": (64,)}
runs, rows = {}, []
for arm, given in arms.items():
    name = arm.split(",")[0]
    for s in seeds:
        t = task(s)
        method = methods.build(name, t.source, backbone=backbone, seed=s, **given)
        run = dakit.fit(method, t.source, t.target, seed=s, snapshots=2, **options)
        zs, zt = run.features(t.source_test), run.features(t.target_test)
        rows.append(
            {
                "method": arm,
                "source": run.evaluate(t.source_test).accuracy,
                "target": run.evaluate(t.target_test).accuracy,
                "MMD²": metrics.mmd(zs, zt),
                "A-distance": metrics.a_distance(zs, zt),
            }
        )
        runs[arm, s] = run
results = pd.DataFrame(rows).groupby("method", sort=False)
table = results.mean().round(3)
table["target, sd"] = results["target"].std(ddof=1).round(3)
table

# %%
if profile.name != "smoke":
    gaps = results["A-distance"].mean()
    assert gaps["dan"] < 1 < gaps["source_only"] < gaps["homm"]
accuracy = {arm: results.get_group(arm)["target"].to_numpy() for arm in arms}
gains = {arm: accuracy[arm] - accuracy["source_only"] for arm in list(arms)[1:]}
ahead = accuracy["dan"] - accuracy["dsan"]
clear = abs(ahead.mean()) > 2 * ahead.std(ddof=1) / len(ahead) ** 0.5
winner = "DAN" if ahead.mean() > 0 else "DSAN"
course.reveal("emoji", winner if clear else "no difference beyond the spread")
views.dots(
    {"gain": {arm: 100 * g.mean() for arm, g in gains.items()}},
    spread={"gain": {arm: 100 * g.std(ddof=1) for arm, g in gains.items()}},
    x_label="gain over source_only, points",
    line=0,
    title="What matching brought",
    note=f"Mean over {len(seeds)} seeds; bar: one standard deviation of the gains.",
)

# %% [markdown]
# ## Measure
#
# When this was written (profile `teach`, 4 seeds, target accuracy ± standard deviation): source_only 0.286 ± 0.017,
# deep_coral 0.398 ± 0.041 on logits and 0.414 ± 0.046 on features, homm 0.305 ± 0.008 (0.381 ± 0.050 with a growing
# weight), cmd 0.445 ± 0.024, dan 0.474 ± 0.030,
# jan 0.462 ± 0.005, dsan 0.383 ± 0.065. All but homm gain beyond
# the spread; dan, jan and cmd lie within each other's.
#
# Deep CORAL on features is not its default: it entered after trials whose printout showed target accuracies, and the
# curve over λ below uses it. So did the width of the network and the learning rate. Read those rows with that in mind.
#
# The last columns show what was reached. dan, jan and cmd bring the A-distance from 1.79 to about 0.4. HoMM matched third
# moments and little else: MMD² and A-distance are *larger* than without it. DSAN gains less than DAN. It weights target
# examples by its own predictions, and those begin at 0.29: it matches many wrong classes well. In its paper, predictions
# start from a network that was trained on ImageNet.
#
# `health` reads no target labels, and finds nothing wrong with either of these. It does not know that HoMM left the
# domains apart; the distances do.

# %%
runs["homm", 0].health()

# %%
runs["dan", 0].health()

# %% [markdown]
# Pictures of the features, for the seed 0, before and after. Move over a point to see it in the other panel.

# %%
run = runs["dan", 0]
views.alignment(
    run,
    ys=task(0).source.y[run.source_index],
    yt=task(0).target.y[run.target_index],
    classes=features.classes,
    titles=("step 0", "DAN, last step"),
    layout="pca",
)

# %% [markdown]
# ## The weight λ
#
# `fit` trains a whole curve in one call: several values of one hyper-parameter, each with several seeds, stacked into
# one vectorised pass.

# %%
weights = profile.pick(
    smoke=[0.1, 1.0], teach=[0.01, 0.1, 1.0, 10.0], full=[*10.0 ** np.arange(-3, 3)]
)
t = task(0)
curve, kept = {}, {}
for name, given in {"dan": {}, "deep_coral": {"layer": "features"}}.items():

    def make(seed, name=name, given=given, **swept):
        return methods.build(
            name, t.source, backbone=backbone, seed=seed, **given, **swept
        )

    many = dakit.fit(
        make,
        t.source,
        t.target,
        sweep={"lambda_": weights},
        seeds=3,
        snapshots=2,
        **options,
    )
    kept[name] = many
    for side, domain in {"source": t.source_test, "target": t.target_test}.items():
        curve[f"{name}, {side}"] = many.accuracies(domain).reshape(len(weights), 3)
views.ladder(
    np.log10(weights),
    curve,
    x_label="log10 of λ",
    y_label="accuracy",
    title="Accuracy by weight",
)

# %% [markdown]
# For DAN the target accuracy rises from 0.32 ± 0.02 at λ = 0.01 and ends at 0.46 ± 0.03 for 10, while the source's falls
# from 0.88 ± 0.02 to 0.79 ± 0.01: matching is paid for. This curve reads target labels, which you do not have.
# So let a **validator** choose: a score without target labels, named before anything is seen. We named `snd`, soft
# neighbourhood density, which likes target predictions that agree with their neighbours'.

# %%
chosen = []
for s in range(3):
    of_seed = {w: kept["dan"][3 * i + s] for i, w in enumerate(weights)}
    named = {f"{w:g}": run for w, run in of_seed.items()}
    pick = training.select(named, t.source_test, t.target, validator="snd")
    weight = next(w for w, run in of_seed.items() if run is pick)
    chosen.append((weight, pick.evaluate(t.target_test).accuracy))
print("picked λ and its target accuracy:", [(w, round(a, 3)) for w, a in chosen])
print("best on the curve:", curve["dan, target"].max(0).round(3))

# %% [markdown]
# It took λ = 0.01 for all three seeds, the worst value on the curve (0.324, 0.295 and 0.333, where 0.505, 0.476 and 0.562
# were to be had). Target predictions can agree with their neighbours and be wrong. There are other validators, and one
# of them will look good here; choosing it now would be choosing by target labels. The honest default is the paper's λ = 1.

# %% [markdown]
# ## Break it: classes in the wrong order
#
# Three classes on a circle. The target is the source, turned by an angle. At 120° it lies on top of the source, each
# class on another one: *every* measure of the whole clouds says 0. On the way there the nearest cluster stops being the
# right one at 60°.


# %%
def wheel(seed, degrees=0, shares=(1, 1, 1), n=240):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=np.array(shares) / sum(shares))
    angle = np.deg2rad(90 + 120 * y + degrees)
    x = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 0.35, (n, 2))
    return domains.from_arrays(x, y, name=f"{degrees}°", classes=("a", "b", "c"))


views.embedding(
    {"source": wheel(0), "turned by 50°": wheel(100, 50)},
    title="Three classes, turned by 50°",
)

# %%
course.predict(
    "order",
    "The target is turned by 65°. After DSAN, is the target accuracy "
    "higher or lower than before?",
    options=["higher", "lower", "the same within 0.05"],
)

# %%
angles = profile.pick(
    smoke=[20, 65], teach=[20, 50, 65, 80], full=[20, 35, 50, 65, 80, 100]
)
small = {"name": "mlp", "hidden": (32, 32)}
wheel_steps = profile.pick(smoke=60, teach=150, full=1000)


def turned(name, degrees, shares=(1, 1, 1)):
    """Target accuracy of one seed after the other."""
    found = []
    for s in seeds:
        source, target = wheel(s), wheel(s + 100, degrees, shares)
        method = methods.build(name, source, backbone=small, seed=s)
        settings = options | {"steps": wheel_steps, "batch_size": 48}
        run = dakit.fit(method, source, target, seed=s, snapshots=2, **settings)
        found.append(run.evaluate(wheel(s + 200, degrees, shares, n=600)).accuracy)
    return np.array(found)


names = ("source_only", "dan", "jan", "dsan")
by_angle = {name: np.array([turned(name, a) for a in angles]) for name in names}
asked = angles.index(65)
before, after = (by_angle[n][asked].mean() for n in ("source_only", "dsan"))
course.reveal(
    "order",
    "the same within 0.05"
    if abs(after - before) < 0.05
    else ("lower" if after < before else "higher"),
)
views.ladder(
    angles,
    by_angle,
    x_label="angle in degrees",
    y_label="target accuracy",
    limits=(0, 1.02),
    title="Turned by an angle, then adapted",
)

# %%
for name in names:
    row = [
        f"{a}°: {v.mean():.3f} ± {v.std(ddof=1):.3f}"
        for a, v in zip(angles, by_angle[name])
    ]
    print(f"{name:12}", "   ".join(row))

# %% [markdown]
# At 50° source_only has 0.780 ± 0.078, and all three matchers 0.998 or more. At 65° it has 0.275 ± 0.090, DAN and JAN 0.003
# ± 0.004, DSAN 0.087 ± 0.172.
#
# Below 60° all three matchers carry every point home. Above, all three carry nearly every point to the *wrong* class, and
# leave the loss at 0 and the predictions sure: what source_only still had is lost. Matching class by class does not help
# either. JAN and DSAN know the target's classes from the classifier alone, and it names the nearest cluster. They make a
# good start better and a bad one worse.
#
# ### Class proportions
#
# And the other way round: a mild angle, where all is well, but in the target eight of class *a* for one of each other.

# %%
shares = (8, 1, 1)
uneven = {name: turned(name, angles[0], shares) for name in names}
even = {name: by_angle[name][0] for name in names}
if profile.name != "smoke":
    assert uneven["dan"].mean() < 0.9 < uneven["dsan"].mean()
for name in names:
    u, e = uneven[name], even[name]
    print(
        f"{name:12} equal shares {e.mean():.3f} ± {e.std(ddof=1):.3f}   "
        f"8 : 1 : 1 {u.mean():.3f} ± {u.std(ddof=1):.3f}"
    )

# %% [markdown]
# Here class by class pays. With eight of class *a* for one of each other, DAN falls from 1.000 to 0.671 ± 0.073 and JAN to
# 0.797 ± 0.092; source_only and DSAN stay at 1.000. To make the whole clouds alike, DAN has to lay points of the common
# class onto the rare ones. DSAN gives each class the same weight on both sides, whatever its share.
#
# ## Exercises
#
# **1.** Deep CORAL from scratch: $\lVert C_s - C_t\rVert_F^2 / (4 d^2)$, with $n - 1$ in the covariances.


# %%
def coral(xs, xt):
    """Two arrays of shape (n, d) and (m, d) to one number."""
    # solution: squared distance of the covariances over 4 d²
    d = xs.shape[1]
    return np.sum((np.cov(xs.T) - np.cov(xt.T)) ** 2) / (4 * d**2)
    # end solution


course.check("discrepancy.coral", coral)

# %%
# course.hint("discrepancy.coral")
# course.solution("discrepancy.coral")

# %% [markdown]
# **2.** One term of CMD: the distance of the central moments of order $k \ge 2$, for features in an interval of width
# $w$: $\lVert c_k(x_s) - c_k(x_t) \rVert / w^k$ with $c_k(x) = \mathrm{mean}\,(x - \mathrm{mean}\,x)^k$ per feature.


# %%
def cmd_term(xs, xt, order, width):
    """Distance of the central moments of one order."""
    # solution: a Euclidean norm, not squared, over width ** order
    a = ((xs - xs.mean(0)) ** order).mean(0)
    b = ((xt - xt.mean(0)) ** order).mean(0)
    return np.linalg.norm(a - b) / width**order
    # end solution


course.check("discrepancy.cmd_term", cmd_term)

# %%
# course.hint("discrepancy.cmd_term")
# course.solution("discrepancy.cmd_term")

# %% [markdown]
# **3.** The weights of DSAN. From source labels (n,) and target probabilities (m, k): $w_{ic} = [y_i = c] / \sum_i [y_i
# = c]$ and $v_{jc} = p_{jc} / \sum_j p_{jc}$. Every class is there on both sides.


# %%
def class_weights(ys, pt):
    """Weights (n, k) of the source and (m, k) of the target; each column sums to 1."""
    # solution: one-hot labels and probabilities, divided by their column sums
    w = np.eye(pt.shape[1])[ys]
    return w / w.sum(0), pt / pt.sum(0)
    # end solution


course.check("discrepancy.class_weights", class_weights)

# %%
# course.hint("discrepancy.class_weights")
# course.solution("discrepancy.class_weights")

# %% [markdown]
# **4.** Hide from CORAL. Given a skewed cloud `x` of shape (n, d), return another cloud of the same shape with the
# *same* mean and the *same* covariance, and with all central third moments turned round in sign.


# %%
def invisible(x):
    """Same mean, same covariance, opposite third moments."""
    # solution: a cloud of shape (n, d)
    return 2 * x.mean(0) - x
    # end solution


course.check("discrepancy.invisible", invisible)

# %%
# course.hint("discrepancy.invisible")
# course.solution("discrepancy.invisible")

# %% [markdown]
# **5.** Open question. `twemoji | emojione` are much closer than our pair. Predict the gains of `deep_coral` and `dan`
# there, change `styles`, and run again.
#
# ## What the papers report, what was reproduced here, what was not
#
# - *The papers* report accuracy on image benchmarks (Office-31, digits, Amazon reviews for CMD) with large networks, most
#   of them trained on ImageNet before. None of these was run here.
# - *Reproduced*: the losses, checked above against code by hand and in the library's tests; that matching helps on a real
#   shift of style, on every method's average; that CORAL needs no kernel and does less than MMD here.
# - *Not reproduced*: that HoMM improves on CORAL, and DSAN on DAN, as their papers report. Both did worse on these emoji,
#   with 210 labelled examples and default weights.
# - *Differences*: DAN with equal weights of its kernels and all pairs of a batch; HoMM without its second part; one hidden
#   layer of 64 units; Deep CORAL on
#   features too, where the paper takes the logits; its weight, as all weights here, is the default and was not tuned.
#
# ## References
#
# - M. Long, Y. Cao, J. Wang, M. Jordan, *Learning transferable features with deep adaptation networks*, ICML 2015,
#   [arXiv:1502.02791](https://arxiv.org/abs/1502.02791).
# - B. Sun, K. Saenko, *Deep CORAL: correlation alignment for deep domain adaptation*, ECCV workshops 2016,
#   [arXiv:1607.01719](https://arxiv.org/abs/1607.01719).
# - M. Long, H. Zhu, J. Wang, M. Jordan, *Deep transfer learning with joint adaptation networks*, ICML 2017,
#   [arXiv:1605.06636](https://arxiv.org/abs/1605.06636).
# - W. Zellinger et al., *Central moment discrepancy (CMD) for domain-invariant representation learning*, ICLR 2017,
#   [arXiv:1702.08811](https://arxiv.org/abs/1702.08811).
# - C. Chen et al., *HoMM: higher-order moment matching for unsupervised domain adaptation*, AAAI 2020,
#   [arXiv:1912.11976](https://arxiv.org/abs/1912.11976).
# - Y. Zhu et al., *Deep subdomain adaptation network for image classification*, IEEE TNNLS 32 (2021),
#   [arXiv:2106.09388](https://arxiv.org/abs/2106.09388).
# - A. Gretton et al., *A kernel two-sample test*, JMLR 13 (2012), 723-773.
#
# Next: *2_align/05 Adversaries* returns to two players.

# %%
course.provenance()
