"""Exercises of the chapter on distances: a p-value that is never 0, MMD² of twins, and how far IDD can go."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def p_value(statistic, null):
    """p-value of a permutation test from the statistic and its values under random relabellings."""
    return (1 + np.sum(np.asarray(null) >= statistic)) / (1 + len(null))


def _can_be_zero(statistic, null):
    return np.mean(np.asarray(null) >= statistic)


def _ties_left_out(statistic, null):
    return (1 + np.sum(np.asarray(null) > statistic)) / (1 + len(null))


def _wrong_end(statistic, null):
    return (1 + np.sum(np.asarray(null) <= statistic)) / (1 + len(null))


def _one_above_only(statistic, null):
    return (1 + np.sum(np.asarray(null) >= statistic)) / len(null)


def _draws(rng):
    """Few draws on a coarse grid, so that ties happen; the statistic is one of them or beyond them all."""
    null = np.round(rng.normal(size=int(rng.integers(15, 40))), 1)
    return float(null.max() + 1 if rng.random() < 0.3 else rng.choice(null)), null


def mmd_paired(kss, ktt, kst):
    """Unbiased MMD² of twins: row i of the source and row i of the target show the same thing."""
    n = len(kss)
    h = kss + ktt - kst - kst.T
    return (h.sum() - np.trace(h)) / (n * (n - 1))


def _twins_kept(kss, ktt, kst):
    n = len(kss)
    inside = kss.sum() - np.trace(kss) + ktt.sum() - np.trace(ktt)
    return inside / (n * (n - 1)) - 2 * kst.mean()


def _everything_kept(kss, ktt, kst):
    return kss.mean() + ktt.mean() - 2 * kst.mean()


def _divided_by_all(kss, ktt, kst):
    n = len(kss)
    return mmd_paired(kss, ktt, kst) * (n - 1) / n


def _crossed_once(kss, ktt, kst):
    n = len(kss)
    h = kss + ktt - kst
    return (h.sum() - np.trace(h)) / (n * (n - 1))


def _kernels(rng):
    """Kernel matrices of n twins: a point of the target is its source point, moved a little."""
    n = int(rng.integers(6, 15))
    xs = rng.normal(size=(n, 3))
    xt = xs + rng.normal(0.5, 0.3, size=(n, 3))

    def kernel(a, b):
        return np.exp(-((a[:, None] - b) ** 2).sum(2) / 4)

    return kernel(xs, xs), kernel(xt, xt), kernel(xs, xt)


def same_brightness(level):
    """Two sets of grey images as far apart as IDD allows, both of this mean brightness."""
    plain = np.full((10, 1, 8, 8), level)
    split = np.zeros((10, 1, 8, 8))
    split[:, :, :, :4] = level - 0.1
    split[:, :, :, 4:] = level + 0.1
    return plain, split


def _black_and_white(level):
    return np.zeros((10, 1, 8, 8)), np.ones((10, 1, 8, 8))


def _shuffled(level):
    plain = same_brightness(level)[1]
    return plain, plain[..., ::-1].copy()


def _shares_a_cell(level):
    """Half of the second set is of the level itself, so the histograms overlap."""
    plain, split = same_brightness(level)
    split[:5] = level
    return plain, split


def _measure(answer, level):
    """IDD of the two sets, and by how much the mean brightness of each misses the level."""
    from dakit import metrics

    xs, xt = (np.asarray(x, dtype=float) for x in answer(level))
    return metrics.idd(xs, xt), abs(xs.mean() - level), abs(xt.mean() - level)


EXERCISES = {
    "p_value": Exercise(
        task="From the statistic and its values under random relabellings (null), return the p-value.",
        answer=p_value,
        fresh=_draws,
        trials=12,
        mistakes=(
            Mistake(
                _can_be_zero,
                "This is the share of the draws, and it can be 0. The labelling that you really have is one of the "
                "possible relabellings: count it too, above and below the line.",
            ),
            Mistake(
                _ties_left_out,
                "Draws that are equal to the statistic are missing. They are at least as extreme: use `>=`.",
            ),
            Mistake(
                _wrong_end, "You count the draws below the statistic. A large distance is the surprise here."
            ),
            Mistake(
                _one_above_only,
                "You counted the observed labelling above the line and forgot it below: p can now exceed 1.",
            ),
        ),
        hints=(
            "Count the draws that are at least as large as the statistic.",
            "The observed labelling is one more draw that reaches the statistic: add 1 to the count.",
            "It is also one more draw in all: divide by `1 + len(null)`.",
        ),
        well_done="With 200 relabellings the smallest p is 1/201. To claim less, draw more.",
    ),
    "mmd_paired": Exercise(
        task="From three n × n kernel matrices of twins, return MMD² without the pairs of a thing with itself.",
        answer=mmd_paired,
        fresh=_kernels,
        mistakes=(
            Mistake(
                _twins_kept,
                "The diagonal of `kst` is still in. Entry (i, i) compares one thing with itself in the other style; "
                "twins are nearer than strangers, so it makes the distance too small.",
            ),
            Mistake(
                _everything_kept,
                "This is the biased estimate: all three diagonals are in. Leave them out.",
            ),
            Mistake(
                _divided_by_all,
                "The sum is right. Without the diagonal there are n (n - 1) pairs, not n².",
            ),
            Mistake(_crossed_once, "The cross term counts twice in MMD²: once as `kst`, once as `kst.T`."),
        ),
        hints=(
            "All three matrices lose their diagonal.",
            "Write h = kss + ktt - kst - kst.T: MMD² is the mean of h off its diagonal.",
            "`h.sum() - np.trace(h)` is the sum off the diagonal; there are n (n - 1) such pairs.",
        ),
        well_done="This is the U-statistic of Gretton and co-authors for samples of one size (lemma 6).",
    ),
    "same_brightness": Exercise(
        task="Return two sets of grey images (n, 1, h, w) of mean brightness `level`, with IDD at its largest, ln 2.",
        answer=same_brightness,
        fresh=lambda rng: (float(rng.uniform(0.3, 0.7)),),
        ask=_measure,
        mistakes=(
            Mistake(
                _black_and_white,
                "Black against white: IDD is ln 2, but their brightness differs as well. Both sets must have the "
                "mean `level`.",
            ),
            Mistake(
                _shuffled,
                "Same pixels in another order: the histograms are equal and IDD is 0. The values have to differ.",
            ),
            Mistake(
                _shares_a_cell,
                "The two histograms still share a cell. At ln 2 no grey value occurs in both sets.",
            ),
        ),
        hints=(
            "IDD is ln 2 when no cell of the histogram is used by both sets.",
            "One set can be flat: every pixel is `level`.",
            "In the other, half of the pixels lie below `level` and half above, by the same amount.",
        ),
        well_done="The mean says that nothing differs, IDD that nothing is shared: each answers its own question.",
    ),
}
