# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # DANN: features that no one can tell apart
#
# > You will build the gradient reversal by hand, adapt a classifier with it, and learn to tell invariance from a
# > discriminator that has given up.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 45 minutes to read, about 2 minutes to run on 2 CPU cores |
# | Memory | 0.8 GB |
# | Needs | *00 Start here*, *1_shift/02 Distances*; PyTorch, and what a gradient is |
# | Data | two moons (generated), sentence vectors, MNIST at 16×16 (CC-BY-SA-3.0), two photographs of scikit-learn |
#
# Two moons (circles), and the same two moons turned by 35° (triangles). Only the circles have labels. Can the
# triangles, without one label, help to classify themselves?

# %%
import math

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy

import dakit
from dakit import bench, course, domains, methods, metrics, models, views
from dakit.domains import shifts

profile = course.setup(seed=0)


def moons(seed, degrees=0, n=300, upper=0.5):
    """Two moons, turned about their centre; `upper` is the share of the upper one."""
    sizes = round(n * upper), n - round(n * upper)
    x, y = make_moons(sizes, noise=0.1, random_state=seed)
    here = domains.from_arrays(
        x - [0.5, 0.25], y, name="moons", classes=("upper", "lower")
    )
    return shifts.rotation(here, degrees)


views.embedding(
    {"source": moons(0), "turned by 35°": moons(100, 35)}, title="Two domains"
)

# %% [markdown]
# ## Predict
#
# A network with 15 hidden units learns the circles nearly without a mistake.

# %%
course.predict(
    "turned",
    "How many of the turned points will it get wrong? Guessing gets half of them wrong.",
    between=(0, 100),
    unit="%",
)

# %% [markdown]
# The next cell trains on the source alone, for several seeds. Everything random (the moons, the weights, the batches)
# is new for each seed, and errors are counted on 1,000 points that took no part in training.

# %%
seeds = range(profile.pick(smoke=2, teach=5, full=10))
moon_steps = profile.pick(smoke=100, teach=1500, full=5000)
shallow = {"name": "mlp", "hidden": (15,), "activation": "sigmoid"}
papers_choice = {"lambda_": 6.0, "ramp": False, "hidden": 0, "anneal": False}


def train(name, seed, degrees, upper=0.5, **hyperparameters):
    """Fit a method on moons; returns the run and its error on new target points."""
    source, target = moons(seed), moons(seed + 100, degrees, upper=upper)
    method = methods.build(name, source, backbone=shallow, seed=seed, **hyperparameters)
    options = {"lr": 0.1, "seed": seed, "snapshots": 2, "progress": False}
    run = dakit.fit(
        method, source, target, steps=moon_steps, precision="float32", **options
    )
    test = moons(seed + 200, degrees, n=1000, upper=upper)
    return run, 1 - run.evaluate(test).accuracy


plain = [train("source_only", seed, 35) for seed in seeds]
right = [run.evaluate(moons(s + 300)).accuracy for s, (run, _) in zip(seeds, plain)]
print(f"new points of the source: {1 - np.mean(right):.1%} wrong")
course.reveal("turned", 100 * np.mean([error for _, error in plain]))

# %% [markdown]
# ## The idea
#
# In words: a second network, the **discriminator**, looks at the features and learns to say which domain a point came
# from. The features learn to deny it that, and to serve the labels all the same. If the two domains cannot be told
# apart, a classifier that works on one has a reason to work on the other.
#
# In one formula, with features $f = G_f(x)$, label head $G_y$ and discriminator $G_d$ (source 0, target 1):
#
# $$\min_{G_f, G_y}\ \max_{G_d}\quad \underset{S}{\mathrm{mean}}\ \mathrm{CE}(G_y(f), y) \;-\; \lambda \Big[
# \underset{S}{\mathrm{mean}}\ \mathrm{BCE}(G_d(f), 0) + \underset{T}{\mathrm{mean}}\ \mathrm{BCE}(G_d(f), 1) \Big]$$
#
# One minimises what the other maximises. The trick of the paper is a layer that makes a single minimiser play both
# roles: **gradient reversal** is the identity forward, and multiplies the gradient by $-\lambda$ on its way back.
# Placed between features and discriminator, the discriminator descends its loss and the features climb it.
#
# The bound behind it: target error ≤ source error + how far apart the domains are (as a classifier sees it) + the
# error of the best classifier for both. DANN shrinks the first two. Remember the third.
#
# ## The method's own file
#
# First the reversal, then the method. The whole file, with what it assumes and when it fails, is
# `dakit/methods/align/dann.py`.

# %%
course.source("dakit.models.layers._Reverse", docstring=False)

# %%
course.source(methods.DANN, docstring=False)

# %% [markdown]
# Three things to notice. The label loss reads `source.y` and nothing of the target. `lambda_` sits in the reversal
# and nowhere else, so the discriminator learns at full strength whatever λ is. Both schedules are two lines.
#
# ## From scratch
#
# Is one minimiser with a reversal really the two-player game? Take tiny networks and compare gradients. First the
# reversal, written with `detach`: forward the two terms add up to $f$, backward only the first one counts.

# %%
generator = torch.Generator().manual_seed(0)
xs, xt = (torch.randn(8, 2, generator=generator) for _ in range(2))
ys = torch.tensor([0, 1] * 4)
G_f, G_y, G_d = nn.Linear(2, 4), nn.Linear(4, 2), nn.Linear(4, 1)
lambda_ = 0.7


def losses_of(f_source, f_target, through=lambda f: f):
    label = cross_entropy(G_y(f_source), ys)
    source, target = G_d(through(f_source)), G_d(through(f_target))
    domain = bce(source, torch.zeros(8, 1)) + bce(target, torch.ones(8, 1))
    return label, domain


def gradients(loss, players):
    return torch.autograd.grad(loss, [p for net in players for p in net.parameters()])


label, domain = losses_of(
    G_f(xs), G_f(xt), through=lambda f: -lambda_ * f + (1 + lambda_) * f.detach()
)
one_minimiser = gradients(label + domain, [G_f, G_y, G_d])

# %% [markdown]
# Now the two players by hand: features and label head descend `label - lambda_ * domain`, the discriminator descends
# `domain`.

# %%
label, domain = losses_of(G_f(xs), G_f(xt))
features_and_labels = torch.autograd.grad(
    label - lambda_ * domain, [*G_f.parameters(), *G_y.parameters()], retain_graph=True
)
discriminator = gradients(domain, [G_d])
by_hand = [*features_and_labels, *discriminator]
assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one_minimiser, by_hand))

# The library's layer does the same.
label, domain = losses_of(
    G_f(xs), G_f(xt), lambda f: models.gradient_reversal(f, lambda_)
)
library = gradients(label + domain, [G_f, G_y, G_d])
assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(library, by_hand))

# A popular mistake: minimise label - lambda_ * domain over all parameters, reversal or not.
label, domain = losses_of(G_f(xs), G_f(xt))
mistaken = gradients(label - lambda_ * domain, [G_f, G_y, G_d])[-2:]
print("discriminator should go ", discriminator[0].numpy().round(3))
print("and by mistake it goes  ", mistaken[0].numpy().round(3))
assert torch.allclose(mistaken[0], -lambda_ * discriminator[0], atol=1e-6)

# %% [markdown]
# The mistake pulls the discriminator the wrong way: it is trained to be mistaken, and whoever fools it learns
# nothing.
#
# ## Run it: moons
#
# Settings of the paper's shallow experiment: 15 sigmoid units, λ = 6 all along, a logistic discriminator. Three
# angles, and as many seeds as above.

# %%
angles = profile.pick(smoke=[35], teach=[20, 35, 50], full=[10, 20, 30, 35, 40, 50])
errors, kept = {}, {}
for degrees in angles:
    for name, options in {"source_only": {}, "dann": papers_choice}.items():
        runs = [train(name, seed, degrees, **options) for seed in seeds]
        errors[degrees, name] = np.array([error for _, error in runs])
        kept[degrees, name] = [run for run, _ in runs]
for (degrees, name), e in errors.items():
    print(
        f"{degrees}°  {name:12} error {e.mean():.3f} ± {e.std(ddof=1):.3f}  {e.round(2)}"
    )

# %% [markdown]
# When this was written (profile `teach`, 5 seeds, mean ± standard deviation): at 20° the error fell from 0.098 ±
# 0.055 to 0.025 ± 0.019, at 35° from 0.238 ± 0.030 to 0.136 ± 0.119, at 50° from 0.429 ± 0.039 to 0.384 ± 0.090,
# which is within its spread. Look at the single seeds too: DANN is a game, and some games go wrong. The paper shows
# one run at 35°; one run can show anything.


# %%
def boundary(runs, degrees=35, seed=0):
    """Where each run draws its line, with the points of both domains."""
    axis = np.linspace(-2, 2, 200)
    grid = torch.tensor(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)).float()

    def draw(narrow):
        figure = Figure(figsize=(4, 7.6) if narrow else (8, 3.9), layout="constrained")
        panels = figure.subplots(
            *(2, 1) if narrow else (1, 2), sharex=True, sharey=True
        )
        for ax, (name, run) in zip(panels, runs.items()):
            side = run.predict(grid).reshape(200, 200)
            ax.contourf(
                axis, axis, side, levels=[-0.5, 0.5, 1.5], colors=["#DCEBF5", "#FBE8DC"]
            )
            for domain, marker in (
                (moons(seed), "o"),
                (moons(seed + 100, degrees), "^"),
            ):
                for c, colour in enumerate(("#0072B2", "#D55E00")):
                    x = domain.x[domain.y == c]
                    fill = colour if marker == "o" else "none"
                    ax.scatter(
                        *x.T, 14, marker=marker, facecolors=fill, edgecolors=colour
                    )
            ax.set_title(name)
            ax.set_aspect("equal")
        return figure

    alt = "Two panels with the decision regions of " + " and ".join(runs)
    alt += f". Source moons are filled circles, target moons, turned by {degrees}°, open triangles."
    return views.View("What each network learned", alt, draw)


best = int(np.argmin(errors[35, "dann"]))
worst = int(np.argmax(errors[35, "dann"]))
boundary(
    {"source_only": kept[35, "source_only"][best], "dann": kept[35, "dann"][best]},
    seed=best,
)

# %% [markdown]
# That was the seed on which DANN did best. This is the one on which it did worst; a report that shows only the first
# picture is no report.

# %%
boundary(
    {"source_only": kept[35, "source_only"][worst], "dann": kept[35, "dann"][worst]},
    seed=worst,
)

# %% [markdown]
# ### Every seed
#
# One line a seed, from the network without alignment to DANN. A method that always helps would have lines that only
# fall.


# %%
def by_seed(errors):
    """Errors before and after, joined seed by seed, one panel an angle."""

    def draw(narrow):
        size = (4, 2.4 * len(angles)) if narrow else (8, 3.2)
        figure = Figure(figsize=size, layout="constrained")
        grid = (len(angles), 1) if narrow else (1, len(angles))
        panels = np.atleast_1d(figure.subplots(*grid, sharey=True))
        for ax, degrees in zip(panels, angles):
            pairs = np.stack([errors[degrees, n] for n in ("source_only", "dann")])
            for before, after in pairs.T:
                falls = after < before
                style = (
                    {"color": "#0072B2"} if falls else {"color": "#D55E00", "ls": "--"}
                )
                ax.plot(["source_only", "dann"], [before, after], marker="o", **style)
            ax.plot([0, 1], pairs.mean(axis=1), "k_", ms=24)
            ax.margins(x=0.25)
            ax.set_title(f"{degrees}°")
        panels[0].set_ylabel("target error")
        panels[0].set_ylim(bottom=0)
        return figure

    alt = "Target error of each seed without and with DANN, one panel an angle; "
    alt += "blue lines fall, dashed orange lines rise, black bars are means. "
    for degrees in angles:
        rose = (errors[degrees, "dann"] >= errors[degrees, "source_only"]).sum()
        alt += f"At {degrees}°, {rose} of {len(seeds)} rise. "
    return views.View("Errors, seed by seed", alt, draw)


by_seed(errors)

# %% [markdown]
# Is it the batches? The paper's algorithm takes one source point and one target point a step. The repository has it,
# compiled (`benchmarks/tables/moons.py`), and its script printed, with the authors' own moons at 35°, 500 passes and
# their seeds 42, 0 and 1: 82.7, 82.0 and 83.3 % right without alignment, 97.3, 96.0 and 89.3 % with it. The authors'
# program prints the same five numbers, and 93.3 for the last. Why not the same sixth? Multiply all points by
# 1 + 10⁻¹⁴ z with z drawn from a normal distribution: the plain network does not move, and DANN at seed 1 ends anywhere
# from 88.7 to 93.3 %. A game with two players can blow up a rounding error until you see it.
#
# And is it the discriminator? `benchmarks/cards/06.py` trains on ten draws of moons, with 1,000 new points of the target
# to judge (300 passes, mean ± standard deviation of the error):
#
# | | 35° | 50° |
# | --- | --- | --- |
# | network, point by point | 0.212 ± 0.040 | 0.475 ± 0.046 |
# | DANN, point by point, as in the paper | 0.143 ± 0.071 | 0.307 ± 0.099 |
# | network, 50 points a step | 0.219 ± 0.017 | 0.430 ± 0.028 |
# | DANN, 50 points a step, logistic discriminator | 0.146 ± 0.068 | 0.353 ± 0.114 |
# | DANN, 50 points a step, discriminator with 100 hidden units | 0.091 ± 0.018 | 0.115 ± 0.017 |
#
# Point by point or in batches, the logistic discriminator leaves a spread of 0.07 to 0.11. A discriminator with a hidden
# layer, which the paper has in its deep networks only, takes most of it away: a stronger opponent makes the game
# steadier here. Try it: `papers_choice | {"hidden": 100}`.
#
# ## Run it: text
#
# The paper began with text: reviews of books, DVDs, electronics and kitchen appliances, good or bad, as counts of
# 5,000 words. Words that praise a knife do not praise a novel. Here we take what comes with dakit: 2,000 sentences each
# of tweets, movie reviews, product reviews and editorials, negative or positive, as frozen vectors of a language model
# (128 numbers). The network is the paper's for text: one hidden layer of 50 sigmoid units, a logistic discriminator,
# λ = 0.1 all along. With λ = 0 the reversal is shut, which is the plain network. A third weight, 1, is there to see
# what ten times as much does.

# %%
course.predict(
    "text",
    "DANN with λ = 0.1: how many points of accuracy will it gain on the target, "
    "on average over two pairs?",
    between=(-5, 20),
    unit=" points",
)

# %%
sentiment = dakit.load("sentiment")
text_pairs = [("tweets", "movies"), ("amazon", "movies")]
for_text = {"name": "mlp", "hidden": (50,), "activation": "sigmoid"}


def read(source, target, lambda_, seed):
    """Accuracy on unseen sentences of both domains; A-distance of the features."""
    task = bench.make_task(sentiment[source], sentiment[target], seed=seed)
    options = {**papers_choice, "lambda_": lambda_, "seed": seed}
    run = dakit.fit(
        methods.build("dann", task.source, backbone=for_text, **options),
        task.source,
        task.target.unlabeled(),
        steps=profile.pick(smoke=20, teach=400, full=2000),
        lr=0.2,
        seed=seed,
        precision="float32",
        snapshots=2,
        snapshot_size=800,
        progress=False,
    )
    last = run.snapshots[-1]
    return {
        "source": run.evaluate(task.source_test).accuracy,
        "target": run.evaluate(task.target_test).accuracy,
        "A-distance": metrics.a_distance(last.source_features, last.target_features),
    }


text = pd.DataFrame(
    {"pair": " → ".join(pair), "λ": lambda_, "seed": seed} | read(*pair, lambda_, seed)
    for pair in text_pairs
    for lambda_ in (0.0, 0.1, 1.0)
    for seed in seeds
)
text.drop(columns="seed").groupby(["pair", "λ"], sort=False).agg(["mean", "std"]).round(
    3
)

# %%
right = text.pivot(index=["pair", "seed"], columns="λ", values="target")
gains = 100 * (right[0.1] - right[0.0])
print("gain of each seed in points:", gains.round(1).tolist())
course.reveal("text", gains.mean())
if profile.name != "smoke":
    assert abs(gains.mean()) < 5, "the text says that little is gained"

# %% [markdown]
# When this was written (profile `teach`, 5 seeds): 0.7 points, with single seeds between -1.5 and 4.4. With λ = 0.1
# the accuracy went from 69.4 ± 0.9 to 69.7 ± 0.5 % on tweets → movies and from 70.3 ± 3.4 to 71.4 ± 2.0 % on amazon →
# movies, and the A-distance did not fall at all. λ = 1 broke amazon → movies: 54.8 ± 9.2 % on the target. You need no
# target label to see that, for the accuracy on the *source* went down with it, from 80.2 to 61.5 %. The rate, 0.2, is
# the one of 0.05 and 0.2 with the better source accuracy of the plain network (88.4 against 86.9 % on tweets, 81.0
# against 78.5 % on amazon, 3 seeds). It matters: at 0.05, tweets → movies went from 65.7 ± 2.1 to 71.3 ± 0.9 %, while
# amazon → movies gained one point again.
#
# That is close to what the paper has: over its twelve pairs of reviews the mean accuracy is 76.1 % for the plain
# network and 76.3 % for DANN. We have the table repeated on the authors' data (`benchmarks/tables/amazon_reviews.py`;
# the reviews are not in dakit). What that script printed, means of twelve pairs, one seed:
#
# | | measured | published | mean gap of a cell |
# | --- | --- | --- | --- |
# | network on words | 76.07 | 76.08 | 0.55 |
# | linear support vector machine on words | 76.23 | 75.97 | 0.81 |
# | DANN on words | 76.30 | 76.28 | 0.84 |
# | network on mSDA features | 79.81 | 80.27 | 0.7 |
# | DANN on mSDA features | 80.20 | 81.32 | 1.2 |
#
# So the averages on words come out within 0.3 points, and the last row does not: it misses by 1.1. Most of the gain
# on text comes from the features (mSDA learns them from both domains, without labels), not from the game on top.
#
# ## Run it: images
#
# The paper's first image experiment is MNIST → MNIST-M: digits on black, and digits blended with photographs (the
# absolute difference of the two). We take half of MNIST at 16×16 as the source and blend the other half. No digit
# is on both sides.

# %%
mnist = dakit.load("digits")["mnist"]


def task(seed):
    """Half of MNIST as it is, the other half on photographs; each with a part held out."""
    source, other = mnist.split(0.5, seed=seed)
    return bench.make_task(
        source, shifts.apply(other, "background", 1.0, seed=seed), seed=seed
    )


here = task(seed=0)
views.samples(
    here.source, here.target, per_class=2, title="MNIST and MNIST on photographs"
)

# %%
course.predict(
    "fresh",
    "At the end the discriminator is right about half of the time. You take the same "
    "features and train a new classifier to tell the domains apart. How often will it "
    "be right?",
    between=(50, 100),
    step=1,
    unit="%",
)

# %%
backbone = {"name": "lenet", "width": 16, "features": 64, "norm": "group"}
result = bench.compare(
    task,
    ["source_only", "dann"],
    seeds=profile.pick(smoke=2, teach=3, full=10),
    steps=profile.pick(smoke=20, teach=1500, full=20000),
    lr=0.05,
    backbone=backbone,
    snapshots=4,
    snapshot_size=300,
    progress=False,
)
result.table()[
    ["source_accuracy", "target_accuracy", "target_accuracy_sd", "mmd", "a_distance"]
].round(3)

# %% [markdown]
# ## Look
#
# The live view: features of both domains at four moments of training, on one fixed map. Move its slider from the
# first step to the last.

# %%
run = result.runs["dann", 0]
task_of_run = result.tasks[0]
views.embedding(
    run,
    ys=task_of_run.source.y[run.source_index],
    yt=task_of_run.target.y[run.target_index],
    classes=mnist.classes,
    layout=profile.pick(smoke="pca", teach="umap", full="umap"),
)

# %%
views.history(
    run, columns=["label", "domain", "discriminator_accuracy", "source_accuracy"]
)

# %% [markdown]
# ## Measure
#
# The domain loss settles near 2 ln 2 = 1.386, the loss of a discriminator that always says one half, and the
# discriminator's accuracy is near one half. It is tempting to conclude that the domains cannot be told apart any
# more. Ask someone new: a **fresh** classifier, trained on frozen features and judged on points that it has not seen.

# %%
last = run.snapshots[-1]
fresh = metrics.a_distance_estimate(last.source_features, last.target_features)
print(
    f"the discriminator of DANN is right on {run.history['discriminator_accuracy'].iloc[-1]:.0%}"
)
print(f"a fresh one is right on {1 - fresh.error:.0%}: A-distance {fresh.value:.2f}")
course.reveal(
    "fresh",
    100 * (1 - fresh.error),
    because="The discriminator lost the race; it did not run out of signal.",
)

# %% [markdown]
# **A domain loss at chance is not invariance.** A discriminator that never learned is at chance too. Here is one
# that was never even trained, on features of `source_only`, which nobody has tried to align:

# %%
plain_run = result.runs["source_only", 0].snapshots[-1]
lazy = nn.Linear(plain_run.source_features.shape[1], 1)
nn.init.zeros_(lazy.weight)
says = [
    lazy(torch.from_numpy(f))
    for f in (plain_run.source_features, plain_run.target_features)
]
untrained = bce(says[0], torch.zeros_like(says[0])) + bce(
    says[1], torch.ones_like(says[1])
)
apart = metrics.a_distance(plain_run.source_features, plain_run.target_features)
print(f"domain loss {untrained.item():.3f}, and 2 ln 2 = {2 * math.log(2):.3f}")
print(f"A-distance by a fresh classifier: {apart:.2f} of 2")

# %% [markdown]
# There is a third way to chance, and a fresh classifier does not see it. In `benchmarks/cards/06.py` (optdigits → MNIST)
# one seed of five collapsed: all features equal, domain loss 1.386, A-distance 0.00, as good as it gets. The source
# accuracy was 10 %. Look at it first; it needs no target label.
#
# `health` asks these questions for you, without target labels either:

# %%
run.health()

# %%
gain = result.gain("dann")
print(
    "gain of dann over source_only, seed by seed:",
    [round(g, 3) for g in gain["per_seed"]],
)

# %% [markdown]
# So why does it help at all, if the domains can still be told apart? A likely reason: it suffices that the classes
# lie together in the directions that the label head looks at. Invariance in *all* directions would be enough for
# the bound; it is not what training reaches, and it is not what the target needs.
#
# ## Break it
#
# The third term of the bound is the error of the best classifier for both domains, and making features invariant
# can make it worse. Take the moons at 20°, where DANN was at its best, and let the target hold one upper point for
# nine lower ones, or nine for one. To make the two clouds alike, points of one moon now *have to* be laid onto the
# other.

# %%
angle, more_seeds = angles[0], range(profile.pick(smoke=2, teach=8, full=20))
harm = []
for upper in (0.1, 0.9):
    e = {}
    for name, options in {"source_only": {}, "dann": papers_choice}.items():
        e[name] = [train(name, s, angle, upper, **options)[1] for s in more_seeds]
    harm.append(np.subtract(e["dann"], e["source_only"]))
    print(f"{upper:.0%} upper: error {np.mean(e['source_only']):.3f} before", end=", ")
    print(f"{np.mean(e['dann']):.3f} after; harm done by seed {harm[-1].round(2)}")
balanced = errors[angle, "dann"] - errors[angle, "source_only"]
print(f"equal shares: {balanced.mean():+.3f} on average; unequal: {np.mean(harm):+.3f}")

# %% [markdown]
# Same moons, same angle, other shares: on average the method that was right is now worse than doing nothing (when
# this was written the error rose by 0.054, and fell by 0.074 with equal shares). Before you align, ask whether the
# class shares may differ; part 3 shows how to estimate them without labels.
#
# ## Exercises
#
# **1.** Write the layer. `x` goes through unchanged; what comes back is multiplied by `-lambda_`.


# %%
def reverse(x, lambda_):
    """x forward, -lambda_ times the gradient backward."""
    # solution: identity forward, -lambda_ times the gradient backward
    return -lambda_ * x + (1 + lambda_) * x.detach()
    # end solution


course.check("dann.reverse", reverse)

# %%
# course.hint("dann.reverse")
# course.solution("dann.reverse")

# %% [markdown]
# **2.** For deep networks λ is not constant: at the start the discriminator knows nothing, and its advice would
# only shake the features. Write the paper's ramp.


# %%
def lambda_at(progress):
    """Weight of the reversed gradient at progress 0 ... 1."""
    # solution: 2 / (1 + exp(-10 p)) - 1
    return 2 / (1 + math.exp(-10 * progress)) - 1
    # end solution


if course.check("dann.lambda_at", lambda_at).passed:
    theirs = methods.build("dann", here.source, backbone=backbone).lambda_at
    print(
        "as in the library:",
        all(math.isclose(lambda_at(p), theirs(p)) for p in (0, 0.3, 1)),
    )

# %%
# course.hint("dann.lambda_at")
# course.solution("dann.lambda_at")

# %% [markdown]
# **3.** What does a domain loss prove? Let the features take only k values, with shares `p` in the source and `q` in
# the target, all above 0. A discriminator is then k numbers: the probability of "target" that it gives to each value.
# Return the smallest domain loss that a discriminator can reach. As in the formula, it is the *sum* of the mean over
# the source and the mean over the target.


# %%
def least_loss(p, q):
    """Domain loss, in nats, of the best discriminator for shares p (source) and q (target)."""
    # solution: it says "target" with probability q / (p + q)
    says_target = q / (p + q)
    return -(p * np.log(1 - says_target)).sum() - (q * np.log(says_target)).sum()
    # end solution


if course.check("dann.least_loss", least_loss).passed:
    for share in (0.5, 0.7, 0.9):
        p, q = np.array([share, 1 - share]), np.array([1 - share, share])
        print(
            f"shares {p.round(1)} and {q.round(1)}: at best {least_loss(p, q):.3f},",
            f"always one half {2 * math.log(2):.3f}",
        )

# %%
# course.hint("dann.least_loss")
# course.solution("dann.least_loss")

# %% [markdown]
# **4.** Put λ in both places: as the layer's `lambda_` *and* as a factor of the domain loss. Which weight do the
# features get, which the discriminator? Why is that no longer one knob? (Write it down, then check with the
# gradients above.)
#
# **5.** Take digits 0, 1 and 2 alone as the target of the image task (`other.subset(other.y < 3)`) and run it again.
# Predict the gain first.
#
# ## What the paper reports, and what was reproduced
#
# | | source only | DANN | on target labels |
# | --- | --- | --- | --- |
# | MNIST → MNIST-M, paper | 52.3 | 76.7 | 96.0 |
# | MNIST → MNIST on photographs, here (3 seeds, mean ± sd) | 55.1 ± 0.8 | 60.3 ± 2.5 | not run here |
# | reviews, 12 pairs, words, paper | 76.1 | 76.3 | not given |
# | reviews, 12 pairs, words, the repository's script (one seed) | 76.1 | 76.3 | not run |
# | reviews, 12 pairs, mSDA features, paper | 80.3 | 81.3 | not given |
# | reviews, 12 pairs, mSDA features, the repository's script (one seed) | 79.8 | 80.2 | not run |
# | moons at 35°, the authors' program, accuracy (3 seeds) | 82.7, 82.0, 83.3 | 97.3, 96.0, 93.3 | |
# | moons at 35°, the repository's script (same seeds) | 82.7, 82.0, 83.3 | 97.3, 96.0, 89.3 | |
# | moons at 35°, here in batches, error (5 seeds) | 0.238 ± 0.030 | 0.136 ± 0.119 | |
#
# *Reproduced*: the effect, on every seed (gains of 0.046, 0.073 and 0.036), though a fifth of the paper's in size; the
# reversal, both schedules, the label loss on the source alone, the distance by a fresh classifier; instability from
# seed to seed, which the paper does not show.
#
# *Not reproduced*: the absolute numbers. *Differences*: 2,000 source digits of 16×16 instead of 60,000 of 28×28;
# crops of two photographs instead of the BSDS500 set; 1,500 steps of 64 + 64 (and on the moons batches, where the
# paper goes point by point); a narrower network with group normalisation, which the paper's has not; learning rate
# 0.05 instead of 0.01. Rate and normalisation were chosen without target labels: of rates 0.01 and 0.05 with group or
# batch normalisation these gave the smallest A-distance (0.71 against 1.32 to 1.57, two seeds) at the same source
# accuracy. A pilot that looked at target accuracy had liked batch normalisation better: choosing by labels that one
# does not have would have made the gain look three times as large.
#
# ## References
#
# - Y. Ganin, E. Ustinova, H. Ajakan, P. Germain, H. Larochelle, F. Laviolette, M. Marchand, V. Lempitsky,
#   *Domain-adversarial training of neural networks*, JMLR 17 (2016),
#   [arXiv:1505.07818](https://arxiv.org/abs/1505.07818).
# - S. Ben-David, J. Blitzer, K. Crammer, A. Kulesza, F. Pereira, J. Vaughan, *A theory of learning from different
#   domains*, Machine Learning 79 (2010),
#   [doi.org/10.1007/s10994-009-5152-4](https://doi.org/10.1007/s10994-009-5152-4).
# - H. Zhao, R. Tachet des Combes, K. Zhang, G. Gordon, *On learning invariant representations for domain adaptation*,
#   ICML 2019, [arXiv:1901.09453](https://arxiv.org/abs/1901.09453): why equal features can be wrong under label shift.

# %%
course.provenance()
