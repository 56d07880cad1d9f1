"""Exercises of the chapter on frozen features: signed power, sums over views, distances between windows."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def signed_unit(x, power):
    """Each entry to a signed power, then each row to length 1."""
    p = np.sign(x) * np.abs(x) ** power
    return p / np.linalg.norm(p, axis=1, keepdims=True)


def _signs_lost(x, power):
    p = np.abs(x) ** power
    return p / np.linalg.norm(p, axis=1, keepdims=True)


def _length_lost(x, power):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.sign(u) * np.abs(u) ** power


def _columns(x, power):
    p = np.sign(x) * np.abs(x) ** power
    return p / np.linalg.norm(p, axis=0, keepdims=True)


def _length_of_the_input(x, power):
    p = np.sign(x) * np.abs(x) ** power
    return p / np.linalg.norm(x, axis=1, keepdims=True)


def _rows(rng):
    return rng.normal(size=(int(rng.integers(3, 6)), 4)), float(rng.choice([2.0, 3.0, 0.5]))


def summed(scores):
    """Class by the sum of the views' scores (views, classes)."""
    return int(np.sum(scores, axis=0).argmax())


def _vote(scores):
    return int(np.bincount(np.argmax(scores, axis=1), minlength=scores.shape[1]).argmax())


def _boldest(scores):
    return int(np.max(scores, axis=0).argmax())


def _whole_picture(scores):
    return int(np.argmax(scores[0]))


def _sum_over_classes(scores):
    return int(np.sum(scores, axis=1).argmax())


def _scores(rng):
    """Scores for which sum, vote, largest and first view mostly give different classes."""
    scores = rng.normal(size=(16, 5))
    a, b, c, d = rng.permutation(5)[:4]
    scores[:, a] += 0.9
    scores[rng.permutation(15)[:2] + 1, b] += 4
    scores[0] = -1.0
    scores[0, c] = 1.5
    scores[5:, d] = scores[5:].max(1) + 0.02
    scores[1:5, d] -= 3
    return (scores,)


def window_distance(query, reference):
    """Mean over the query's windows of the distance to the nearest window of the reference."""
    d = np.linalg.norm(query[:, None] - reference[None], axis=2)
    return d.min(axis=1).mean()


def _swapped(query, reference):
    return window_distance(reference, query)


def _nearest_pair(query, reference):
    return np.linalg.norm(query[:, None] - reference[None], axis=2).min()


def _all_pairs(query, reference):
    return np.linalg.norm(query[:, None] - reference[None], axis=2).mean()


def _squared(query, reference):
    return (np.linalg.norm(query[:, None] - reference[None], axis=2) ** 2).min(axis=1).mean()


def _windows(rng):
    return rng.normal(size=(int(rng.integers(2, 5)), 3)), rng.normal(size=(int(rng.integers(5, 9)), 3))


EXERCISES = {
    "signed_unit": Exercise(
        task="Raise each entry to the power, keeping its sign, and divide each row by its length.",
        answer=signed_unit,
        fresh=_rows,
        mistakes=(
            Mistake(
                _signs_lost, "A negative entry has become positive. The power is signed: keep `np.sign(x)`."
            ),
            Mistake(
                _length_lost,
                "You normalised first and took the power afterwards, so the rows have lost their length 1 again.",
            ),
            Mistake(
                _columns, "You divided the columns. A picture is a row, and it is the row that gets length 1."
            ),
            Mistake(
                _length_of_the_input,
                "You divided by the length that the row had before the power. Take the length of what you divide.",
            ),
        ),
        hints=(
            "Two steps: `np.sign(x) * np.abs(x) ** power`, then a division.",
            "`np.linalg.norm(p, axis=1, keepdims=True)` holds one length a row.",
        ),
        well_done="A factor on a row falls out, whatever the power: brightness of the features no longer counts.",
    ),
    "summed": Exercise(
        task="From the scores of 16 views for each class, shape (16, k), return the index of the winning class.",
        answer=summed,
        fresh=_scores,
        trials=12,
        mistakes=(
            Mistake(
                _vote,
                "You let the views vote. A view that barely prefers a class then counts as much as a sure one.",
            ),
            Mistake(_boldest, "You took the single boldest view. One odd crop can now decide for all 16."),
            Mistake(_whole_picture, "You looked at view 0, the whole picture, alone."),
            Mistake(
                _sum_over_classes,
                "You added over the classes and picked a view. Add over the views, axis 0, and pick a class.",
            ),
        ),
        hints=(
            "Every view gives a score to every class; the scores of the views are added.",
            "`scores.sum(axis=0)` has one entry a class.",
        ),
        well_done="A view that is unsure says little, and weighs little.",
    ),
    "window_distance": Exercise(
        task="From windows of a query (p, d) and of a reference (r, d), return the distance of the two pictures.",
        answer=window_distance,
        fresh=_windows,
        mistakes=(
            Mistake(
                _swapped, "The roles are swapped: every window of the *query* looks for its nearest one."
            ),
            Mistake(
                _nearest_pair,
                "You kept the nearest pair alone. One look-alike corner would make any two pictures equal.",
            ),
            Mistake(
                _all_pairs, "You averaged over all pairs. A window needs one good partner, not all of them."
            ),
            Mistake(_squared, "The distances are squared. Take the length itself."),
        ),
        hints=(
            "First the table of distances of shape (p, r): `query[:, None] - reference[None]`.",
            "For each row the smallest entry; then the mean over the rows.",
        ),
        well_done="More windows of the reference can only bring it nearer; with one window each it is plain distance.",
    ),
}
