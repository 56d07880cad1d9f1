"""Exercises of the chapter on tests: a p-value with ties, Holm's correction, and relabelling whole recordings."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake

CLOSE = 1e-9  # far above rounding, far below a difference of two means of values with one decimal


def p_value(x, labels, relabellings):
    """p-value of the difference of means without sign, from the values under given relabellings."""
    observed, null = _differences(x, labels, relabellings)
    return (np.sum(null >= observed - CLOSE) + 1) / (len(null) + 1)


def _differences(x, labels, relabellings):
    def difference(z):
        return abs(x[z == 1].mean() - x[z == 0].mean())

    return difference(labels), np.array([difference(z) for z in relabellings])


def _can_be_zero(x, labels, relabellings):
    observed, null = _differences(x, labels, relabellings)
    return np.mean(null >= observed - CLOSE)


def _ties_left_out(x, labels, relabellings):
    observed, null = _differences(x, labels, relabellings)
    return (np.sum(null > observed + CLOSE) + 1) / (len(null) + 1)


def _ties_by_rounding(x, labels, relabellings):
    observed, null = _differences(x, labels, relabellings)
    return (np.sum(null >= observed) + 1) / (len(null) + 1)


def _one_sided(x, labels, relabellings):
    def difference(z):
        return x[z == 1].mean() - x[z == 0].mean()

    null = np.array([difference(z) for z in relabellings])
    return (np.sum(null >= difference(labels) - CLOSE) + 1) / (len(null) + 1)


def _tied_sample(rng):
    """Few values with one decimal, so that many relabellings give the same difference but for rounding."""
    n = int(rng.integers(4, 7))
    x = np.round(rng.normal(size=2 * n), 1)
    labels = np.repeat([1, 0], n)
    return x, labels, np.array([rng.permutation(labels) for _ in range(300)])


def holm_adjusted(pvalues):
    """Holm's adjusted p-values in the order of the p-values."""
    order = np.argsort(pvalues)
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    return np.minimum(adjusted, 1)


def _bonferroni(pvalues):
    return np.minimum(pvalues * len(pvalues), 1)


def _may_fall(pvalues):
    order = np.argsort(pvalues)
    adjusted = np.empty(len(pvalues))
    adjusted[order] = pvalues[order] * np.arange(len(pvalues), 0, -1)
    return np.minimum(adjusted, 1)


def _sorted(pvalues):
    return np.sort(holm_adjusted(pvalues))


def _above_one(pvalues):
    order = np.argsort(pvalues)
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    return adjusted


def _benjamini_hochberg(pvalues):
    order = np.argsort(pvalues)[::-1]
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.minimum.accumulate(pvalues[order] * len(pvalues) / np.arange(len(pvalues), 0, -1))
    return np.minimum(adjusted, 1)


def _pvalues(rng):
    """Small and large p-values in random order: near ones that would fall, and products above 1."""
    near = 0.02 + rng.uniform(0, 0.002, size=4)
    return (rng.permutation(np.concatenate([near, rng.uniform(0, 0.01, 2), rng.uniform(0.3, 1, 4)])),)


def relabel(recording, labels, rng):
    """Labels after a random relabelling of whole recordings, as many in group 1 as before."""
    _, where, back = np.unique(recording, return_index=True, return_inverse=True)
    return rng.permutation(labels[where])[back]


def _windows_shuffled(recording, labels, rng):
    return rng.permutation(labels)


def _a_coin_each(recording, labels, rng):
    units, back = np.unique(recording, return_inverse=True)
    return rng.integers(0, 2, size=len(units))[back]


def _nothing_moves(recording, labels, rng):
    return labels.copy()


def _recordings(rng):
    """Windows of recordings of different lengths, their rows in random order; half of the recordings in group 1."""
    units = int(rng.integers(6, 10))
    recording = rng.permutation(np.repeat(rng.permutation(50)[:units], rng.integers(3, 8, size=units)))
    ones = rng.permutation(np.unique(recording))[: units // 2]
    return recording, np.isin(recording, ones).astype(int), int(rng.integers(2**31))


def _properties(answer, recording, labels, seed):
    """Whether recordings stay whole, how many are in group 1, and whether labels change, over 40 relabellings."""
    rng = np.random.default_rng(seed)
    units, where = np.unique(recording, return_index=True)
    whole, counts, seen = True, [], set()
    for _ in range(40):
        new = np.asarray(answer(recording, labels.copy(), rng)).astype(int)
        if new.shape != labels.shape:
            raise ValueError(f"return one label a window, {len(labels)} of them; got shape {new.shape}")
        whole &= all(len(set(new[recording == r].tolist())) == 1 for r in units)
        counts.append(int(new[where].sum()))
        seen.add(tuple(new.tolist()))
    as_before = all(c == int(labels[where].sum()) for c in counts)
    return np.array([whole, as_before, len(seen) > 5, set(new.tolist()) <= {0, 1}], dtype=float)


EXERCISES = {
    "p_value": Exercise(
        task="From pooled values, their 0/1 labels and relabellings (B, n), the p-value of |difference of means|.",
        answer=p_value,
        fresh=_tied_sample,
        trials=12,
        mistakes=(
            Mistake(
                _can_be_zero,
                "This is the share of the relabellings, and it can be 0. The labelling that you have is one more: "
                "count it above and below the line.",
            ),
            Mistake(
                _ties_left_out,
                "Relabellings that give the same difference are missing. They are at least as extreme: count ties.",
            ),
            Mistake(
                _ties_by_rounding,
                "Some ties are lost in the last digit: the order of a sum changes its rounding. Compare with the "
                "observed value less a tiny amount, such as 1e-9.",
            ),
            Mistake(
                _one_sided,
                "You look in one direction only. The statistic is the difference without its sign.",
            ),
        ),
        hints=(
            "Write a function of one label array that returns |mean of the ones - mean of the zeros|.",
            "Call it for `labels` and for every row of `relabellings`; count the rows that reach the first value.",
            "`null >= observed - 1e-9` keeps ties; then (b + 1) / (B + 1).",
        ),
        well_done="Ties are common: counts, ratings, rounded measurements. dakit counts near-ties as reached, too.",
    ),
    "holm_adjusted": Exercise(
        task="Return Holm's adjusted p-values, in the order in which the p-values came.",
        answer=holm_adjusted,
        fresh=_pvalues,
        mistakes=(
            Mistake(
                _bonferroni,
                "This is Bonferroni: every p-value times their number. Holm multiplies the smallest by k, the next "
                "by k - 1, and so on.",
            ),
            Mistake(
                _may_fall,
                "A larger p-value got a smaller adjusted one. Adjusted values never fall along the sorted order.",
            ),
            Mistake(_sorted, "The values are right, but sorted. Bring them back to the order of the input."),
            Mistake(_above_one, "A p-value cannot exceed 1: cap it."),
            Mistake(
                _benjamini_hochberg,
                "This is Benjamini-Hochberg. It bounds the share of false finds, Holm the chance of any.",
            ),
        ),
        hints=(
            "`order = np.argsort(pvalues)`; the sorted ones are multiplied by k, k - 1, …, 1.",
            "`np.maximum.accumulate` keeps them from falling.",
            "`adjusted[order] = …` brings them back; `np.minimum(…, 1)` caps them.",
        ),
        well_done="Holm never rejects less than Bonferroni and promises the same: there is no reason for the latter.",
    ),
    "relabel": Exercise(
        task="Return labels after one random relabelling in which whole recordings move.",
        answer=relabel,
        fresh=_recordings,
        ask=_properties,
        mistakes=(
            Mistake(
                _windows_shuffled,
                "Windows move one by one: a recording is torn apart. That is the test that raised false alarms.",
            ),
            Mistake(
                _a_coin_each,
                "A coin for each recording changes how many are in group 1. Shuffle the labels of the recordings.",
            ),
            Mistake(
                _nothing_moves,
                "The labels come back as they were. (Shuffling inside a recording does that, too: all its labels are "
                "equal.) Shuffle the labels of the recordings with `rng`.",
            ),
        ),
        hints=(
            "Give each recording one label first.",
            "`np.unique(recording, return_index=True, return_inverse=True)` finds a window of each, and the way back.",
            "`rng.permutation(labels[where])[back]`.",
        ),
        well_done="The same recipe serves patients, classrooms and days: relabel what was dealt.",
    ),
}
