"""Exercises of the chapter on GDCAN: the gate, the path of each domain, MMD in linear time."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def _rho(g):
    return g.mean() / np.sqrt(g.var(ddof=1) + 1e-5)


def gate(gs, gt):
    """tanh(|rho_s - rho_t| / |rho_t|) of the channel means of two domains."""
    return np.tanh(abs(_rho(gs) - _rho(gt)) / abs(_rho(gt)))


def _signed(gs, gt):
    return np.tanh(abs(_rho(gs) - _rho(gt)) / _rho(gt))


def _divided_by_source(gs, gt):
    return np.tanh(abs(_rho(gs) - _rho(gt)) / abs(_rho(gs)))


def _no_tanh(gs, gt):
    return abs(_rho(gs) - _rho(gt)) / abs(_rho(gt))


def _plain_means(gs, gt):
    return np.tanh(abs(gs.mean() - gt.mean()) / abs(gt.mean()))


def _by_variance(gs, gt):
    def rho(g):
        return g.mean() / (g.var(ddof=1) + 1e-5)

    return np.tanh(abs(rho(gs) - rho(gt)) / abs(rho(gt)))


def _channel_means(rng):
    """Channel means of two batches; the target's mean is negative half of the time."""
    gs, gt = (rng.normal(rng.uniform(0.5, 1.5), rng.uniform(0.5, 2), size=(8, 6)) for _ in range(2))
    return gs, gt if rng.random() < 0.5 else -gt


def _sigmoid(v):
    return 1 / (1 + np.exp(-v))


def attention(g, a0, a1, a2, target, p, eta):
    """Weights of the channels: sigmoid(A_2 relu(A g)), with A_1 for a target whose gate is open, else A_0."""
    first = a1 if target and p >= eta else a0
    return _sigmoid(a2 @ np.maximum(first @ g, 0))


def _always_own(g, a0, a1, a2, target, p, eta):
    return attention(g, a0, a1, a2, target, 1.0, 0.0)


def _gate_upside_down(g, a0, a1, a2, target, p, eta):
    return attention(g, a0, a1, a2, target, eta, p)


def _source_too(g, a0, a1, a2, target, p, eta):
    return attention(g, a0, a1, a2, True, p, eta)


def _no_relu(g, a0, a1, a2, target, p, eta):
    first = a1 if target and p >= eta else a0
    return _sigmoid(a2 @ (first @ g))


def _no_sigmoid(g, a0, a1, a2, target, p, eta):
    first = a1 if target and p >= eta else a0
    return a2 @ np.maximum(first @ g, 0)


def _layers(rng):
    g, a0, a1 = rng.normal(size=8), rng.normal(size=(4, 8)), rng.normal(size=(4, 8))
    return g, a0, a1, rng.normal(size=(8, 4)), bool(rng.random() < 0.7), float(rng.uniform(0, 0.5)), 0.2


def mmd_linear(kss, ktt, kst):
    """Mean over the ring i, i + 1 of k(s, s') + k(t, t') - k(s, t') - k(s', t)."""
    i = np.arange(len(kss))
    j = np.roll(i, -1)
    return np.mean(kss[i, j] + ktt[i, j] - kst[i, j] - kst[j, i])


def _ring_not_closed(kss, ktt, kst):
    i = np.arange(len(kss) - 1)
    return np.mean(kss[i, i + 1] + ktt[i, i + 1] - kst[i, i + 1] - kst[i + 1, i])


def _twins(kss, ktt, kst):
    i = np.arange(len(kss))
    j = np.roll(i, -1)
    return np.mean(kss[i, j] + ktt[i, j] - 2 * kst[i, i])


def _crossed_once(kss, ktt, kst):
    i = np.arange(len(kss))
    j = np.roll(i, -1)
    return np.mean(kss[i, j] + ktt[i, j] - kst[i, j])


def _all_pairs(kss, ktt, kst):
    return kss.mean() + ktt.mean() - 2 * kst.mean()


def _kernels(rng):
    n = int(rng.integers(5, 12))
    xs, xt = rng.normal(size=(n, 3)), rng.normal(0.7, 1, size=(n, 3))

    def kernel(a, b):
        return np.exp(-((a[:, None] - b) ** 2).sum(2) / 4)

    return kernel(xs, xs), kernel(xt, xt), kernel(xs, xt)


EXERCISES = {
    "gate": Exercise(
        task="From the channel means of both halves of a batch, return p of the gate.",
        answer=gate,
        fresh=_channel_means,
        trials=8,
        mistakes=(
            Mistake(
                _signed,
                "You divide by rho_t itself. Where the target's mean is negative, p is then negative and the gate "
                "stays shut however far the domains are apart. Which form of rho_t has no sign?",
            ),
            Mistake(
                _divided_by_source, "You divide by the source's ratio. The divisor belongs to the target."
            ),
            Mistake(_no_tanh, "The ratio is right. Squeeze it into [0, 1): a tanh is missing."),
            Mistake(
                _plain_means,
                "You compare the means alone. rho divides them by the standard deviation, so that a scale cancels.",
            ),
            Mistake(_by_variance, "You divide by the variance. rho has its square root below the line."),
        ),
        hints=(
            "First rho = mean / sqrt(variance + 1e-5), over all entries of one half.",
            "Then the difference of the two, without its sign, as a share of the size of rho_t.",
            "`np.tanh(abs(rho_s - rho_t) / abs(rho_t))`, with `g.var(ddof=1)` in rho.",
        ),
        well_done="One number for a whole block: cheap, and blind to channels that change and cancel.",
    ),
    "attention": Exercise(
        task="Return the channel weights of one picture: its means g, layers A_0, A_1, A_2, whether it is of the "
        "target, and the gate's p and eta.",
        answer=attention,
        fresh=_layers,
        trials=20,
        mistakes=(
            Mistake(
                _always_own,
                "A target always takes A_1 in your function. That is DCAN; here the gate decides.",
            ),
            Mistake(
                _gate_upside_down,
                "Your gate is upside down: a large p means that the domains differ, and then the target gets A_1.",
            ),
            Mistake(_source_too, "A source picture took A_1. Its path is A_0 whatever the gate says."),
            Mistake(
                _no_relu, "The rectifier between the two layers is missing; without it they are one layer."
            ),
            Mistake(_no_sigmoid, "These are not yet weights in (0, 1): the sigmoid is missing."),
        ),
        hints=(
            "Choose the first layer, then do the same for everybody.",
            "A_1 only if both hold: the picture is of the target, and p >= eta.",
            "`1 / (1 + np.exp(-(a2 @ np.maximum(first @ g, 0))))`",
        ),
        well_done="A_2 is shared: both domains move it, and only the squeezing is a domain's own.",
    ),
    "mmd_linear": Exercise(
        task="From three n × n kernel matrices, return MMD² over the ring of neighbours i, i + 1.",
        answer=mmd_linear,
        fresh=_kernels,
        mistakes=(
            Mistake(_ring_not_closed, "The last row has a neighbour, too: the first. Close the ring."),
            Mistake(
                _twins,
                "You compare s_i with t_i. Cross terms go to the neighbour: s_i with t_(i+1), and s_(i+1) with t_i.",
            ),
            Mistake(_crossed_once, "Two cross terms are subtracted, `kst[i, j]` and `kst[j, i]`."),
            Mistake(
                _all_pairs,
                "That is the estimate over all pairs: n² of them. Here each row meets its neighbour only.",
            ),
        ),
        hints=(
            "Let i be 0 … n - 1 and j the next index, with 0 after n - 1.",
            "`j = np.roll(i, -1)`; then four terms, two added and two subtracted.",
            "`kss[i, j] + ktt[i, j] - kst[i, j] - kst[j, i]`, averaged.",
        ),
        well_done="4n pairs instead of 4n²: cheaper, right on average, and noisier.",
    ),
}
