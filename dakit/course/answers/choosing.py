"""Exercises of the chapter on choosing: the luck in the best of N, what a validator loses, reverse validation."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def luck(a, n, N):
    """sqrt(a (1 - a) / n) sqrt(2 log N)."""
    return np.sqrt(a * (1 - a) / n) * np.sqrt(2 * np.log(N))


def _variance(a, n, N):
    return a * (1 - a) / n * np.sqrt(2 * np.log(N))


def _no_two(a, n, N):
    return np.sqrt(a * (1 - a) / n) * np.sqrt(np.log(N))


def _binary_logarithm(a, n, N):
    return np.sqrt(a * (1 - a) / n) * np.sqrt(2 * np.log2(N))


def _no_root(a, n, N):
    return np.sqrt(a * (1 - a) / n) * 2 * np.log(N)


def _one_example(a, n, N):
    return np.sqrt(a * (1 - a)) * np.sqrt(2 * np.log(N))


def _by_n(a, n, N):
    return np.sqrt(a * (1 - a)) / n * np.sqrt(2 * np.log(N))


def _three_numbers(rng):
    return float(rng.uniform(0.1, 0.9)), int(rng.integers(20, 500)), int(rng.integers(3, 200))


def lost(scores, accuracy):
    """max(accuracy) - accuracy of the run with the highest score that is a number."""
    return accuracy.max() - accuracy[np.nanargmax(scores)]


def _nan_wins(scores, accuracy):
    return accuracy.max() - accuracy[np.argmax(scores)]


def _lowest(scores, accuracy):
    return accuracy.max() - accuracy[np.nanargmin(scores)]


def _over_the_mean(scores, accuracy):
    return accuracy[np.nanargmax(scores)] - accuracy.mean()


def _turned(scores, accuracy):
    return accuracy[np.nanargmax(scores)] - accuracy.max()


def _of_the_score(scores, accuracy):
    return accuracy.max() - np.nanmax(scores)


def _runs(rng):
    n = int(rng.integers(6, 12))
    scores, accuracy = rng.normal(size=n), rng.uniform(0.2, 0.9, size=n)
    accuracy[int(scores.argmax())] = accuracy.min() + 0.3 * np.ptp(accuracy)
    best = int(accuracy.argmax())
    gap = next(i for i in rng.permutation(n) if i not in (best, int(scores.argmax())))
    scores[gap] = np.nan
    return scores, accuracy


def reverse(zs, ys, zt, pseudo):
    """Nearest class means of the pseudo-labelled target, judged on the source."""
    return (_nearest(zs, zt, pseudo) == ys).mean()


def _nearest(x, z, y):
    means = np.stack([z[y == c].mean(axis=0) for c in range(y.max() + 1)])
    return ((x[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)


def _forward(zs, ys, zt, pseudo):
    return (_nearest(zt, zs, ys) == pseudo).mean()


def _target_on_itself(zs, ys, zt, pseudo):
    return (_nearest(zt, zt, pseudo) == pseudo).mean()


def _source_on_itself(zs, ys, zt, pseudo):
    return (_nearest(zs, zs, ys) == ys).mean()


def _errors(zs, ys, zt, pseudo):
    return (_nearest(zs, zt, pseudo) != ys).mean()


def _two_domains(rng):
    k, d = 3, 2
    centres = rng.normal(size=(k, d)) * 1.5
    ys, yt = (np.r_[np.arange(k), rng.integers(k, size=n)] for n in (47, 38))
    zs, zt = (centres[y] + rng.normal(size=(len(y), d)) for y in (ys, yt))
    pseudo = np.where(rng.random(len(yt)) < 0.25, rng.integers(k, size=len(yt)), yt)
    pseudo[:k] = np.arange(k)
    return zs, ys, zt + rng.normal(size=d), pseudo


EXERCISES = {
    "luck": Exercise(
        task="σ √(2 log N) with σ the standard deviation of an accuracy `a` on `n` examples.",
        answer=luck,
        fresh=_three_numbers,
        mistakes=(
            Mistake(
                _variance, "You use the variance a(1 - a)/n. Luck is measured in accuracy: take its root."
            ),
            Mistake(_no_two, "The 2 under the second root is missing."),
            Mistake(_binary_logarithm, "That is the logarithm to base 2. The formula wants the natural one."),
            Mistake(
                _no_root, "The second factor has no root: √(2 log N), not 2 log N. The best grows slowly."
            ),
            Mistake(
                _one_example,
                "n is missing: that is the spread of a single answer. More examples leave less luck.",
            ),
            Mistake(_by_n, "You divide by n. The spread of a mean of n answers falls with √n."),
        ),
        hints=(
            "One answer is right with probability a: variance a(1 - a). The mean of n of them has a(1 - a)/n.",
            "`np.sqrt(a * (1 - a) / n)` is σ. The other factor depends on N alone.",
        ),
        well_done="Ten times as many candidates cost little more luck; a quarter of the labels doubles it.",
        rtol=1e-6,
        atol=1e-9,
    ),
    "lost": Exercise(
        task="Best accuracy minus that of the run with the highest score; a score of NaN cannot be kept.",
        answer=lost,
        fresh=_runs,
        mistakes=(
            Mistake(
                _nan_wins, "`np.argmax` takes NaN for the largest number: you keep the run without a score."
            ),
            Mistake(
                _lowest, "You keep the run with the lowest score. All scores here are better when higher."
            ),
            Mistake(
                _over_the_mean,
                "That is what the pick gains over a pick at random: a good number, but asked is what it loses to the "
                "best.",
            ),
            Mistake(_turned, "The sign is turned: what is lost is at least 0."),
            Mistake(
                _of_the_score,
                "You subtract the score itself. It only chooses; what counts is the accuracy of the chosen run.",
            ),
        ),
        hints=(
            "Two steps: which run has the highest score? How accurate is that one?",
            "`np.nanargmax` looks past NaN.",
        ),
        well_done="A validator without a score for a collapsed run is right to have none.",
        rtol=1e-6,
        atol=1e-9,
    ),
    "reverse": Exercise(
        task="Learn class means from the target and its pseudo labels; return their accuracy on the source.",
        answer=reverse,
        fresh=_two_domains,
        mistakes=(
            Mistake(
                _forward,
                "That is the way there: you learn on the source and are judged by pseudo labels, which may be wrong. "
                "Reverse it: only the source has labels to trust.",
            ),
            Mistake(
                _target_on_itself,
                "You judge on the target: that says how well the pseudo labels cluster, right or wrong.",
            ),
            Mistake(_source_on_itself, "The target takes no part: you learn and judge on the source."),
            Mistake(_errors, "You count the errors. Higher should be better: count what is right."),
        ),
        hints=(
            "`zt[pseudo == c].mean(axis=0)` is the mean of class c.",
            "`zs[:, None] - means` has the shape (n, k, d): square, sum over the last axis, `argmin(axis=1)`.",
        ),
        well_done="Judged by labels that you have. What it cannot see is an error that leads there and back.",
        rtol=1e-6,
        atol=1e-9,
    ),
}
