"""Exercises of the chapter on optimal transport: sorting, the barycentric map, labels on the way, weights of rows."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def cost_on_a_line(xs, xt):
    """Smallest mean squared distance over all one-to-one pairings of two equally large sets of numbers."""
    return np.mean((np.sort(xs) - np.sort(xt)) ** 2)


def _unsorted(xs, xt):
    return np.mean((xs - xt) ** 2)


def _nearest(xs, xt):
    return np.mean(((xs[:, None] - xt) ** 2).min(1))


def _summed(xs, xt):
    return np.sum((np.sort(xs) - np.sort(xt)) ** 2)


def _root(xs, xt):
    return np.sqrt(cost_on_a_line(xs, xt))


def _absolute(xs, xt):
    return np.mean(np.abs(np.sort(xs) - np.sort(xt)))


def _numbers(rng):
    n = int(rng.integers(5, 12))
    return rng.normal(size=n), rng.normal(rng.uniform(0, 2), 1.5, size=n)


def barycentric(plan, xt):
    """Where each source row lands: the mean of the target rows, weighted by the mass that it sends to them."""
    return plan @ xt / plan.sum(1, keepdims=True)


def _not_divided(plan, xt):
    return plan @ xt


def _divided_by_columns(plan, xt):
    return plan / plan.sum(0) @ xt


def _times_n(plan, xt):
    return len(plan) * plan @ xt


def _largest_share(plan, xt):
    return xt[plan.argmax(1)]


def _plan(rng):
    """A positive plan whose rows do not all hold the same mass, and target rows."""
    n, m = (int(k) for k in rng.integers(3, 7, 2))
    plan = rng.gamma(0.5, size=(n, m)) + 0.05
    return plan / plan.sum(), rng.normal(size=(m, int(rng.integers(2, 4)))) + 1


def labels_received(plan, ys, k):
    """Share of each class in the mass that a target row receives, of shape (m, k)."""
    one_hot = np.eye(k)[ys]
    return plan.T @ one_hot / plan.sum(0)[:, None]


def _mass_not_shares(plan, ys, k):
    return plan.T @ np.eye(k)[ys]


def _winner_takes_all(plan, ys, k):
    return np.eye(k)[labels_received(plan, ys, k).argmax(1)]


def _best_sender(plan, ys, k):
    return np.eye(k)[ys[plan.argmax(0)]]


def _rows_normalised(plan, ys, k):
    return (plan / plan.sum(1, keepdims=True)).T @ np.eye(k)[ys]


def _labelled_plan(rng):
    n, m, k = (int(v) for v in (rng.integers(6, 10), rng.integers(3, 6), rng.integers(2, 4)))
    plan = rng.gamma(0.7, size=(n, m)) + 0.05
    ys = rng.permutation(np.concatenate([np.arange(k), rng.integers(k, size=n - k)]))
    return plan / plan.sum(), ys, k


def row_weights(ys, shares):
    """Mass of each source row, so that class c has the mass shares[c] in all and its rows have equal parts."""
    counts = np.bincount(ys, minlength=len(shares))
    return shares[ys] / counts[ys]


def _uniform(ys, shares):
    return np.full(len(ys), 1 / len(ys))


def _share_each(ys, shares):
    return shares[ys]


def _share_each_normalised(ys, shares):
    return shares[ys] / shares[ys].sum()


def _divided_by_n(ys, shares):
    return shares[ys] / len(ys)


def _ratio_only(ys, shares):
    return (shares / (np.bincount(ys, minlength=len(shares)) / len(ys)))[ys]


def _classes(rng):
    k = int(rng.integers(2, 5))
    ys = np.concatenate([np.repeat(np.arange(k), 1 + np.arange(k)), rng.integers(k, size=8)])
    return rng.permutation(ys), rng.dirichlet(np.ones(k) * 3)


EXERCISES = {
    "cost_on_a_line": Exercise(
        task="Mean squared cost of the best one-to-one pairing of two equally large sets of numbers.",
        answer=cost_on_a_line,
        fresh=_numbers,
        mistakes=(
            Mistake(
                _unsorted,
                "You paired the numbers in the order in which they came. On a line the best pairing never crosses.",
            ),
            Mistake(
                _nearest,
                "Every source number went to its nearest target, so some targets got several and some none. A plan "
                "has to serve each target once.",
            ),
            Mistake(_summed, "The sum instead of the mean: each number carries the mass 1/n."),
            Mistake(_root, "This is the distance W2. The question is for its square, the cost."),
            Mistake(_absolute, "Distances as they are, not squared: that is the cost of W1."),
        ),
        hints=(
            "Try two numbers a side: crossing or not?",
            "If a < b go to c < d, then (a-c)² + (b-d)² is never more than (a-d)² + (b-c)².",
            "Sort both, subtract, square, average.",
        ),
        well_done="In one dimension optimal transport is sorting. Sliced distances use it direction by direction.",
    ),
    "barycentric": Exercise(
        task="From a plan (n, m) and target rows (m, d), return where each source row lands, (n, d).",
        answer=barycentric,
        fresh=_plan,
        mistakes=(
            Mistake(
                _not_divided,
                "Divide by the mass of the source row: weights of a mean add up to 1, the rows of a plan do not.",
            ),
            Mistake(
                _divided_by_columns,
                "You divided by what each target row receives. A mean over targets needs what the source row sends.",
            ),
            Mistake(
                _times_n,
                "Times n is right only if each row holds exactly 1/n. Divide by the row's own sum.",
            ),
            Mistake(
                _largest_share,
                "You sent each row to its largest receiver. The barycentric map takes the mean over all of them.",
            ),
        ),
        hints=(
            "Row i of the plan holds how much of source row i goes to each target row.",
            "A weighted mean: sum of weights times rows, divided by the sum of the weights.",
            "`plan @ xt` is the sum, `plan.sum(1, keepdims=True)` the mass.",
        ),
        well_done="A soft plan gives means of many rows: the moved cloud is narrower than the target.",
    ),
    "labels_received": Exercise(
        task="Share of each class in the mass that each target row receives, of shape (m, k).",
        answer=labels_received,
        fresh=_labelled_plan,
        mistakes=(
            Mistake(_mass_not_shares, "These are masses. Shares add up to 1 for each target row: divide."),
            Mistake(
                _winner_takes_all,
                "You kept only the largest share. JDOT trains on the shares themselves; a split row says that the "
                "plan does not know.",
            ),
            Mistake(
                _best_sender,
                "You took the label of the one largest sender. Many small senders of another class can outweigh it.",
            ),
            Mistake(
                _rows_normalised,
                "You divided by what each source row sends. Here each *target* row is asked what it received.",
            ),
        ),
        hints=(
            "One-hot labels: `np.eye(k)[ys]`, of shape (n, k).",
            "`plan.T @ one_hot` has shape (m, k): the mass that each target row receives from each class.",
            "Divide by what it receives in all, `plan.sum(0)[:, None]`.",
        ),
        well_done="The mean of these rows, by mass, is the source's class shares: a plan hands out all labels it has.",
    ),
    "row_weights": Exercise(
        task="Masses of the source rows such that class c has shares[c] in all, in equal parts for its rows.",
        answer=row_weights,
        fresh=_classes,
        mistakes=(
            Mistake(
                _uniform, "These are the masses of plain OT: the source's own class shares, not `shares`."
            ),
            Mistake(
                _share_each, "Every row now holds the share of its whole class. Split it among its rows."
            ),
            Mistake(
                _share_each_normalised,
                "The masses add up to 1, but a class with many rows gets too much: split each share among its rows.",
            ),
            Mistake(_divided_by_n, "Divide by the number of rows of the *class*, not of the source."),
            Mistake(
                _ratio_only,
                "This is the ratio of new to old share, the weight w of label shift. A mass also needs the 1/n.",
            ),
        ),
        hints=(
            "Two rows of one class have the same mass.",
            "`np.bincount(ys, minlength=len(shares))` counts the rows of each class.",
            "`shares[ys]` is the share of each row's class, `counts[ys]` the size of that class.",
        ),
        well_done="They add up to 1, and so does what the target can take.",
    ),
}
