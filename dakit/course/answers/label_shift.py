"""Exercises of the chapter on label shift: a linear solve, corrected probabilities, one step of EM."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def shares_from_counts(counts, mean):
    """Class shares of the target; counts[j, i] source examples of true class j were predicted as i."""
    confusion = (counts / counts.sum(axis=1, keepdims=True)).T  # column j: what class j is predicted as
    return np.linalg.solve(confusion, mean)


def _transposed(counts, mean):
    return np.linalg.solve(counts / counts.sum(axis=1, keepdims=True), mean)


def _by_predicted(counts, mean):
    return counts / counts.sum(axis=0) @ mean


def _weights(counts, mean):
    return np.linalg.solve(counts.T / counts.sum(), mean)


def _counted(counts, mean):
    return np.asarray(mean)


def _confusions(rng):
    """A confusion table of unequal classes, far from symmetric, and predictions of a target with other shares."""
    k = int(rng.integers(3, 6))
    rows = rng.dirichlet(np.ones(k), size=k) * 0.4 + 0.6 * np.eye(k)
    counts = np.round(rng.integers(100, 900, size=(k, 1)) * rows) + 1
    shares = rng.dirichlet(np.full(k, 2.0))
    return counts, (counts / counts.sum(axis=1, keepdims=True)).T @ shares


def adjust(probs, source_shares, target_shares):
    """Probabilities of a source classifier, corrected for the class shares of the target."""
    weighted = probs * (target_shares / source_shares)
    return weighted / weighted.sum(axis=1, keepdims=True)


def _not_normalised(probs, source_shares, target_shares):
    return probs * (target_shares / source_shares)


def _target_alone(probs, source_shares, target_shares):
    return adjust(probs, np.ones_like(source_shares), target_shares)


def _upside_down(probs, source_shares, target_shares):
    return adjust(probs, target_shares, source_shares)


def _columns(probs, source_shares, target_shares):
    weighted = probs * (target_shares / source_shares)
    return weighted / weighted.sum(axis=0)


def _probabilities(rng):
    n, k = int(rng.integers(6, 12)), int(rng.integers(3, 6))
    return rng.dirichlet(np.ones(k), size=n), rng.dirichlet(np.full(k, 3.0)), rng.dirichlet(np.full(k, 3.0))


def em_step(probs, source_shares, shares):
    """New estimate of the target's class shares from its predictions and the current estimate."""
    weighted = probs * (shares / source_shares)
    responsibilities = weighted / weighted.sum(axis=1, keepdims=True)
    return responsibilities.mean(axis=0)


def _source_shares_left_out(probs, source_shares, shares):
    return em_step(probs, np.ones_like(source_shares), shares)


def _normalised_at_the_end(probs, source_shares, shares):
    weighted = (probs * (shares / source_shares)).mean(axis=0)
    return weighted / weighted.sum()


def _hard(probs, source_shares, shares):
    winners = (probs * (shares / source_shares)).argmax(axis=1)
    return np.bincount(winners, minlength=len(shares)) / len(probs)


def _never_moves(probs, source_shares, shares):
    return probs.mean(axis=0)


EXERCISES = {
    "shares_from_counts": Exercise(
        task="From a confusion table (rows: true class) and the shares predicted on the target, find the true ones.",
        answer=shares_from_counts,
        fresh=_confusions,
        mistakes=(
            Mistake(
                _transposed,
                "The matrix is transposed. In `counts` the true class is the row; in `mean = M q` column j of M says "
                "how class j is predicted. With a symmetric table nobody would have noticed.",
            ),
            Mistake(
                _by_predicted,
                "You divided by how often each class is *predicted* (the precision). That depends on the class shares "
                "of the source, the very thing that has changed. Divide by how often each class is *true*.",
            ),
            Mistake(
                _weights,
                "These are the weights q / p, the solution for the joint table. The shares were asked for: make each "
                "class's predictions sum to 1 first.",
            ),
            Mistake(_counted, "This is what was predicted, confusion and all. Solve for what was there."),
        ),
        hints=(
            "Which shares does one class alone produce? Divide each row of `counts` by its sum.",
            "`mean[i] = Σ_j (share of class j predicted as i) · q[j]`: in which place must i and j stand?",
            "Transpose the table of shares, then `np.linalg.solve`.",
        ),
        well_done="scikit-learn's confusion_matrix has the true class in the rows, most papers in the columns.",
    ),
    "adjust": Exercise(
        task="Correct the probabilities (n, k) of a source classifier for the class shares of the target.",
        answer=adjust,
        fresh=_probabilities,
        mistakes=(
            Mistake(_not_normalised, "The weights are right, but the rows do not sum to 1 any more."),
            Mistake(
                _target_alone,
                "You multiplied by the target shares. The source shares are still inside `probs`: divide them out.",
            ),
            Mistake(
                _upside_down,
                "The ratio is upside down: a class that became more common must become more likely.",
            ),
            Mistake(
                _columns,
                "You made the columns sum to 1. Each row is one example, and its probabilities sum to 1.",
            ),
        ),
        hints=(
            "Bayes: p(y | x) is proportional to p(x | y) p(y), and p(x | y) has not changed.",
            "So each column is multiplied by `target_shares / source_shares`.",
            "Then divide each row by its sum: `sum(axis=1, keepdims=True)`.",
        ),
        well_done="No retraining: only the last line of the classifier changes.",
    ),
    "em_step": Exercise(
        task="One step of EM: from probabilities (n, k) on the target and the current shares to the next shares.",
        answer=em_step,
        fresh=_probabilities,
        mistakes=(
            Mistake(
                _source_shares_left_out,
                "`source_shares` takes no part. The classifier's probabilities hold the source shares: divide by them.",
            ),
            Mistake(
                _normalised_at_the_end,
                "You averaged first and normalised afterwards. Each example has one vote: make its row sum to 1, "
                "then average.",
            ),
            Mistake(
                _hard,
                "You gave each example to its likeliest class. EM splits an example between the classes.",
            ),
            Mistake(
                _never_moves,
                "This is the mean prediction. It forgets the current `shares`, so a second step would change nothing.",
            ),
        ),
        hints=(
            "First correct the probabilities for the current shares: that is exercise 2.",
            "Each row now says how the example is split between the classes, and sums to 1.",
            "The next shares are the mean of the rows.",
        ),
        well_done="Repeat it and the likelihood of the target never falls: that is MLLS.",
    ),
}
