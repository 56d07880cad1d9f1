# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adversaries: other judges, other games
#
# > You will play five games after DANN's, watch two heads disagree and make up, and learn not to trust one seed of any.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 40 minutes to read, about 1 minute to run on 1 CPU core |
# | Memory | 0.6 GB |
# | Needs | *2_align/03 DANN*; what a softmax and an entropy are |
# | Data | two moons (generated) |
#
# The same method, the same angle, five seeds. Each panel is a DANN that learned the circles (with labels) and saw the
# triangles (without), turned by 35°. Which of them would you ship?

# %%
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

import dakit
from dakit import course, domains, losses, methods, training, views
from dakit.domains import shifts
from dakit.views.palette import class_colour

profile = course.setup(seed=0)
seeds = range(profile.pick(smoke=2, teach=5, full=20))
steps = profile.pick(smoke=60, teach=500, full=3000)
backbone = {"name": "mlp", "hidden": (32, 32)}


def moons(seed, degrees=0, n=300, upper=0.5):
    """Two moons, turned about their centre; `upper` is the share of the upper one."""
    sizes = round(n * upper), n - round(n * upper)
    x, y = make_moons(sizes, noise=0.1, random_state=seed)
    here = domains.from_arrays(
        x - [0.5, 0.25], y, name="moons", classes=("upper", "lower")
    )
    return shifts.rotation(here, degrees)


# %% [markdown]
# The methods of this chapter with their settings, and one function that trains a method on the moons of one seed.

# %%
ARMS = {
    "source_only": {},
    "dann": {},
    "cdan": {"hidden": 100},
    "cdan+e": {"hidden": 100, "entropy": True},
    "adda": {"hidden": 100},
    "adda, lr x 10": {"hidden": 100, "adapt_lr": 0.1},
    "mcd": {},
    "swd": {},
    "mdd": {},
}


def train(arm, seed, upper=0.5, on_snapshot=None, snapshots=2):
    """One run of a method on moons at 35°, and its error on 1,000 new points."""
    source, target = moons(seed), moons(seed + 100, 35, upper=upper)
    name = arm.removesuffix("+e").split(",")[0]
    method = methods.build(name, source, backbone=backbone, seed=seed, **ARMS[arm])
    options = {"lr": 0.05, "precision": "float32", "progress": False}
    run = dakit.fit(
        method,
        source,
        target,
        steps=steps,
        seed=seed,
        snapshots=snapshots,
        on_snapshot=on_snapshot,
        **options,
    )
    test = moons(seed + 200, 35, n=1000, upper=upper)
    return run, 1 - run.evaluate(test).accuracy


# %% [markdown]
# A drawing: where a network says "upper" and where "lower".

# %%
axis = np.linspace(-2, 2, 120)
grid = torch.tensor(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)).float()


def regions(panels, title, alt, seed=0, note=""):
    """Panels of decision regions: each a title and one or two arrays of classes."""

    def draw(narrow):
        k = len(panels)
        shape = (k, 1) if narrow else (1, k)
        size = (
            (3.75, 3.4 * k) if narrow else (9.6, 9.6 / k + 0.3) if k > 1 else (5, 4.8)
        )
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(*shape, squeeze=False).ravel()
        for ax, (name, sides) in zip(axes, panels.items()):
            fill = ["#DCEBF5", "#FBE8DC"]
            square = [s.reshape(120, 120) for s in sides]
            ax.contourf(axis, axis, square[0], levels=[-0.5, 0.5, 1.5], colors=fill)
            for s in square[1:]:  # where a second head says something else
                differs = (s != square[0]).astype(float)
                look = {"levels": [0.5, 1.5], "colors": "none", "hatches": ["////"]}
                ax.contourf(axis, axis, differs, **look)
            pairs = (moons(seed, n=120), "o"), (moons(seed + 100, 35, n=120), "^")
            for domain, marker in pairs:
                for c in (0, 1):
                    x, colour = domain.x[domain.y == c], class_colour(3 * c)
                    face = colour if marker == "o" else "none"
                    look = {"facecolors": face, "edgecolors": colour, "linewidths": 0.7}
                    ax.scatter(*x.T, 9, marker=marker, **look)
            ax.set_title(name, fontsize=10)
            ax.set_aspect("equal")
            ax.locator_params(nbins=4)
        return figure

    return views.View(title, alt, draw, note=note)


# %% [markdown]
# And the five runs:

# %%
done = {"dann": [train("dann", s) for s in seeds]}
shown = list(seeds)[:5]
regions(
    {f"seed {s}": [done["dann"][s][0].predict(grid)] for s in shown},
    "Five times DANN",
    f"{len(shown)} panels with the decision regions of DANN after training, by seed.",
    note="Every seed has moons, weights and batches of its own; the points shown are those "
    "of seed 0.",
)

# %% [markdown]
# ## Predict

# %%
course.predict(
    "spread",
    "The worst of these runs minus the best, in points of target error?",
    between=(0, 50),
    unit="points",
)

# %%
dann = np.array([error for _, error in done["dann"]])
course.reveal("spread", 100 * np.ptp(dann))
print("errors by seed:", dann.round(3), f"  {dann.mean():.3f} ± {dann.std(ddof=1):.3f}")

# %% [markdown]
# No label of the target tells you which seed you have. So a number for an adversarial method without its spread says
# nothing. With that in mind, the relatives.
#
# ## The idea
#
# In words: all play *features against someone*. They differ in who that is and what it looks at.
#
# | method | the other player | looks at | what the features want |
# | --- | --- | --- | --- |
# | DANN | a discriminator $D$ | features $f$ | domains alike |
# | CDAN | a discriminator $D$ | all products $f \otimes g$ of features and predictions | domains alike, class by class |
# | CDAN+E | the same | the same; sure predictions weigh more | the same |
# | ADDA | a discriminator $D$ | source in a fixed encoder, target in its own | target taken for source |
# | MCD | two label heads | target features | heads agree there |
# | SWD | two label heads | clouds of their predictions | clouds agree |
# | MDD | a second label head | agrees on the source, contradicts on the target | no room to contradict |
#
# In one formula for each family, with $g = \mathrm{softmax}(G_y(f))$ and $p_1, p_2$ the heads' probabilities:
#
# $$\text{CDAN:}\quad \min_{f, y} \max_D\; \mathrm{CE}_S - \lambda\,\mathrm{BCE}\big(D(f \otimes g)\big), \qquad
# \text{MCD:}\quad \min_f \max_{F_1, F_2}\; \underset{T}{\mathrm{mean}}\; \tfrac1k \lVert p_1 - p_2 \rVert_1 \;\text{ with
# } F_1, F_2 \text{ right on } S.$$
#
# The judge of MCD is no domain classifier. It asks a question that matters for the labels: could two classifiers, both
# right on the source, disagree here?
#
# ## The method's own file

# %%
course.source(methods.CDAN.losses, docstring=False)

# %%
course.source(methods.MCD.losses, docstring=False)

# %% [markdown]
# ### From scratch: what the products buy
#
# Two domains with the same features and the same shares of predictions, but put together crosswise: what is class 0 on
# the left of the source is class 1 on the left of the target. A linear judge who sees features and predictions side by
# side is lost. One who sees the products is not.

# %%
rng = np.random.default_rng(0)
left_or_right = np.repeat([[-1.0], [1.0]], 100, axis=0)
f = torch.tensor(left_or_right + rng.normal(0, 0.1, (200, 1)))
p = torch.tensor(np.where(left_or_right > 0, [[0.9, 0.1]], [[0.1, 0.9]]))
side_by_side = [torch.cat([f, p], 1), torch.cat([f, 1 - p], 1)]
products = [losses.multilinear(f, p), losses.multilinear(f, 1 - p)]
for name, (s, t) in {"side by side": side_by_side, "products": products}.items():
    gap = (s.mean(0) - t.mean(0)).abs().max().item()
    print(f"{name:13} largest difference of means between the domains {gap:.2f}")
by_hand = (f[:, :, None] * p[:, None, :]).flatten(1)
assert torch.equal(by_hand, losses.multilinear(f, p))

# %% [markdown]
# ## Look: two heads
#
# MCD at four moments of one run. Colour: the first head. Hatching: where the probabilities of
# the two heads differ by more than 0.1.

# %%
moments = {}


@torch.no_grad()
def remember(run):
    """The first head's answer on the plane, and its opposite where the heads differ."""
    h = run.method.features(grid)
    p1, p2 = (head(h).softmax(1) for head in (run.method.head, run.method.head2))
    first = p1.argmax(1)
    other = torch.where((p1 - p2).abs()[:, 0] > 0.1, 1 - first, first)
    step = run.rows[-1]["step"] if run.rows else 0
    moments[step] = [first.numpy(), other.numpy()]


mcd_run, mcd_error = train("mcd", 0, on_snapshot=remember, snapshots=9)
at = list(moments)
four = [at[round(i * (len(at) - 1) / 3)] for i in range(4)]
regions(
    {f"step {step}": moments[step] for step in four},
    "MCD: two heads through training",
    "Four panels with the decision regions of the first head of MCD, hatched where the "
    f"second head differs from it, at steps {', '.join(map(str, four))}.",
    note=f"Seed 0. At the end {mcd_error:.0%} of new target points are wrong.",
)

# %% [markdown]
# The live view: turn through the moments yourself.


# %%
def moment(number=0):
    step = at[number]
    both = moments[step]
    apart = np.mean(both[0] != both[1])
    title = f"step {step}: the heads differ on {apart:.0%} of the plane"
    return regions({"": both}, title, f"Decision regions of MCD, {title}.")


views.knobs(moment, number=(0, len(at) - 1))

# %%
views.history(
    mcd_run, columns=["source_discrepancy", "target_discrepancy", "source_accuracy"]
)

# %% [markdown]
# ## Run them all

# %%
course.predict(
    "steady",
    "Which of these varies least from seed to seed?",
    options=["dann", "cdan", "adda", "mcd", "mdd"],
)

# %%
for arm in ARMS:
    done.setdefault(arm, [train(arm, s) for s in seeds])
errors = {arm: np.array([error for _, error in runs]) for arm, runs in done.items()}
order = list(ARMS)
table = pd.DataFrame(
    {
        arm: {
            "target error": errors[arm].mean(),
            "sd": errors[arm].std(ddof=1),
            "best": errors[arm].min(),
            "worst": errors[arm].max(),
            "source error": np.mean(
                [
                    1 - run.evaluate(moons(s + 300)).accuracy
                    for s, (run, _) in zip(seeds, done[arm])
                ]
            ),
        }
        for arm in order
    }
).T
spreads = {
    arm: errors[arm].std(ddof=1) for arm in ("dann", "cdan", "adda", "mcd", "mdd")
}
if profile.name != "smoke":
    assert max(e.mean() for a, e in errors.items() if a != "source_only") < 0.29
course.reveal("steady", min(spreads, key=spreads.get))
table.round(3)

# %%
views.dots(
    {
        "mean": {arm: errors[arm].mean() for arm in order},
        "best seed": {arm: errors[arm].min() for arm in order},
        "worst seed": {arm: errors[arm].max() for arm in order},
    },
    x_label="target error",
    line=errors["source_only"].mean(),
    title="Every method, and what a seed does to it",
    note=f"{len(seeds)} seeds. The line is source_only. Read the span before the mean.",
)

# %% [markdown]
# When this was written (profile `teach`, 5 seeds, target error ± standard deviation): source_only 0.299 ± 0.041, dann
# 0.077 ± 0.123, cdan 0.110 ± 0.089, cdan+e 0.167 ± 0.073, adda 0.279 ± 0.026 and with a ten times higher rate 0.039 ± 0.008, mcd
# 0.176 ± 0.113, swd 0.165 ± 0.093, mdd 0.081 ± 0.021. What may be said of that?
#
# - All are below source_only on average; adda at its default rate not beyond the spread.
# - dann against cdan, cdan+e, mcd or swd: the gaps are within the spread of the seeds. The order among them is not known.
# - dann has four runs near 0.02 and one at 0.30, no better than doing nothing. Its mean describes none of them.
# - mdd varies little, and its worst seed (0.112) is better than the mean of four others.
# - The two rows of adda differ by one number, the rate of its second stage. We know which is better because we read
#   target labels. You do not have them: a table like this one is no way to choose a method. The default stays the default.
#
# ## Measure: what health says
#
# `health` reads no target label. Over all seeds of one method:

# %%
for arm in ("dann", "mcd", "adda, lr x 10"):
    print(arm)
    print(training.Runs([run for run, _ in done[arm]]).health(), "\n")

# %% [markdown]
# And the worst seed of DANN beside the best:

# %%
worst, best = int(errors["dann"].argmax()), int(errors["dann"].argmin())
for s in (worst, best):
    print(f"seed {s}, error {errors['dann'][s]:.3f}")
    print(done["dann"][s][0].health(), "\n")

# %% [markdown]
# The seed that failed passes every check: source learned, predictions balanced, discriminator at chance. The best seed
# gets a warning. A game that went wrong *consistently* looks like one that went right. health tells whether the training
# settled, whether features collapsed, whether the discriminator gave up; these are worth knowing, and they are not
# accuracy. For ADDA the source accuracy is that of the *target's* encoder; its fall costs nothing.
#
# ## The weight λ, and its spread
#
# `sweep` trains every value with every seed; for methods with one player it does so in one vectorised pass.

# %%
weights = profile.pick(
    smoke=[0.1, 1.0],
    teach=[0.1, 0.3, 1.0, 10.0],
    full=[*10.0 ** np.arange(-2, 2.5, 0.5)],
)
curves = {}
for name in ("dann", "cdan"):

    def make(seed, name=name, **swept):
        settings = {**ARMS[name], **swept}
        return methods.build(name, moons(0), backbone=backbone, seed=seed, **settings)

    many = dakit.fit(
        make,
        moons(0),
        moons(100, 35),
        sweep={"lambda_": weights},
        seeds=len(seeds),
        steps=steps,
        lr=0.05,
        precision="float32",
        snapshots=2,
        progress=False,
    )
    found = 1 - many.accuracies(moons(200, 35, n=1000))
    curves[name] = found.reshape(len(weights), len(seeds))
views.ladder(
    np.log10(weights),
    curves,
    x_label="log10 of λ",
    y_label="target error",
    lines={"source_only": errors["source_only"].mean()},
    title="Target error by weight",
    note="One pair of moons, weights and batches by seed; band: one standard deviation.",
)

# %%
for name, curve in curves.items():
    cells = [
        f"{w:g}: {c.mean():.3f} ± {c.std(ddof=1):.3f}" for w, c in zip(weights, curve)
    ]
    print(name, "  ", "   ".join(cells))

# %% [markdown]
# dann goes from 0.315 ± 0.045 at λ = 0.1 over 0.192 ± 0.129 at 0.3 to 0.090 ± 0.139 at 1 and 0.104 ± 0.097 at 10. As
# the mean falls the spread grows: a stronger adversary wins more, and it can lose more. Below 0.3 little happens, and
# between 1 and 10 the curve says nothing about which is better. cdan (0.262, 0.229, 0.175, 0.135) is flatter and as wide.
# λ = 1 was used above because it is the default, not because of this curve.
#
# ## Break it: other class proportions
#
# The target now has one upper point for four lower ones. A judge of domains sees that difference too, and the features
# can only hide it by carrying points of one class onto the other. A judge of labels (MCD) does not ask for shares.

# %%
course.predict(
    "shares",
    "Whose error grows more with the new shares?",
    options=["dann", "mcd"],
)

# %%
uneven = {}
for arm in ("source_only", "dann", "cdan", "mcd"):
    uneven[arm] = np.array([train(arm, s, upper=0.2)[1] for s in seeds])
grown = {arm: uneven[arm] - errors[arm] for arm in uneven}
course.reveal("shares", max(("dann", "mcd"), key=lambda arm: grown[arm].mean()))
if profile.name != "smoke":
    assert grown["dann"].mean() > 0.05 > abs(grown["mcd"].mean())
pd.DataFrame(
    {
        arm: {
            "equal shares": f"{errors[arm].mean():.3f} ± {errors[arm].std(ddof=1):.3f}",
            "1 : 4": f"{uneven[arm].mean():.3f} ± {uneven[arm].std(ddof=1):.3f}",
            "by seed": uneven[arm].round(2),
        }
        for arm in uneven
    }
).T

# %% [markdown]
# The error of dann rises from 0.077 ± 0.123 to 0.243 ± 0.095, that of cdan from 0.110 ± 0.089 to 0.304 ± 0.021: what they
# had gained is (nearly) gone. source_only (0.299 and 0.305) and mcd (0.176 and 0.171) hardly notice. Conditioning on the
# prediction did not help: the *joint* distribution of features and classes has other shares too. MCD compares two
# classifiers, point by point, and no share enters.
#
# ## Exercises
#
# **1.** The joint variable of CDAN: all products of a row of features (n, d) with the same row of probabilities (n, k),
# flat, the probabilities running fastest.


# %%
def joint(f, g):
    """(n, d) and (n, k) to (n, d k)."""
    # solution: all products, row by row
    return (f[:, :, None] * g[:, None, :]).reshape(len(f), -1)
    # end solution


course.check("adversaries.joint", joint)

# %%
# course.hint("adversaries.joint")
# course.solution("adversaries.joint")

# %% [markdown]
# **2.** The discrepancy of MCD's heads, from their probabilities, each of shape (n, k).


# %%
def disagreement(p1, p2):
    """Mean absolute difference over rows and classes."""
    # solution: one number
    return np.abs(p1 - p2).mean()
    # end solution


course.check("adversaries.disagreement", disagreement)

# %%
# course.hint("adversaries.disagreement")
# course.solution("adversaries.disagreement")

# %% [markdown]
# **3.** The weights of CDAN+E: $w = 1 + e^{-H}$ with the entropy $H$ of each row (all probabilities are above 0),
# divided by their mean.


# %%
def certainty(p):
    """Probabilities (n, k) to weights (n,) with mean 1."""
    # solution: one weight a row
    w = 1 + np.exp(np.sum(p * np.log(p), axis=1))
    return w / w.mean()
    # end solution


course.check("adversaries.certainty", certainty)

# %%
# course.hint("adversaries.certainty")
# course.solution("adversaries.certainty")

# %% [markdown]
# **4.** Open question. `n` says how often MCD's features move for each move of its heads. Predict what `n=1` does to
# the hatched region at the end, then run `train` with `ARMS["mcd"] = {"n": 1}`.
#
# ## What the papers report, what was reproduced here, what was not
#
# - *Reproduced*: the losses, checked against code by hand above and in the library's tests; on moons, that all of them
#   lower the target error on average; that the two heads of MCD differ in a band along their boundaries.
# - *Not reproduced*: that CDAN beats DANN, or CDAN+E beats CDAN, as the paper reports on image benchmarks. Here, on two
#   classes in the plane, the seeds differ more than the methods.
# - *Differences*: the papers adapt networks for images, most of them trained on ImageNet before; we train 32 + 32 units
#   on 300 points. Discriminators have 100 hidden units throughout (CDAN's default is 256, ADDA's 500), for time. MCD's
#   heads are linear here. λ, η, γ and n are the library's defaults and were not tuned; the second row of ADDA is marked.
#
# ## References
#
# - M. Long, Z. Cao, J. Wang, M. Jordan, *Conditional adversarial domain adaptation*, NeurIPS 2018,
#   [arXiv:1705.10667](https://arxiv.org/abs/1705.10667).
# - E. Tzeng, J. Hoffman, K. Saenko, T. Darrell, *Adversarial discriminative domain adaptation*, CVPR 2017,
#   [arXiv:1702.05464](https://arxiv.org/abs/1702.05464).
# - K. Saito, K. Watanabe, Y. Ushiku, T. Harada, *Maximum classifier discrepancy for unsupervised domain adaptation*,
#   CVPR 2018, [arXiv:1712.02560](https://arxiv.org/abs/1712.02560).
# - C.-Y. Lee, T. Batra, M. Baig, D. Ulbricht, *Sliced Wasserstein discrepancy for unsupervised domain adaptation*, CVPR
#   2019, [arXiv:1903.04064](https://arxiv.org/abs/1903.04064).
# - Y. Zhang, T. Liu, M. Long, M. Jordan, *Bridging theory and algorithm for domain adaptation*, ICML 2019,
#   [arXiv:1904.05801](https://arxiv.org/abs/1904.05801).

# %%
course.provenance()
