"""Exercises of the chapter on discrepancies: CORAL, a term of CMD, the weights of DSAN, a cloud that hides."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def coral(xs, xt):
    """Squared distance of the covariances over 4 d²."""
    d = xs.shape[1]
    return np.sum((np.cov(xs.T) - np.cov(xt.T)) ** 2) / (4 * d**2)


def _with_n(xs, xt):
    d = xs.shape[1]
    return np.sum((np.cov(xs.T, bias=True) - np.cov(xt.T, bias=True)) ** 2) / (4 * d**2)


def _not_centred(xs, xt):
    d = xs.shape[1]
    return np.sum((xs.T @ xs / (len(xs) - 1) - xt.T @ xt / (len(xt) - 1)) ** 2) / (4 * d**2)


def _root(xs, xt):
    d = xs.shape[1]
    return np.linalg.norm(np.cov(xs.T) - np.cov(xt.T)) / (4 * d**2)


def _variances_only(xs, xt):
    d = xs.shape[1]
    return np.sum((xs.var(0, ddof=1) - xt.var(0, ddof=1)) ** 2) / (4 * d**2)


def _not_scaled(xs, xt):
    return np.sum((np.cov(xs.T) - np.cov(xt.T)) ** 2)


def _correlations(xs, xt):
    d = xs.shape[1]
    return np.sum((np.corrcoef(xs.T) - np.corrcoef(xt.T)) ** 2) / (4 * d**2)


def _two_samples(rng):
    n, m, d = (int(rng.integers(*ends)) for ends in ((5, 12), (5, 12), (2, 5)))
    return rng.normal(1, 1, (n, d)) @ rng.normal(size=(d, d)), rng.normal(-1, 2, (m, d))


def cmd_term(xs, xt, order, width):
    """Distance of the central moments of one order, over width to that order."""
    a = ((xs - xs.mean(0)) ** order).mean(0)
    b = ((xt - xt.mean(0)) ** order).mean(0)
    return np.linalg.norm(a - b) / width**order


def _raw(xs, xt, order, width):
    return np.linalg.norm((xs**order).mean(0) - (xt**order).mean(0)) / width**order


def _squared(xs, xt, order, width):
    return cmd_term(xs, xt, order, 1.0) ** 2 / width**order


def _no_width(xs, xt, order, width):
    return cmd_term(xs, xt, order, 1.0)


def _width_once(xs, xt, order, width):
    return cmd_term(xs, xt, order, 1.0) / width


def _one_mean(xs, xt, order, width):
    middle = np.concatenate([xs, xt]).mean(0)
    a, b = ((xs - middle) ** order).mean(0), ((xt - middle) ** order).mean(0)
    return np.linalg.norm(a - b) / width**order


def _bounded(rng):
    d, order = int(rng.integers(2, 5)), int(rng.integers(2, 6))
    width = float(rng.uniform(1.5, 4))
    xs = width * rng.beta(0.5, 1.5, (int(rng.integers(6, 12)), d))
    return xs, width * rng.beta(2, 1, (int(rng.integers(6, 12)), d)), order, width


def class_weights(ys, pt):
    """One-hot labels and probabilities, each column divided by its sum."""
    w = np.eye(pt.shape[1])[ys]
    return w / w.sum(0), pt / pt.sum(0)


def _by_rows(ys, pt):
    w = np.eye(pt.shape[1])[ys]
    return w / w.sum(1, keepdims=True), pt / pt.sum(1, keepdims=True)


def _hard(ys, pt):
    v = np.eye(pt.shape[1])[pt.argmax(1)]
    return class_weights(ys, pt)[0], v / np.maximum(v.sum(0), 1)


def _by_size(ys, pt):
    return np.eye(pt.shape[1])[ys] / len(ys), pt / len(pt)


def _source_only_divided(ys, pt):
    return class_weights(ys, pt)[0], pt


def _labels_and_probabilities(rng):
    k = int(rng.integers(2, 5))
    ys = rng.permutation(np.concatenate([np.arange(k), rng.integers(k, size=int(rng.integers(3, 8)))]))
    return ys, rng.dirichlet(np.ones(k), int(rng.integers(4, 9)))


def invisible(x):
    """The cloud mirrored at its mean: odd central moments turn their sign, even ones stay."""
    return 2 * x.mean(0) - x


def _mirrored_at_zero(x):
    return -x


def _the_same(x):
    return x.copy()


def _one_coordinate(x):
    out = x.copy()
    out[:, 0] = 2 * x[:, 0].mean() - x[:, 0]
    return out


def _shuffled(x):
    return x[::-1].copy()


def _moments(answer, x):
    """Gaps of mean and covariance to those of x, and of the third moments to the opposite of those of x."""
    z = np.asarray(answer(x.copy()), dtype=float)
    if z.shape != x.shape:
        raise ValueError(f"the cloud must have the shape of x, {x.shape}, got {z.shape}")

    def third(a):
        a = a - a.mean(0)
        return np.einsum("ni,nj,nk->ijk", a, a, a) / len(a)

    return (
        np.abs(z.mean(0) - x.mean(0)).max(),
        np.abs(np.cov(z.T) - np.cov(x.T)).max(),
        np.abs(third(z) + third(x)).max(),
    )


def _skewed_cloud(rng):
    n, d = int(rng.integers(8, 20)), int(rng.integers(2, 4))
    return (rng.exponential(size=(n, d)) @ rng.uniform(0.2, 1, (d, d)) + rng.normal(size=d),)


EXERCISES = {
    "coral": Exercise(
        task="The squared Frobenius distance of two covariances (with n - 1) over 4 d².",
        answer=coral,
        fresh=_two_samples,
        mistakes=(
            Mistake(_with_n, "Your covariances divide by n. Deep CORAL divides by n - 1, as `np.cov` does."),
            Mistake(
                _not_centred,
                "You forgot to take out the means: what you compare are raw second moments, which see a move as well.",
            ),
            Mistake(_root, "That is the distance; the loss is its square."),
            Mistake(
                _variances_only,
                "You compare the variances alone. How coordinates go together is the other half of a covariance.",
            ),
            Mistake(
                _not_scaled, "The scale is missing: divide by 4 d², so that λ means the same for wide layers."
            ),
            Mistake(
                _correlations,
                "Correlations are scale-free: a cloud twice as large would cost nothing. Use covariances.",
            ),
        ),
        hints=(
            "`np.cov` wants one row per variable, so hand it the transpose.",
            "Square the entries of the difference and sum them: that is the squared Frobenius norm.",
            "Divide by `4 * d**2` with `d = xs.shape[1]`.",
        ),
        well_done="Add a constant to `xt` and call it again: the value does not move. That is the blind spot.",
    ),
    "cmd_term": Exercise(
        task="The distance of the central moments of one order, feature by feature, over width ** order.",
        answer=cmd_term,
        fresh=_bounded,
        mistakes=(
            Mistake(_raw, "These are raw moments. Subtract each sample's own mean before taking the power."),
            Mistake(_squared, "The norm is squared in your answer; CMD takes it as it is."),
            Mistake(_no_width, "The width is missing: divide by `width ** order`."),
            Mistake(
                _width_once,
                "You divide by the width once. A moment of order k scales with the k-th power of the features.",
            ),
            Mistake(
                _one_mean,
                "You subtract one common mean. Each sample has a mean of its own; its distance is CMD's first term.",
            ),
        ),
        hints=(
            "Centre each sample by its own mean, raise to the power, average over the rows: one number a feature.",
            "`np.linalg.norm` of the difference, not squared.",
            "Divide by `width ** order`.",
        ),
        well_done="With features in an interval of width w each term is at most √d: no order drowns the others.",
    ),
    "class_weights": Exercise(
        task="Weights of DSAN: one-hot labels and target probabilities, each column divided by its sum.",
        answer=class_weights,
        fresh=_labels_and_probabilities,
        mistakes=(
            Mistake(
                _by_rows,
                "You divided by the sums of the rows. A weight is a share of a class: sum down columns.",
            ),
            Mistake(
                _hard,
                "You turned the probabilities into hard labels. DSAN lets an example count for every class by its "
                "probability.",
            ),
            Mistake(
                _by_size,
                "You divided by the number of examples. Then a rare class would weigh less than others.",
            ),
            Mistake(_source_only_divided, "The source is right. The target's columns have to sum to 1 too."),
        ),
        hints=(
            "`np.eye(k)[ys]` makes one-hot rows of labels.",
            "Sum over axis 0: one sum a class.",
        ),
        well_done="Since every column sums to 1, each class counts alike on both sides, however rare it is there.",
    ),
    "invisible": Exercise(
        task="A cloud with the mean and covariance of x, and third central moments of opposite sign.",
        answer=invisible,
        fresh=_skewed_cloud,
        ask=_moments,
        atol=1e-8,
        mistakes=(
            Mistake(
                _mirrored_at_zero, "Nearly: you mirrored at 0, which moves the mean. Mirror at the mean."
            ),
            Mistake(
                _the_same, "That is the same cloud: mean and covariance fit, and so do the third moments."
            ),
            Mistake(
                _one_coordinate,
                "You mirrored one coordinate: that turns the sign of its covariances too. Mirror all of them.",
            ),
            Mistake(_shuffled, "The order of the rows is no property of a cloud: this is the same one."),
        ),
        hints=(
            "Which motion leaves distances as they are and turns left into right?",
            "A mirror image has the same covariance if *all* coordinates are mirrored.",
            "Mirror at the mean m: a point x goes to m - (x - m).",
        ),
        well_done="CORAL and the means are content with this pair. HoMM of order 3 was made for it, and MMD sees it.",
    ),
}
