"""Exercises of the chapter on the bound: A-distance, the sum, a pair with d = 0, and the price of alignment."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def a_distance_of(called_s, called_t):
    """A-distance from what a domain classifier says of held-out points: True where it says "target"."""
    error = (np.mean(called_s) + np.mean(np.logical_not(called_t))) / 2
    return 2 * (1 - 2 * min(error, 0.5))


def _pooled(called_s, called_t):
    wrong = np.concatenate([called_s, ~called_t])
    return 2 * (1 - 2 * min(wrong.mean(), 0.5))


def _not_cut(called_s, called_t):
    return 2 * (1 - np.mean(called_s) - np.mean(~called_t))


def _not_doubled(called_s, called_t):
    return a_distance_of(called_s, called_t) / 2


def _accuracy_for_error(called_s, called_t):
    right = (np.mean(~called_s) + np.mean(called_t)) / 2
    return 2 * (1 - 2 * min(right, 0.5))


def _calls(rng):
    """Held-out calls; the samples differ in size, and now and then the classifier is worse than a coin."""
    n, m = int(rng.integers(20, 40)), int(rng.integers(80, 160))
    error = rng.uniform(0.05, 0.4) if rng.random() < 0.5 else rng.uniform(0.55, 0.7)
    off = rng.uniform(-0.05, 0.05)
    return rng.random(n) < error + off, rng.random(m) > error - off


def bound_from(trained, fresh, star_s, star_t, d):
    """Source error on fresh points, half of the divergence, and both errors of the joint classifier."""
    return np.mean(fresh) + d / 2 + np.mean(star_s) + np.mean(star_t)


def _on_training_points(trained, fresh, star_s, star_t, d):
    return bound_from(fresh, trained, star_s, star_t, d)


def _whole_divergence(trained, fresh, star_s, star_t, d):
    return bound_from(trained, fresh, star_s, star_t, 2 * d)


def _mean_for_sum(trained, fresh, star_s, star_t, d):
    return np.mean(fresh) + d / 2 + (np.mean(star_s) + np.mean(star_t)) / 2


def _no_lambda(trained, fresh, star_s, star_t, d):
    return np.mean(fresh) + d / 2


def _target_half_of_lambda(trained, fresh, star_s, star_t, d):
    return np.mean(fresh) + d / 2 + np.mean(star_t)


def _cut_at_one(trained, fresh, star_s, star_t, d):
    return min(1.0, bound_from(trained, fresh, star_s, star_t, d))


def _mistakes_made(rng):
    """True where a prediction is wrong: h on its training points, h on fresh ones, h* on source and on target."""
    n, m = int(rng.integers(40, 80)), int(rng.integers(40, 80))
    rates = (0.03, rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.4))
    wrong = [rng.random(size) < rate for size, rate in zip((2 * n, n, n, m), rates)]
    return (*wrong, float(rng.uniform(0.8, 1.9)))


def harmless(n):
    """The same inputs on both sides, the opposite labels."""
    x = np.linspace(-1, 1, n)[:, None]
    y = (x[:, 0] > 0).astype(int)
    return x, y, x.copy(), 1 - y


def _moved_away(n):
    x, y, _, _ = harmless(n)
    return x, y, x + 5, 1 - y


def _coin_labels(n):
    x, y, _, _ = harmless(n)
    return x, y, x, np.arange(n) % 2


def _same_rule(n):
    x, y, _, _ = harmless(n)
    return x, y, x, y


def _one_class(n):
    """No classifier is asked anything: every source point is of class 0, every target point of class 1."""
    x, y, _, _ = harmless(n)
    return x, np.zeros_like(y), x, np.ones_like(y)


def what_it_does(answer, n):
    """(d_H of thresholds, whether a nearest neighbour learns the source, its target error, whether both classes occur).

    The target error is told in thirds: near 0, near 1, or between.
    """
    from dakit import metrics

    xs, ys, xt, yt = (np.asarray(part) for part in answer(n))
    for inputs, labels in ((xs, ys), (xt, yt)):
        if inputs.ndim != 2 or labels.shape != (n,) or len(inputs) != n:
            raise ValueError(f"inputs must have shape ({n}, d) and labels ({n},)")
    # A point of the source is judged by its other neighbours.
    between = ((xs[:, None] - xs) ** 2).sum(2).astype(float)
    np.fill_diagonal(between, np.inf)
    across = ((xt[:, None] - xs) ** 2).sum(2)
    source_error = np.mean(ys[between.argmin(1)] != ys)
    target_error = np.mean(ys[across.argmin(1)] != yt)
    d = metrics.h_divergence(xs, xt, hypotheses="stumps")
    both = len(np.unique(ys)) == 2
    told = 0.0 if target_error < 0.2 else 1.0 if target_error > 0.95 else 0.5
    return np.array([round(d, 2), source_error < 0.2, told, both], dtype=float)


def price(share_s, share_t):
    """Lower bound of Zhao et al. (2019) for features of one distribution: half the squared distance of the labels."""

    def entropy(p):
        return -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)

    return (entropy((share_s + share_t) / 2) - (entropy(share_s) + entropy(share_t)) / 2) / 2


def _in_nats(share_s, share_t):
    return price(share_s, share_t) * np.log(2)


def _not_halved(share_s, share_t):
    return 2 * price(share_s, share_t)


def _not_squared(share_s, share_t):
    return np.sqrt(2 * price(share_s, share_t)) / 2


def _difference(share_s, share_t):
    return abs(share_s - share_t) / 2


EXERCISES = {
    "a_distance_of": Exercise(
        task='From what a domain classifier says of held-out points (True: "target"), return the A-distance.',
        answer=a_distance_of,
        fresh=_calls,
        trials=12,
        mistakes=(
            Mistake(
                _pooled,
                "You pooled all points. The samples differ in size here, and whoever always names the larger one "
                "would look clever: average the error on source and the error on target.",
            ),
            Mistake(
                _not_cut,
                "The distance can become negative. A classifier worse than a coin counts as a coin: error at most 1/2.",
            ),
            Mistake(_not_doubled, "The scale runs from 0 to 2: a factor 2 in front is missing."),
            Mistake(
                _accuracy_for_error,
                "You put in the share of right calls. It is wrong on a source point when it says True.",
            ),
        ),
        hints=(
            "On a source point True is a mistake; on a target point False is.",
            "Average the two error rates, so that both domains count alike.",
            "Cut that error at 1/2, then return 2 (1 - 2 error).",
        ),
        well_done="This is the H-divergence of the classifiers that you trained, and no more than that.",
    ),
    "bound_from": Exercise(
        task="Given where h and h* are wrong, and d, return the bound on the target error.",
        answer=bound_from,
        fresh=_mistakes_made,
        mistakes=(
            Mistake(
                _on_training_points,
                "You took the error of h on the points that it was trained on. It is smaller than the error on fresh "
                "points, and the bound would promise too much.",
            ),
            Mistake(
                _whole_divergence, "The divergence enters with one half: it lives on a scale from 0 to 2."
            ),
            Mistake(_mean_for_sum, "λ* is the sum of the two errors of h*, not their mean."),
            Mistake(
                _no_lambda,
                "λ* is missing. Without it the sum bounds nothing, and it is the one term that needs target labels.",
            ),
            Mistake(
                _target_half_of_lambda,
                "λ* has two halves: h* errs on the source as well, and both errors count.",
            ),
            Mistake(
                _cut_at_one,
                "A bound above 1 is true and says nothing. Do not hide that by cutting it: return the sum.",
            ),
        ),
        hints=(
            "Three terms: what h does wrong on the source, half of d, and what h* does wrong.",
            "For h use `fresh`: points that it has not been trained on.",
            "`np.mean` of an array of True and False is an error rate; λ* is the sum of two of them.",
        ),
        well_done="Of the four ingredients three can be had without target labels. The fourth, `star_t`, cannot.",
    ),
    "harmless": Exercise(
        task="Return xs, ys, xt, yt, n points each, with d = 0, and target error 1 for whoever is right on source.",
        answer=harmless,
        fresh=lambda rng: (int(rng.integers(40, 80)),),
        ask=what_it_does,
        mistakes=(
            Mistake(
                _moved_away, "The target error is right, but your target inputs lie elsewhere: d is not 0."
            ),
            Mistake(
                _coin_labels,
                "With labels by a coin every classifier is wrong half of the time. It can be made worse.",
            ),
            Mistake(_same_rule, "The same inputs and the same rule: that is no shift at all, and no error."),
            Mistake(
                _one_class,
                "Each domain holds a single class. It counts, but it is label shift as well; keep both classes on "
                "both sides.",
            ),
        ),
        hints=(
            "d looks at inputs only. Which target inputs are sure to give d = 0?",
            "The source needs a rule that a nearest neighbour can learn, for example y = 1 where x > 0.",
            "Who is right on every source point should be wrong on every target point: turn each label around.",
        ),
        well_done="All of the error sits in λ*: no h is good on both sides, and no unlabelled point shows it.",
    ),
    "price": Exercise(
        task="Lower bound on source error + target error when features are perfectly aligned but class shares differ.",
        answer=price,
        fresh=lambda rng: (float(rng.uniform(0.05, 0.45)), float(rng.uniform(0.55, 0.95))),
        mistakes=(
            Mistake(_in_nats, "You used natural logarithms. The theorem counts in bits: `np.log2`."),
            Mistake(_not_halved, "The factor 1/2 in front is missing."),
            Mistake(
                _not_squared,
                "The bound has the *squared* distance, which is the divergence itself: take no root.",
            ),
            Mistake(
                _difference,
                "That is half of the difference of the shares, not of their Jensen-Shannon divergence.",
            ),
        ),
        hints=(
            "The labels are coins: their entropy is H(p) = -p log2 p - (1 - p) log2 (1 - p).",
            "The Jensen-Shannon divergence is H of the mean share less the mean of the two H.",
            "Half of it is the lower bound.",
        ),
        well_done="It depends on nothing but the class shares: no network and no training can get below it.",
    ),
}
