"""Exercises of the chapter on ICV and IDD: a divergence of counts, two readings of ICV, two sets from one pool."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def divergence(counts_p, counts_q):
    """Jensen-Shannon divergence in nats of two histograms given as counts."""
    p, q = counts_p / np.sum(counts_p), counts_q / np.sum(counts_q)
    return _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2


def _entropy(p):
    p = p[p > 0]
    return -np.sum(p * np.log(p))


def _pooled_counts(counts_p, counts_q):
    """The mixture weighs each picture by its size."""
    p, q = counts_p / np.sum(counts_p), counts_q / np.sum(counts_q)
    mixed = (counts_p + counts_q) / np.sum(counts_p + counts_q)
    return _entropy(mixed) - (_entropy(p) + _entropy(q)) / 2


def _in_bits(counts_p, counts_q):
    return divergence(counts_p, counts_q) / np.log(2)


def _distance(counts_p, counts_q):
    return np.sqrt(divergence(counts_p, counts_q))


def _sum_instead_of_mean(counts_p, counts_q):
    """Both Kullback-Leibler terms added, without the halves."""
    return 2 * divergence(counts_p, counts_q)


def _one_side(counts_p, counts_q):
    """Only the first of the two Kullback-Leibler terms to the mixture."""
    p, q = counts_p / np.sum(counts_p), counts_q / np.sum(counts_q)
    seen = p > 0
    return np.sum(p[seen] * np.log(2 * p[seen] / (p + q)[seen]))


def _two_pictures(rng):
    """Counts of two pictures of different sizes, with empty cells in either or both."""
    bins = int(rng.integers(5, 12))
    made = []
    for size in (64, 256):
        weights = rng.dirichlet(np.ones(bins)) * (rng.random(bins) < 0.7)
        weights[int(rng.integers(bins))] += 0.2
        made.append(rng.multinomial(size, weights / weights.sum()))
    return tuple(made)


def both_readings(d, y):
    """Mean and variance of the divergences inside classes, averaged over the classes with a pair."""
    return _readings(d, y)


def _readings(d, y, *, ddof=0, offset=1, root=False):
    means, variances = [], []
    for c in np.unique(y):
        inside = d[np.ix_(y == c, y == c)]
        pairs = inside[np.triu_indices(len(inside), offset)]
        if len(inside) > 1:
            means.append(pairs.mean())
            variances.append(pairs.std() if root else pairs.var(ddof=ddof))
    return float(np.mean(means)), float(np.mean(variances))


def _with_itself(d, y):
    return _readings(d, y, offset=0)


def _whole_block(d, y):
    """All entries of each class's block, the diagonal among them."""
    blocks = [d[np.ix_(y == c, y == c)] for c in np.unique(y) if np.sum(y == c) > 1]
    return float(np.mean([b.mean() for b in blocks])), float(np.mean([b.var() for b in blocks]))


def _all_pairs_in_one_pot(d, y):
    i, j = np.triu_indices(len(y), 1)
    pairs = d[i, j][y[i] == y[j]]
    return float(pairs.mean()), float(pairs.var())


def _across_classes(d, y):
    pairs = d[np.triu_indices(len(y), 1)]
    return float(pairs.mean()), float(pairs.var())


def _sample_variance(d, y):
    return _readings(d, y, ddof=1)


def _standard_deviation(d, y):
    return _readings(d, y, root=True)


def _labelled_divergences(rng):
    """Divergences of pictures of three classes of 3 to 7, and of one that is alone in its class."""
    y = rng.permutation(np.repeat([0, 1, 2, 3], [*rng.integers(3, 8, size=3), 1]))
    half = np.triu(rng.uniform(0, np.log(2), size=(len(y), len(y))), 1)
    return half + half.T, y


def same_pool(n):
    """Two sets of n pictures from one pool of pixels: all alike, and no two alike."""
    greys = (np.arange(n) + 0.5) / n
    second = np.ones((n, 1, 8, 8)) * greys[:, None, None, None]
    first = np.tile(np.repeat(greys, 64 // n).reshape(1, 1, 8, 8), (n, 1, 1, 1))
    return first, second


def _one_grey(n):
    """A first set of one grey only: all alike, but of another pool."""
    return np.full((n, 1, 8, 8), 0.5), same_pool(n)[1]


def _black_or_white(n):
    """Half black and half white in each picture; then black pictures and white ones."""
    first, second = np.zeros((n, 1, 8, 8)), np.zeros((n, 1, 8, 8))
    first[..., 4:] = 1
    second[n // 2 :] = 1
    return first, second


def _the_other_way_round(n):
    return same_pool(n)[::-1]


def _same_twice(n):
    return same_pool(n)[0], same_pool(n)[0][..., ::-1].copy()


def _measure(answer, n):
    """IDD between the two sets, ICV("mean") of each as one class, and their shapes."""
    from dakit import metrics

    xs, xt = (np.asarray(x, dtype=float) for x in answer(n))
    icvs = [metrics.icv(x, np.zeros(len(x)), stat="mean") for x in (xs, xt)]
    return metrics.idd(xs, xt), *icvs, xs.shape[0], xt.shape[0]


EXERCISES = {
    "divergence": Exercise(
        task="From two arrays of counts, return the Jensen-Shannon divergence in nats.",
        answer=divergence,
        fresh=_two_pictures,
        mistakes=(
            Mistake(
                _pooled_counts,
                "You mixed the counts. The larger picture then weighs more; divide each by its own sum first, and mix "
                "the two histograms half and half.",
            ),
            Mistake(_in_bits, "These are bits. With the natural logarithm the largest value is ln 2, not 1."),
            Mistake(
                _distance,
                "This is the square root, the Jensen-Shannon *distance*, as scipy returns it. Square it.",
            ),
            Mistake(
                _sum_instead_of_mean,
                "Twice too large: the entropy of the mixture loses the *mean* of the two entropies, half of each.",
            ),
            Mistake(
                _one_side,
                "This is the divergence of the first histogram from the mixture alone. The second counts as much: "
                "the result must not change when you swap the two.",
            ),
        ),
        hints=(
            "Turn the counts into shares first: each array divided by its own sum.",
            "The entropy is -sum p ln p over the cells that are not empty.",
            "Entropy of the half-and-half mixture, minus the mean of the two entropies.",
        ),
        well_done="An empty cell costs nothing here. The Kullback-Leibler divergence would be infinite.",
    ),
    "both_readings": Exercise(
        task="From an n × n matrix of divergences and n labels, return ICV as a mean and as a variance.",
        answer=both_readings,
        fresh=_labelled_divergences,
        mistakes=(
            Mistake(
                _with_itself,
                "The diagonal is in: a picture compared with itself, always 0. Take the pairs above the diagonal.",
            ),
            Mistake(
                _whole_block,
                "You took whole blocks, with their diagonals: a picture compared with itself is always 0. Take the "
                "pairs above the diagonal.",
            ),
            Mistake(
                _all_pairs_in_one_pot,
                "All pairs went into one pot, so that large classes count more. Take the mean and the variance inside "
                "each class, then average over the classes.",
            ),
            Mistake(
                _across_classes, "Pairs of different classes are in. ICV compares pictures of one class only."
            ),
            Mistake(
                _sample_variance,
                "You divide by the number of pairs minus one. These are all the pairs there are: divide by their "
                "number, `ddof=0`.",
            ),
            Mistake(_standard_deviation, "This is the standard deviation; the variance is its square."),
        ),
        hints=(
            "`d[np.ix_(y == c, y == c)]` is the block of one class.",
            "`np.triu_indices(k, 1)` gives each pair of a block once, and none with itself.",
            "Mean and variance for each class that has a pair; at the end the average over these classes.",
        ),
        well_done="One class, one vote: a large class does not decide for the others.",
    ),
    "same_pool": Exercise(
        task="Return two sets of n grey pictures (n, 1, 8, 8): IDD 0, ICV(mean) 0 in the first and ln 2 in the second.",
        answer=same_pool,
        fresh=lambda rng: (int(rng.choice([4, 8, 16])),),
        ask=_measure,
        mistakes=(
            Mistake(
                _one_grey,
                "ICV is right in both sets, but IDD is not 0: the first set uses one grey, the second uses many. Both "
                "need the same pool of pixels.",
            ),
            Mistake(
                _black_or_white,
                "IDD is 0 and the first set is right. But two black pictures are alike, so the second set stays below "
                "ln 2: no two pictures may share a grey.",
            ),
            Mistake(
                _the_other_way_round,
                "Both sets are right, in the wrong order: the consistent one comes first.",
            ),
            Mistake(
                _same_twice,
                "The second set holds the same histograms in another order of pixels. ICV sees no order.",
            ),
        ),
        hints=(
            "ln 2 needs pictures that share no cell: give each picture of the second set a grey of its own.",
            "IDD sees only the pool: the first set must use every one of these greys equally often.",
            "Let each picture of the first set hold all n greys, 64 / n pixels of each.",
        ),
        well_done="IDD compares means of histograms, and a mean does not tell who contributed what.",
    ),
}
