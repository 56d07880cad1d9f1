# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Start here: a domain gap, seen and half closed
#
# > You will watch a classifier fail on drawings of things it knows, measure why, and win part of it back without a
# > single new label.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 10 minutes to read, about 1 minute to run on 2 CPU cores |
# | Memory | 0.8 GB |
# | Needs | a little Python, and an idea of what training a classifier means |
# | Data | emoji in several drawing styles (MIT, Apache-2.0 and CC-BY-4.0, see `data/emoji.md`) |
#
# Load, look, measure, adapt, believe: the five steps of every chapter, once in small. Run the cells in order with
# Shift+Enter.

# %%
import numpy as np

import dakit
from dakit import bench, course, domains, methods, metrics, views

profile = course.setup(seed=0)
emoji = dakit.load("emoji")
noto, contrast = emoji["noto"], emoji["fluent-emoji-high-contrast"]
views.samples(noto, contrast, per_class=2)

# %% [markdown]
# ## Look
#
# Ten classes, two artists. The upper rows are **noto**, Google's shaded colour emoji. The lower rows are
# **fluent-emoji-high-contrast**, Microsoft's black-and-white ones. You had no trouble with either.
#
# A data set from one such source is a **domain**. Train where there are labels (the **source**), use where there are
# none (the **target**): when the two differ, that is a **domain shift**.
#
# We describe each picture by 128 numbers, made by a network that was trained on photographs and is kept frozen. On
# these numbers we train a small classifier with noto, whose labels we may use. Half of the things go to the source
# and the other half to the target, so that nothing is recognised because its twin was seen in the other style.

# %%
features = dakit.load("emoji_features")


def task(seed):
    """A new split of the things into source and target, and of each into train and test."""
    pair = features.pair("noto", "fluent-emoji-high-contrast", seed=seed)
    return bench.make_task(*pair, seed=seed)


here = task(seed=0)
here.source

# %% [markdown]
# ## Predict
#
# On new noto emoji the classifier will be right about eight times in ten. Commit to a guess before you go on.

# %%
course.predict(
    "target",
    "How often will it be right on the black-and-white style? "
    "(Always saying the largest class gives 14 %.)",
    between=(0, 100),
    unit="%",
)

# %%
steps = profile.pick(smoke=60, teach=600, full=3000)
plain = dakit.fit("source_only", here.source, here.target, steps=steps, seed=0)
print(f"noto, unseen:  {plain.evaluate(here.source_test).accuracy:.0%}")
measured = plain.evaluate(here.target_test).accuracy
course.reveal("target", 100 * measured, because="It learned shading and colour too.")

# %% [markdown]
# The classifier is not broken. It was never shown a world without colour.
#
# ## Measure
#
# How far apart are the two domains? Three numbers, each with its own idea of distance; chapter *1_shift/02* builds
# them from scratch.
#
# - **MMD²**: do the two clouds of features have the same mean, seen through a kernel? 0 if nothing differs. Its
#   p-value says how often chance alone would give as much.
# - **A-distance**: can a fresh classifier tell from the features which domain a picture comes from? 0 never, 2 always.
# - **IDD**: do the features light up in the same proportions?
#
# A number needs something to be held against, so we also split noto in two and measure noto against itself.

# %%
half, other_half = features["noto"].split(0.5, seed=0)
before = metrics.shift_numbers(
    features["noto"].x, features["fluent-emoji-high-contrast"].x
)
nothing = metrics.shift_numbers(half.x, other_half.x)
both = {"noto | noto": nothing, "noto | contrast": before}
views.shift_bars(both, title="Two halves of one style, and two styles")

# %% [markdown]
# Now a shift that *you* control. The slider bleaches, blurs or roughens noto step by step, and the title says how far
# the pixels have moved, beside the distance to the other artist. When does the knob reach the real shift?

# %%
real = metrics.mmd(noto.x, contrast.x)


def draw(kind="contrast", severity=0.5):
    shifted = domains.shifts.apply(noto, kind, severity)
    moved = metrics.mmd(noto.x, shifted.x)
    title = f"{kind} {severity:.1f}: MMD² {moved:.3f}; to the other artist {real:.3f}"
    return views.samples(noto, shifted, per_class=1, title=title)


views.knobs(
    draw,
    kind=["contrast", "inversion", "blur", "noise", "background", "rotation"],
    severity=(0.0, 1.0, 0.1),
)

# %% [markdown]
# The same as a still picture, for readers without a kernel: MMD² of noto to itself while a growing share of its
# pictures turns into negatives, and to the other artist.

# %%
rungs = domains.shifts.ladder(noto, "inversion", steps=5).values()
climb = {f"severity {i / 4}": metrics.mmd(noto.x, d.x) for i, d in enumerate(rungs)}
climb["other artist"] = real
views.shift_bars(
    {name: {"mmd": value} for name, value in climb.items()}, title="A ladder"
)

# %% [markdown]
# ## Adapt
#
# We hold unlabelled pictures of the target. **DANN** (domain-adversarial training) uses them like this: a second
# network, the discriminator, tries to tell the two domains apart from the features, and the features are trained to
# make that impossible while they still serve the labels. The whole idea is these lines of the library:

# %%
course.source(methods.DANN.losses)

# %% [markdown]
# `source.y` is there. `target.y` is not: `fit` takes the labels off the target before training begins.

# %%
course.predict(
    "told apart",
    "After training, can a fresh classifier still tell the two styles apart, "
    "from DANN's features?",
    options=[
        "hardly (A-distance below 0.5)",
        "sometimes (0.5 to 1.5)",
        "nearly always (above 1.5)",
    ],
)

# %%
adapted = dakit.fit("dann", here.source, here.target, steps=steps, seed=0)
for name, run in {"source_only": plain, "dann": adapted}.items():
    print(f"{name:12} target accuracy {run.evaluate(here.target_test).accuracy:.0%}")

# %%
views.alignment(
    plain,
    adapted,
    ys=here.source.y[plain.source_index],
    yt=here.target.y[plain.target_index],
    classes=here.source.classes,
    titles=("source_only", "dann"),
    layout=profile.pick(smoke="pca", teach="umap", full="umap"),
)

# %% [markdown]
# *What to see*: on the left every class of noto (circles) is an island, and the target (triangles) lies in one heap
# between them. On the right the target has spread out: many triangles of faces, of vehicles and of stationery now lie
# beside circles of their own colour. The islands are less tidy than before; that is the price.
#
# ## Believe?
#
# Three reasons not to believe it yet: it is one seed, the map is a picture, and nobody looked at the training. First
# the seeds. `bench.compare` repeats everything with new splits and new weights; `oracle` is trained on target labels
# and is the bound, not a method.

# %%
names = ["source_only", "dann", "oracle"]
seeds = profile.pick(smoke=2, teach=8, full=20)
result = bench.compare(task, names, seeds=seeds, steps=steps, progress=False)
result.table()[
    ["target_accuracy", "target_accuracy_sd", "mmd", "a_distance", "seconds"]
].round(3)

# %%
gain = result.gain("dann")
print(f"gain {gain['mean']:+.3f}, standard error {gain['sd'] / seeds**0.5:.3f}")
print("seed by seed:", [round(g, 3) for g in gain["per_seed"]])

# %% [markdown]
# When this was written (profile `teach`, 8 seeds, mean ± standard deviation): source_only 28.6 ± 5.0 %, dann 37.0 ±
# 5.8 %, oracle 56.4 ± 4.5 %. The gain is about three times its standard error, so it is no accident of one seed; but
# look at the list: for some seeds it is nearly nothing.

# %% [markdown]
# Second, the map. It shows the two domains mixed. Does a fresh classifier agree that they are?

# %%
apart = {name: result.shift(name)["a_distance"] for name in names}
scale = [
    "hardly (A-distance below 0.5)",
    "sometimes (0.5 to 1.5)",
    "nearly always (above 1.5)",
]
course.reveal(
    "told apart",
    scale[(apart["dann"] >= 0.5) + (apart["dann"] > 1.5)],
    because=f"A-distance {apart['dann']:.2f}; without adaptation {apart['source_only']:.2f}.",
)

# %% [markdown]
# So the middles of the two clouds have come together (look at MMD² in the table), yet there are still directions in
# which the styles differ. A map in two dimensions cannot show that. **Measure, then look, never the other way
# round.**
#
# Third, the training itself. `health` reads no target labels; it is what you would have at work.

# %%
adapted.health()

# %% [markdown]
# ## Break it
#
# DANN matches *all* features. If some classes are missing in the target, there is nothing that their source examples
# could rightly be matched with. Let us make that happen: the same pictures, but only three of the ten kinds of things
# in the target, other ones for each seed.


# %%
def three_classes(seed):
    """The same task with a target of three classes."""
    source, target = features.pair("noto", "fluent-emoji-high-contrast", seed=seed)
    left = np.random.default_rng(seed).permutation(10)[:3]
    return bench.make_task(source, target.subset(np.isin(target.y, left)), seed=seed)


broken = bench.compare(
    three_classes, ["source_only", "dann"], seeds=seeds, steps=steps, progress=False
)
for name, outcome in {"ten classes": result, "three classes": broken}.items():
    g = outcome.gain("dann")
    print(f"{name:14} gain {g['mean']:+.3f}, sd over seeds {g['sd']:.3f}")

# %% [markdown]
# The gain is gone: some seeds win, others lose as much, and the spread over seeds is the thing to look at. Nothing in
# the unlabelled pictures warned us. Which shift you have decides which method is right; part 3 of the course is about
# this one.
#
# ## Exercises
#
# **1.** Write the scale of the A-distance: from the error of a domain classifier to a number between 0 and 2.


# %%
def a_distance(error):
    """Proxy A-distance of a domain classifier with this error."""
    # solution: from the error (0 to 1) to the distance (0 to 2)
    return 2 * (1 - 2 * min(error, 0.5))
    # end solution


course.check("start_here.a_distance", a_distance)

# %%
# course.hint("start_here.a_distance")      # take the # away: one step at a time
# course.solution("start_here.a_distance")  # comes last

# %% [markdown]
# **2.** Is a gain more than luck? From accuracies of two methods on the same seeds, return the mean gain and its
# standard error.


# %%
def gain_and_error(adapted, plain):
    """Mean gain over paired seeds, and its standard error."""
    # solution: the mean gain and its standard error
    gains = np.asarray(adapted) - np.asarray(plain)
    return gains.mean(), gains.std(ddof=1) / np.sqrt(len(gains))
    # end solution


if course.check("start_here.gain", gain_and_error).passed:
    accuracies = [result.accuracy(name)["per_seed"] for name in ("dann", "source_only")]
    mean, error = gain_and_error(*accuracies)
    print(f"your function on the numbers above: gain {mean:.3f}, error {error:.3f}")

# %%
# course.hint("start_here.gain")
# course.solution("start_here.gain")

# %% [markdown]
# **3.** Go back to the cell with `task` and turn the shift around: source high contrast, target noto. Predict first:
# easier or harder? Then see whether you were right, and whether the gain survives.
#
# ## What was shown, and what was not
#
# The paper reports DANN with networks trained from pixels: MNIST → MNIST-M from 52.3 % to 76.7 %, where training on
# target labels gives 96 %. Here the features are frozen and only two small layers learn, on another shift; so what is
# reproduced is the kind of effect, not its size. Chapter *2_align/03* takes the paper's own setting.
#
# ## References
#
# - Y. Ganin et al., *Domain-adversarial training of neural networks*, JMLR 17 (2016),
#   [arXiv:1505.07818](https://arxiv.org/abs/1505.07818).
# - S. Ben-David et al., *A theory of learning from different domains*, Machine Learning 79 (2010),
#   [doi.org/10.1007/s10994-009-5152-4](https://doi.org/10.1007/s10994-009-5152-4).
# - A. Gretton et al., *A kernel two-sample test*, JMLR 13 (2012).
#
# Next: *1_shift/01 What shifts* sorts shifts into kinds, and *1_shift/02 Distances* takes the three numbers apart.

# %%
course.provenance()
