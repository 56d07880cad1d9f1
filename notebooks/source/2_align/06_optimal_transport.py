# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimal transport: who goes where?
#
# > You will pair two clouds at the least cost, carry labels along the way, and see what happens when a cloud has mass
# > that belongs nowhere.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | Time | 45 minutes to read, about 1 minute to run on 1 CPU core |
# | Memory | 0.6 GB |
# | Needs | *00 Start here*, *2_align/02 Shallow methods*; numpy, and what a linear program is |
# | Data | two moons (generated), 333 penguins (CC0), emoji as 128 features (MIT, Apache-2.0, CC-BY-4.0, see the card of the set) |
#
# Eight bakeries (circles), eight cafés (triangles). Every bakery delivers to one café, every café gets one delivery.
# A trip costs the squared distance. Your plan: always connect the closest two that are still free. How far is that
# from the best?

# %%
import warnings
from itertools import permutations

import numpy as np
import ot
import pandas as pd
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from sklearn.datasets import make_moons
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import dakit
from dakit import course, domains, methods, metrics, views
from dakit.views.palette import class_colour

profile = course.setup(seed=0)
seeds = range(profile.pick(smoke=2, teach=5, full=20))


def picture(panels, title, alt, note=""):
    """Panels of drawings side by side; each is title to a function of a matplotlib axis."""

    def draw(narrow):
        k = len(panels)
        size = (3.75, 3.4 * k) if narrow else (min(9.6, 4.6 * k), 4.0 if k < 3 else 3.0)
        figure = Figure(figsize=size, layout="constrained")
        shape = (k, 1) if narrow else (1, k)
        axes = figure.subplots(*shape, squeeze=False).ravel()
        for ax, (name, paint) in zip(axes, panels.items()):
            paint(ax)
            ax.set_title(name, fontsize=10)
            ax.set_aspect("equal", adjustable="datalim")
        return figure

    return views.View(title, alt, draw, note=note)


def points(ax, x, y, side):
    """Source rows as filled circles, target rows as open triangles."""
    for c in (0, 1):
        colour = class_colour(3 * c)
        look = {"marker": "o" if side == "source" else "^", "edgecolors": colour}
        look["facecolors"] = colour if side == "source" else "none"
        ax.scatter(*x[y == c].T, 22, **look, zorder=3)


def flows(ax, xs, xt, plan):
    """A line for each pair, the darker the more mass."""
    strength = plan / plan.max()
    for i, j in np.argwhere(strength > 0.02):
        ends = np.stack([xs[i], xt[j]]).T
        ax.plot(*ends, color="#444444", alpha=float(strength[i, j]) * 0.8, linewidth=1)


def town(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(8, 2)), rng.normal(size=(8, 2)) + [0.7, 0]


def closest_first(cost):
    """Connect the closest free pair, then the next."""
    plan, left = np.zeros_like(cost), cost.astype(float).copy()
    for _ in range(len(cost)):
        i, j = np.unravel_index(left.argmin(), left.shape)
        plan[i, j] = 1 / len(cost)
        left[i], left[:, j] = np.inf, np.inf
    return plan


bakeries, cafes = town(4)
picture(
    {
        "Eight bakeries, eight cafés": lambda ax: (
            points(ax, bakeries, np.zeros(8), "source"),
            points(ax, cafes, np.ones(8), "target"),
        )
    },
    "Who delivers to whom?",
    "Eight circles and eight triangles scattered over one plane.",
)

# %% [markdown]
# ## Predict

# %%
course.predict(
    "greedy",
    "By how much does connecting the closest first exceed the cheapest plan?",
    between=(0, 150),
    step=5,
    unit="%",
)

# %% [markdown]
# Eight can be paired in $8! = 40\,320$ ways: try them all.

# %%
every = np.array(list(permutations(range(8))))


def best_of_all(cost):
    return cost[np.arange(8), every].mean(1).min()


extra = []
for s in range(profile.pick(smoke=3, teach=20, full=100)):
    cost = cdist(*town(s), "sqeuclidean")
    cheapest = best_of_all(cost)
    assert np.isclose(ot.emd2(ot.unif(8), ot.unif(8), cost), cheapest)
    extra.append((closest_first(cost) * cost).sum() / cheapest - 1)
cost = cdist(bakeries, cafes, "sqeuclidean")
greedy, best = closest_first(cost), ot.emd(ot.unif(8), ot.unif(8), cost)
here = 100 * ((greedy * cost).sum() / (best * cost).sum() - 1)
print(
    f"over {len(extra)} towns: {np.mean(extra):.0%} ± {np.std(extra, ddof=1):.0%} more"
)
course.reveal("greedy", here, because="The last pairs get what nobody else wanted.")
picture(
    {
        name: lambda ax, plan=plan: (
            flows(ax, bakeries, cafes, plan),
            points(ax, bakeries, np.zeros(8), "source"),
            points(ax, cafes, np.ones(8), "target"),
        )
        for name, plan in {"closest first": greedy, "cheapest": best}.items()
    },
    "Two plans",
    "The same points twice, with lines for the pairs: "
    f"closest first costs {here:.0f} % more than the cheapest plan.",
)

# %% [markdown]
# ## The idea
#
# In words: call one cloud the source and the other the target. A **plan** $\gamma$ says how much of each source row's
# mass goes to each target row. All mass must leave, all targets must be filled, and the whole trip shall be as cheap
# as possible. Then a source row moves to where its mass went and takes its label along.
#
# In one formula, with $C_{ij} = \lVert x^s_i - x^t_j\rVert^2$:
#
# $$\min_{\gamma \ge 0}\; \sum_{ij} \gamma_{ij} C_{ij} + \Omega(\gamma) \quad\text{with}\quad \sum_j \gamma_{ij} =
# \tfrac1n,\; \sum_i \gamma_{ij} = \tfrac1m, \qquad x^s_i \mapsto n \sum_j \gamma_{ij}\, x^t_j .$$
#
# Without $\Omega$ this is a linear program; `emd` in the library (earth mover's distance). The last formula is the
# **barycentric map**. The library leaves the solving to POT and decides what to solve:

# %%
course.source(methods.OT._solve)

# %% [markdown]
# ### Sinkhorn: a soft plan in two lines
#
# With $\Omega = \varepsilon \sum \gamma_{ij} \log \gamma_{ij}$ the plan has the form $\gamma_{ij} = u_i\,
# e^{-C_{ij}/\varepsilon} v_j$, and $u$ and $v$ are found by putting right the row sums, then the column sums, and again:

# %%
K = np.exp(-cost / 1.0)
v = np.ones(8)
for _ in range(1000):
    u = (1 / 8) / (K @ v)
    v = (1 / 8) / (K.T @ u)
by_hand = u[:, None] * K * v
library = ot.sinkhorn(ot.unif(8), ot.unif(8), cost, 1.0, stopThr=1e-12)
sums = by_hand.sum(1).round(4)
print(f"largest gap {np.abs(by_hand - library).max():.1e}, sums of rows {sums}")
assert np.allclose(by_hand, library, atol=1e-8)

# %% [markdown]
# ## A knob: how soft?
#
# Two moons (circles, with labels), and the same moons turned (triangles, without). Turn $\varepsilon$, and watch
# where the source lands. The dictionary of plans is the library's: `emd`, `sinkhorn`, and three with further wishes.
# `lpl1` and `l1l2` would like a target row to get its mass from *one* class; `laplace` wants neighbours to stay
# neighbours.


# %%
def moons(seed, degrees=0, n=150, upper=0.5):
    """Two moons, turned about their centre; `upper` is the share of the upper one."""
    sizes = round(n * upper), n - round(n * upper)
    x, y = make_moons(sizes, noise=0.1, random_state=seed)
    turn = np.deg2rad(degrees)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (x - [0.5, 0.25]) @ turned, y


def machine():
    return SVC(gamma="scale")


def moved_cloud(plan="sinkhorn", log_epsilon=-1.0, degrees=40):
    (xs, ys), (xt, yt) = moons(0, n=60), moons(100, degrees, n=60)
    method = methods.OT(
        plan=plan, epsilon=10**log_epsilon, sinkhorn_steps=20_000, estimator=machine()
    )
    zs = method.fit_domains(xs, ys, xt).transform(xs, np.ones(60))
    right = method.score(xt, yt)
    return picture(
        {
            "the plan": lambda ax: (
                flows(ax, xs, xt, method.plan_),
                points(ax, xs, ys, "source"),
                points(ax, xt, yt, "target"),
            ),
            "where the source lands": lambda ax: (
                points(ax, zs, ys, "source"),
                points(ax, xt, yt, "target"),
            ),
        },
        f"{plan}, ε = {10**log_epsilon:.2g}, {degrees}°: {right:.0%} of the target right",
        f"Two panels: lines of a transport plan, and the moved source. Accuracy {right:.2f}.",
        note="Colours of the triangles: true classes, which the plan does not know.",
    )


views.knobs(
    moved_cloud,
    plan=["sinkhorn", "emd", "lpl1", "l1l2", "laplace"],
    log_epsilon=(-2.0, 1.0, 0.5),
    degrees=(0, 90, 10),
)

# %% [markdown]
# The same as a still: how wide the moved cloud is beside the target, and how many target points are right, as the
# plan gets softer.

# %%
log_epsilons = np.array(
    profile.pick(
        smoke=[-1, 1],
        teach=[-2, -1.5, -1, -0.5, 0, 1],
        full=[-2, -1.75, -1.5, -1.25, -1, -0.75, -0.5, -0.25, 0, 0.5, 1],
    )
)
soft = {"width of the moved source": [], "accuracy on new points": []}
for e in log_epsilons:
    width, right = [], []
    for s in seeds:
        (xs, ys), (xt, _) = moons(s), moons(s + 100, 40)
        method = methods.OT(epsilon=10.0**e, estimator=machine(), sinkhorn_steps=20_000)
        zs = method.fit_domains(xs, ys, xt).transform(xs, np.ones(len(xs)))
        width.append(np.sqrt(zs.var(0).sum() / xt.var(0).sum()))
        right.append(method.score(*moons(s + 200, 40, n=1000)))
    soft["width of the moved source"].append(width)
    soft["accuracy on new points"].append(right)
shrunk = np.mean(soft["width of the moved source"], axis=1)
for e, w, a in zip(log_epsilons, shrunk, np.mean(soft["accuracy on new points"], 1)):
    print(f"ε = {10.0**e:5.2f}: width {w:.2f}, accuracy {a:.3f}")
assert shrunk[0] > 0.8 and shrunk[-1] < 0.1
views.ladder(
    log_epsilons,
    soft,
    x_label="log₁₀ ε (ε in units of the median cost)",
    limits=(0, 1.05),
    title="A softer plan gives a narrower cloud",
)

# %% [markdown]
# A row that sends its mass to many lands in the middle of the many. At ε = 10 everything lies on the target's mean, and
# the accuracy is that of guessing. But look in between: the nearly *exact* plan (far left, 0.89) is not the best one. It serves
# every single point, noise included, and neighbours may be torn apart; a softer plan averages that away (0.996 at ε =
# 0.32). A narrower cloud, and a better rule. You could not choose that ε without target labels; from here on it is the
# library's 0.1.
#
# ## Run it: how far can the moons be turned?

# %%
course.predict(
    "ninety",
    "Turn the moons by 90°. A classifier that does nothing gets about 79 % wrong, because "
    "each moon lies where the other was. What will the exact plan get wrong?",
    between=(0, 100),
    unit="%",
)

# %% [markdown]
# 150 points a domain, a support vector machine on the moved source, errors on 1,000 new target points. Settings are
# the library's defaults (ε = 0.1, η = 0.1), chosen on none of this.


# %%
def transport(plan):
    return methods.OT(plan=plan, estimator=machine())


PLANS = {
    "emd": lambda: transport("emd"),
    "sinkhorn": lambda: transport("sinkhorn"),
    "lpl1": lambda: transport("lpl1"),
    "l1l2": lambda: transport("l1l2"),
    "laplace": lambda: transport("laplace"),
    "LinearMonge": lambda: methods.LinearMonge(reg=0.01, estimator=machine()),
}
degrees = profile.pick(
    smoke=[20, 90], teach=[20, 30, 40, 50, 70, 90], full=range(10, 91, 10)
)


def moon_error(make, seed, angle, upper=0.5):
    (xs, ys), (xt, _) = moons(seed), moons(seed + 100, angle, upper=upper)
    test = moons(seed + 200, angle, n=1000, upper=upper)
    if make is None:
        return 1 - machine().fit(xs, ys).score(*test)
    return 1 - make().fit_domains(xs, ys, xt).score(*test)


errors = {
    name: np.array([[moon_error(make, s, a) for s in seeds] for a in degrees])
    for name, make in {"do nothing": None, **PLANS}.items()
}
course.reveal("ninety", 100 * errors["emd"][-1].mean())
if profile.name != "smoke":
    at_40 = {name: e[list(degrees).index(40)].mean() for name, e in errors.items()}
    assert max(at_40[n] for n in PLANS) < at_40["do nothing"] - 0.05
    assert errors["emd"][-1].mean() > 0.3
pd.DataFrame(
    {
        name: [f"{e.mean():.3f} ± {e.std(ddof=1):.3f}" for e in rows]
        for name, rows in errors.items()
    },
    index=[f"{a}°" for a in degrees],
).T

# %% [markdown]
# *What to see*: every plan helps up to 50°, the soft ones most. With the default η, `l1l2` is `sinkhorn` and
# `laplace` is `emd` almost to the digit, and `lpl1` is a little worse than `sinkhorn`. Two moments (LinearMonge) do
# about as well as a full plan. And at 90° all of them are wrong in four of ten: the *cheapest* way from one cloud to
# the other is then not the way the points took. Transport assumes a shift that moves points as little as possible.
# That it still beats doing nothing there says only that doing nothing is worse than guessing.
#
# ## A closed form: the linear Monge map
#
# If both clouds are Gaussian, the cheapest map is affine and needs no plan at all:
#
# $$T(x) = \mu_T + (x - \mu_S) A, \qquad A = C_S^{-1/2} \big(C_S^{1/2}\, C_T\, C_S^{1/2}\big)^{1/2} C_S^{-1/2}.$$
#
# Like CORAL's map it makes the covariances equal. Among all maps that do, this is the one that moves the rows least;
# $A$ is symmetric. In numbers, on penguins:

# %%
penguins = dakit.load("penguins")


def rows(domain):
    return domain.x.double().numpy(), domain.y.numpy()


def common_units(xs, xt):
    both = np.concatenate([xs, xt])
    return tuple((x - both.mean(0)) / both.std(0) for x in (xs, xt))


xs, ys = rows(penguins["Gentoo"])
xs, xt = common_units(xs, rows(penguins["Adelie"])[0])
monge = methods.LinearMonge(reg=1e-9).fit_domains(xs, ys, xt)
coral = methods.CORAL(reg=1e-9).fit_domains(xs - xs.mean(0), ys, xt - xt.mean(0))
moved = {
    "LinearMonge": monge.transform(xs, np.ones(len(xs))),
    "CORAL and the mean": (xs - xs.mean(0)) @ coral.map_ + xt.mean(0),
}
for name, z in moved.items():
    gap = np.abs(np.cov(z.T) - np.cov(xt.T)).max()
    print(f"{name:18} largest gap of the covariances {gap:.3f}", end=", ")
    print(f"mean squared move {((z - xs) ** 2).sum(1).mean():.4f}")
    assert gap < 0.01  # one divides by n, the other by n - 1
least, other = (((z - xs) ** 2).sum(1).mean() for z in moved.values())
assert least < other and np.allclose(monge.map_, monge.map_.T, atol=1e-8)
mean_alone = ((xs.mean(0) - xt.mean(0)) ** 2).sum()
print(f"the mean alone moves by {mean_alone:.4f}")
print(f"W2² of Gaussians with these moments: {metrics.frechet_distance(xs, xt):.4f}")

# %% [markdown]
# Both maps give the target's covariance. LinearMonge moves rows less; nearly all of the way is the mean, so the
# difference is small, but it is never the other way round. And its cost *is* the W2² between two Gaussians with these
# moments (up to $n$ against $n-1$), which *1_shift/02 Distances* would call a distance: a map and a distance in one.
#
# ## JDOT: labels in the cost
#
# So far features alone decide who goes where; `lpl1` and `l1l2` know source labels but not whether a target row agrees.
# **JDOT** learns the classifier $f$ *while* it looks for the plan, and lets a pair cost more if $f$ disagrees with the
# label that would be delivered:
#
# $$\min_{f,\,\gamma}\; \sum_{ij} \gamma_{ij}\big(\alpha\, D_{ij} + L(y_i, f(x^t_j))\big) + \lambda \lVert f\rVert^2 .$$
#
# Two steps in turns: given $f$, a transport problem; given $\gamma$, a regression on the labels that each target row
# receives.

# %%
course.source(methods.JDOT._train)

# %% [markdown]
# $f$ has a kernel width and a weight $\lambda$. Nothing of the target may choose them. We take the width of the support
# vector machine above, and the largest $\lambda$ that does the *source* justice: JDOT from one sample of the unturned
# moons to another.

# %%
penalties = (0.1, 0.01, 0.001)


def jdot(penalty, xs):
    return methods.JDOT(lambda_=penalty, bandwidth=xs.shape[1] * xs.var())


def jdot_error(penalty, seed, angle):
    return moon_error(lambda: jdot(penalty, moons(seed)[0]), seed, angle)


on_source = {p: np.mean([jdot_error(p, s, 0) for s in seeds]) for p in penalties}
chosen = max(p for p, e in on_source.items() if e < 0.01)
print({p: round(float(e), 3) for p, e in on_source.items()}, "→ λ =", chosen)
errors["JDOT"] = np.array([[jdot_error(chosen, s, a) for s in seeds] for a in degrees])
for name in ("do nothing", "emd", "sinkhorn", "JDOT"):
    e = errors[name]
    print(f"{name:11}", "  ".join(f"{a}°: {v.mean():.3f}" for a, v in zip(degrees, e)))

# %% [markdown]
# From 40° on JDOT lowers the error of the exact plan from which it starts, by 0.010 to 0.017; at 30° it raises it, and
# `sinkhorn`, which knows no labels, is better everywhere. Its own cost falls in every round; its *answers* need not get
# better. If the first plan is wrong for a group of points, $f$ learns so, and then agrees with the plan.
#
# ### Deep: DeepJDOT
#
# The same two ideas inside the training of a network: in every batch a plan pairs features of source and target, and
# costs count features (weight α) and labels (weight λ_t).

# %%
course.source(methods.DeepJDOT.losses)

# %%
deep_steps = profile.pick(smoke=30, teach=600, full=3000)


def as_domain(x, y):
    return domains.from_arrays(x, y, name="moons", classes=("upper", "lower"))


def deep(seed, name, **weights):
    """Error on new points at 40°, and the losses at the end."""
    source = as_domain(*moons(seed))
    network = {"name": "mlp", "hidden": (32, 32)}
    method = methods.build(name, source, backbone=network, seed=seed, **weights)
    run = dakit.fit(
        method,
        source,
        as_domain(*moons(seed + 100, 40)),
        steps=deep_steps,
        lr=0.05,
        seed=seed,
        snapshots=2,
        progress=False,
    )
    test = as_domain(*moons(seed + 200, 40, n=1000))
    return 1 - run.evaluate(test).accuracy, run.history.iloc[-1]


DEEP = {
    "source_only": ("source_only", {}),
    "deepjdot, defaults": ("deepjdot", {}),
    "deepjdot, α = λ_t = 1": ("deepjdot", {"alpha": 1.0, "lambda_t": 1.0}),
}
deep_errors = {}
for label, (name, weights) in DEEP.items():
    runs = [deep(s, name, **weights) for s in seeds]
    e = deep_errors[label] = np.array([error for error, _ in runs])
    print(f"{label:22} error {e.mean():.3f} ± {e.std(ddof=1):.3f}  {e.round(2)}")
    terms = [c for c in ("label", "distance", "transfer") if c in runs[0][1]]
    print("    losses at the end:", {c: round(float(runs[0][1][c]), 4) for c in terms})

# %% [markdown]
# With the defaults, which the file says are the paper's for digits, nothing happens, and the history tells why:
# beside the label loss the other two are next to 0. With weights that make the three terms of one size, four of five
# seeds gain, one of them nearly to no error at all, and one seed ends at 0.57, worse than guessing: probably
# the first predictions paired the moons wrongly, and the network learned so. Mean and spread, 0.217 ± 0.223, hide that; look at
# the seeds. (The network starts from 0.40, above the 0.229 of the support vector machine: it is another classifier.)
#
# ## Measure
#
# Moons at 40°, the six pairs of penguins (80 % of each species, in units of its own), and four pairs of emoji styles
# (half of the things in one style, the other half in the other, each style standardised by itself).
# 1-nearest-neighbour on penguins and emoji, as in the paper; `l1l2` and `laplace`, which hardly differed, are left
# out on emoji. JDOT brings its own classifier; its $\lambda$ is the one from above.

# %%
emoji = dakit.load("emoji_features")
EMOJI_PAIRS = [
    ("noto", "emojione"),
    ("noto", "fluent-emoji-flat"),
    ("twemoji", "fluent-emoji-high-contrast"),
    ("fluent-emoji", "emojione-monotone"),
]
PAIRS = [(a, b) for a in penguins for b in penguins if a != b]


def own_units(xs, xt):
    return tuple((x - x.mean(0)) / x.std(0) for x in (xs, xt))


def bird_task(a, b, seed):
    (xs, ys), (xt, yt) = (rows(penguins[n].split(0.8, seed=seed)[0]) for n in (a, b))
    return *own_units(xs, xt), ys, yt


def emoji_task(a, b, seed):
    order = np.random.default_rng(seed).permutation(len(emoji[a]))
    half = len(order) // 2
    xs, ys = rows(emoji[a].subset(order[:half]))
    xt, yt = rows(emoji[b].subset(order[half:]))
    return *own_units(xs, xt), ys, yt


def nearest():
    return KNeighborsClassifier(n_neighbors=1)


table, before_after, short_of_mass = {}, {}, 0
for data, make_task, pairs in (
    ("penguins", bird_task, PAIRS),
    ("emoji", emoji_task, EMOJI_PAIRS),
):
    for s in seeds:
        for pair in pairs:
            xs, xt, ys, yt = make_task(*pair, s)
            score = {"do nothing": nearest().fit(xs, ys).score(xt, yt)}
            with warnings.catch_warnings(record=True) as said:
                fitted = {
                    name: make().set_params(estimator=nearest()).fit_domains(xs, ys, xt)
                    for name, make in PLANS.items()
                    if data == "penguins" or name not in ("l1l2", "laplace")
                }
            short_of_mass += len(said)
            fitted["JDOT"] = jdot(chosen, xs).fit_domains(xs, ys, xt)
            score |= {name: method.score(xt, yt) for name, method in fitted.items()}
            apart = [metrics.mmd(xs, xt)]
            for name in ("emd", "sinkhorn"):
                zs = fitted[name].transform(xs, np.ones(len(xs)))
                apart.append(metrics.mmd(zs, xt))
            before_after.setdefault(data, []).append(apart)
            for name, value in score.items():
                table.setdefault((name, data, s), []).append(value)
accuracy = pd.Series({key: np.mean(v) for key, v in table.items()}).unstack()
for name, e in errors.items():
    if 40 in degrees:
        accuracy.loc[(name, "moons, 40°"), :] = 1 - e[list(degrees).index(40)]
shown = accuracy.agg(
    lambda v: f"{v.mean():.3f} ± {v.std(ddof=1):.3f}", axis=1
).unstack()
shown.loc[list(errors)].fillna("not run")

# %%
print("plans that missed their marginals by more than 0.001:", short_of_mass)
gain = accuracy - accuracy.loc["do nothing"].reindex(accuracy.index, level=1)
print(
    "sinkhorn, gain on emoji by seed:",
    gain.loc[("sinkhorn", "emoji")].round(3).tolist(),
)
assert (gain.loc[("sinkhorn", "emoji")] > 0).all()
for data, values in before_after.items():
    before, exact, soft_plan = np.mean(values, axis=0)
    print(
        f"{data:8} MMD² {before:.4f} before, {exact:.4f} emd, {soft_plan:.4f} sinkhorn"
    )

# %% [markdown]
# *What to see*: on penguins, standardised by species, nothing is left to transport. On emoji the soft plan gains on
# every seed, as much as JDA did in *02 Shallow methods*, and the class term of `lpl1` adds to it; the exact plan
# gains a third of that. LinearMonge gains nothing: 128 × 128 covariances from 262 pictures.
#
# And look at MMD²: on emoji it is near 0 *before* (the moments of every feature are equal), and after `sinkhorn` it
# is far larger: a narrow cloud inside a wide one. The method that helps most makes the domains look most different. A
# distance after alignment is a check of what was aligned, not a score.
#
# ## Break it: mass must go somewhere
#
# The rule of the plan is: all mass leaves, all targets are filled. Half of the source's mass is "upper". If a tenth of
# the target is, four tenths of the source's mass *must* go from the upper moon to the lower one, whatever it costs.

# %%
course.predict(
    "mixed",
    "Moons turned by 20°: doing nothing gets under 1 % wrong. The target holds 10 % "
    "upper points, the source 50 %. What will `sinkhorn` get wrong?",
    between=(0, 50),
    unit="%",
)

# %%
(xs, ys), (xt, yt) = moons(0), moons(100, 20, upper=0.1)
plan = PLANS["emd"]().fit_domains(xs, ys, xt).plan_
mass = pd.DataFrame(
    [[plan[np.ix_(ys == a, yt == b)].sum() for b in (0, 1)] for a in (0, 1)],
    index=["from upper", "from lower"],
    columns=["to upper", "to lower"],
).round(3)
assert mass.loc["from upper", "to lower"] >= 0.4 - 1e-6
harmed = [moon_error(PLANS["sinkhorn"], s, 20, upper=0.1) for s in seeds]
idle = [moon_error(None, s, 20, upper=0.1) for s in seeds]
print(f"do nothing {np.mean(idle):.3f}, sinkhorn {np.mean(harmed):.3f}")
assert np.mean(harmed) > np.mean(idle) + 0.1
course.reveal("mixed", 100 * np.mean(harmed), because="Mass must go somewhere.")
mass

# %% [markdown]
# The bound is exact: with source shares $p$ and target shares $q$ at least $\tfrac12\sum_c |p_c - q_c|$ of the mass
# crosses from one class to another.
#
# ### The repair: other masses
#
# Nobody says that each source row must hold $1/n$. Give class $c$ the mass $q_c$ in all, and nothing has to cross. But
# $q$ belongs to the target, which has no labels. An idea from Redko and co-authors: wrong shares make the trip
# expensive, so **take the shares that make it cheapest**. No target label enters.


# %%
def masses(ys, upper):
    """Masses of the source rows: `upper` in all for class 0, the rest for class 1."""
    return np.where(ys == 0, upper / (ys == 0).sum(), (1 - upper) / (ys == 1).sum())


shares = np.linspace(0.05, 0.95, 19)


def cost_by_share(xs, ys, xt):
    cost = cdist(xs, xt, "sqeuclidean")
    return np.array([ot.emd2(masses(ys, q), ot.unif(len(xt)), cost) for q in shares])


def repaired_error(seed, angle, upper):
    """Sinkhorn with the cheapest shares, and a machine that weighs its rows by the same masses."""
    (xs, ys), (xt, _) = moons(seed), moons(seed + 100, angle, upper=upper)
    found = shares[cost_by_share(xs, ys, xt).argmin()]
    a, cost = masses(ys, found), cdist(xs, xt, "sqeuclidean")
    plan = ot.sinkhorn(a, ot.unif(len(xt)), cost, 0.1 * np.median(cost))
    moved = plan @ xt / plan.sum(1, keepdims=True)
    fitted = machine().fit(moved, ys, sample_weight=a * len(ys))
    return 1 - fitted.score(*moons(seed + 200, angle, n=1000, upper=upper)), found


curves = {
    f"truth {u:.0%}": cost_by_share(*moons(0), moons(100, 40, upper=u)[0])
    for u in (0.1, 0.3, 0.5)
}
views.ladder(
    shares,
    curves,
    x_label="share of the upper moon that the source is given",
    y_label="cost of the plan",
    title="The cheapest shares, moons at 40°",
)

# %%
uppers = profile.pick(
    smoke=[0.1, 0.5],
    teach=[0.1, 0.3, 0.5, 0.7, 0.9],
    full=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
)
after = {name: [] for name in ("do nothing", "sinkhorn", "sinkhorn, cheapest shares")}
found = []
for u in uppers:
    after["do nothing"].append([moon_error(None, s, 40, u) for s in seeds])
    after["sinkhorn"].append([moon_error(PLANS["sinkhorn"], s, 40, u) for s in seeds])
    repaired = np.array([repaired_error(s, 40, u) for s in seeds])
    after["sinkhorn, cheapest shares"].append(repaired[:, 0])
    found.append(repaired[:, 1])
for u, f, *three in zip(uppers, found, *after.values()):
    said = ", ".join(f"{np.mean(v):.3f}" for v in three)
    print(
        f"truth {u:.1f}: found {np.mean(f):.2f} ± {np.std(f, ddof=1):.2f}; errors {said}"
    )
ends = [np.mean([v[0], v[-1]]) for v in after.values()] if len(uppers) > 2 else None
if ends:
    assert ends[2] < ends[1] - 0.1
views.ladder(
    uppers,
    after,
    x_label="share of the upper moon in the target (source: 0.5)",
    y_label="error on new points",
    limits=(0, 0.5),
    title="Moons at 40°, other shares",
)

# %% [markdown]
# With other shares plain transport falls from 0.05 to more than 0.3 and is worse than doing nothing. With the
# cheapest shares it stays at 0.05 to 0.07 whatever the truth is, and the shares come out right to within a few
# points. It is no miracle: the classes keep their shape here and the turn is mild, so the right shares *are*
# cheapest. With equal shares the repair costs nothing that could be seen. Relatives: **unbalanced** transport, which
# lets mass vanish for a price, and *3_labels/01 Label shift*, which estimates shares from a classifier instead.
#
# ## Exercises
#
# **1.** On a line no plan is needed: return the mean squared cost of the best pairing of two equally large sets of
# numbers. (Try two against two first. Does crossing ever pay?)


# %%
def cost_on_a_line(xs, xt):
    """Cost of the best one-to-one pairing of two arrays of shape (n,)."""
    # solution: sort both
    return np.mean((np.sort(xs) - np.sort(xt)) ** 2)
    # end solution


if course.check("optimal_transport.cost_on_a_line", cost_on_a_line).passed:
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    print(
        "with a plan:",
        np.isclose(
            cost_on_a_line(a, b), metrics.wasserstein(a[:, None], b[:, None], p=2) ** 2
        ),
    )

# %%
# course.hint("optimal_transport.cost_on_a_line")
# course.solution("optimal_transport.cost_on_a_line")

# %% [markdown]
# **2.** Where does the source land? Mind plans whose rows do not all hold $1/n$.


# %%
def barycentric(plan, xt):
    """Rows (n, d) from a plan (n, m) and target rows (m, d)."""
    # solution: weighted means of target rows
    return plan @ xt / plan.sum(1, keepdims=True)
    # end solution


course.check("optimal_transport.barycentric", barycentric)

# %%
# course.hint("optimal_transport.barycentric")
# course.solution("optimal_transport.barycentric")

# %% [markdown]
# **3.** The other half of JDOT: which labels does each target row receive?


# %%
def labels_received(plan, ys, k):
    """Shares (m, k) of the k classes in the mass that each target row receives."""
    # solution: plan' times one-hot labels, by what each target row receives
    return plan.T @ np.eye(k)[ys] / plan.sum(0)[:, None]
    # end solution


course.check("optimal_transport.labels_received", labels_received)

# %%
# course.hint("optimal_transport.labels_received")
# course.solution("optimal_transport.labels_received")

# %% [markdown]
# **4.** The repair for any number of classes: masses of the source rows, given the target's shares.


# %%
def row_weights(ys, shares):
    """Masses (n,) that add up to shares[c] over the rows of class c, in equal parts."""
    # solution: the share of a class, split among its rows
    return shares[ys] / np.bincount(ys, minlength=len(shares))[ys]
    # end solution


course.check("optimal_transport.row_weights", row_weights)

# %%
# course.hint("optimal_transport.row_weights")
# course.solution("optimal_transport.row_weights")

# %% [markdown]
# **5.** Without a check: make the moons unequal in the *source* (`upper=0.1`) and equal in the target. Who is harmed
# now, and does the repair still find the shares? Predict, then change one line above.
#
# ## What the papers report, and what was reproduced
#
# The experiment with turned moons is from Courty and co-authors (2017), who compare exact, entropic, class-regularised
# and Laplace plans on it. We had no copy of their tables at hand, so no cell is compared, only what came out here:
#
# | question | here |
# | --- | --- |
# | does transport help under a turn? | up to 50°; at 40° the error falls from 0.229 to 0.116 (`emd`), 0.048 (`sinkhorn`) |
# | is a soft plan better than the exact one? | yes, at all angles, and on emoji (0.37 and 0.44) |
# | do source labels in the plan help? | `l1l2`: no difference; `lpl1`: worse on the moons (0.083), best on emoji (0.463) |
# | where does it end? | at 90° all are wrong in about four of ten |
# | does JDOT improve on the plan it starts from? | a little from 40° on, not at 30° |
# | does DeepJDOT help at 40°? | on four of five seeds with α = λ_t = 1, not with its defaults |
#
# *Differences*: our sizes (150 points a domain, noise 0.1, 1,000 test points) and all settings are our own and fixed;
# the paper searches $\varepsilon$ and $\eta$. *Not reproduced*: the paper's results on digits, faces and Office-Caltech;
# the tables of JDOT and DeepJDOT.
#
# ## References
#
# - N. Courty, R. Flamary, D. Tuia, A. Rakotomamonjy, *Optimal transport for domain adaptation*, PAMI 39 (2017),
#   [arXiv:1507.00504](https://arxiv.org/abs/1507.00504).
# - M. Cuturi, *Sinkhorn distances: lightspeed computation of optimal transport*, NeurIPS 2013,
#   [arXiv:1306.0895](https://arxiv.org/abs/1306.0895).
# - N. Courty, R. Flamary, A. Habrard, A. Rakotomamonjy, *Joint distribution optimal transportation for domain
#   adaptation*, NeurIPS 2017, [arXiv:1705.08848](https://arxiv.org/abs/1705.08848) (JDOT).
# - B. B. Damodaran, B. Kellenberger, R. Flamary, D. Tuia, N. Courty, *DeepJDOT: deep joint distribution optimal
#   transport for unsupervised domain adaptation*, ECCV 2018, [arXiv:1803.10081](https://arxiv.org/abs/1803.10081).
# - R. Flamary, K. Lounici, A. Ferrari, *Concentration bounds for linear Monge mapping estimation and optimal transport
#   domain adaptation*, 2019, [arXiv:1905.10155](https://arxiv.org/abs/1905.10155).
# - I. Redko, N. Courty, R. Flamary, D. Tuia, *Optimal transport for multi-source domain adaptation under target shift*,
#   AISTATS 2019, [arXiv:1803.04899](https://arxiv.org/abs/1803.04899): the cheapest shares.

# %%
course.provenance()
