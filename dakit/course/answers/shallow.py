"""Exercises of the chapter on shallow methods: what a linear rule sees, CORAL's map, SA's source, JDA's contrast."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def seen_by(w, b, mean, covariance):
    """Mean and standard deviation of the score x·w + b over a domain with this mean and covariance."""
    return mean @ w + b, np.sqrt(w @ covariance @ w)


def _variance(w, b, mean, covariance):
    return mean @ w + b, w @ covariance @ w


def _without_b(w, b, mean, covariance):
    return mean @ w, np.sqrt(w @ covariance @ w)


def _diagonal(w, b, mean, covariance):
    return mean @ w + b, np.sqrt(w**2 @ np.diag(covariance))


def _b_in_both(w, b, mean, covariance):
    return mean @ w + b, np.sqrt(w @ covariance @ w) + b


def _rule(rng):
    """A linear rule and the moments of a domain whose features are correlated."""
    d = int(rng.integers(2, 5))
    a = rng.normal(size=(d, d))
    return rng.normal(size=d), float(rng.uniform(0.5, 2)), rng.normal(size=d), a @ a.T + 0.1 * np.eye(d)


def power(covariance, exponent):
    """Power of a symmetric matrix with positive eigenvalues."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * values**exponent) @ vectors.T


def coral_map(cs, ct, eps):
    """CORAL's matrix A: rows of the source times A have the covariance of the target."""

    def root(covariance, exponent):
        values, vectors = np.linalg.eigh(covariance + eps * np.eye(len(covariance)))
        return (vectors * values**exponent) @ vectors.T

    return root(cs, -0.5) @ root(ct, 0.5)


def _eps_left_out(cs, ct, eps):
    return power(cs, -0.5) @ power(ct, 0.5)


def _turned_round(cs, ct, eps):
    return coral_map(ct, cs, eps)


def _coloured_first(cs, ct, eps):
    return coral_map(cs, ct, eps).T


def _whole_powers(cs, ct, eps):
    eye = eps * np.eye(len(cs))
    return np.linalg.inv(cs + eye) @ (ct + eye)


def _entry_by_entry(cs, ct, eps):
    """Square roots of the variances alone."""
    return np.diag(np.sqrt((np.diag(ct) + eps) / (np.diag(cs) + eps)))


def _covariances(rng):
    d = int(rng.integers(2, 5))
    a, b = rng.normal(size=(2, d, d))
    return a @ a.T + 0.1 * np.eye(d), b @ b.T + 0.1 * np.eye(d), float(rng.uniform(0.3, 1))


def aligned_source(xs, ps, pt):
    """Source rows as subspace alignment hands them to the classifier, of shape (n, k)."""
    return (xs - xs.mean(0)) @ ps @ (ps.T @ pt)


def _not_centred(xs, ps, pt):
    return xs @ ps @ (ps.T @ pt)


def _not_aligned(xs, ps, pt):
    return (xs - xs.mean(0)) @ ps


def _other_way_round(xs, ps, pt):
    return (xs - xs.mean(0)) @ ps @ (pt.T @ ps)


def _target_directions(xs, ps, pt):
    return (xs - xs.mean(0)) @ pt


def _subspaces(rng):
    """Rows with a mean far from 0, and orthonormal bases of two subspaces."""
    d, k = int(rng.integers(4, 7)), int(rng.integers(2, 4))
    ps, pt = (np.linalg.qr(rng.normal(size=(d, k)))[0] for _ in range(2))
    return rng.normal(size=(int(rng.integers(5, 9)), d)) + rng.normal(2, 1, size=d), ps, pt


def class_contrast(ys, pseudo, c):
    """e_c of shape (n + m,): its product with the rows is the difference of the two means of class c."""
    source, target = ys == c, pseudo == c
    return np.concatenate([source / source.sum(), -1 * target / target.sum()])


def _all_rows_counted(ys, pseudo, c):
    return np.concatenate([(ys == c) / len(ys), -1 * (pseudo == c) / len(pseudo)])


def _marginal(ys, pseudo, c):
    return np.repeat([1 / len(ys), -1 / len(pseudo)], [len(ys), len(pseudo)])


def _both_positive(ys, pseudo, c):
    return np.abs(class_contrast(ys, pseudo, c))


def _one_size(ys, pseudo, c):
    return np.concatenate([(ys == c) / (ys == c).sum(), -1 * (pseudo == c) / (ys == c).sum()])


def _target_first(ys, pseudo, c):
    return -class_contrast(ys, pseudo, c)


def _labels(rng):
    """Labels of two domains of other sizes and shares; every class occurs in both."""
    k = int(rng.integers(2, 4))
    ys, pseudo = (np.concatenate([np.arange(k), rng.integers(k, size=s)]) for s in rng.integers(5, 20, 2))
    pseudo = np.concatenate([pseudo, np.repeat(np.arange(k), 1 + 2 * np.arange(k))])
    return rng.permutation(ys), rng.permutation(pseudo), int(rng.integers(k))


EXERCISES = {
    "seen_by": Exercise(
        task="Mean and standard deviation of the score x·w + b over a domain with a mean and a covariance.",
        answer=seen_by,
        fresh=_rule,
        mistakes=(
            Mistake(_variance, "The second number is the variance of the score. Take its square root."),
            Mistake(_without_b, "The mean of the score lacks `b`, which is added to every row."),
            Mistake(
                _diagonal,
                "You added up the variances of the features alone. Features that rise together push the score "
                "together: the whole covariance counts, `w @ covariance @ w`.",
            ),
            Mistake(_b_in_both, "`b` moves all scores by the same amount, so it spreads none of them."),
        ),
        hints=(
            "The mean of a sum is the sum of the means.",
            "The variance of x·w is w' C w, with C the covariance of x.",
            "`return mean @ w + b, np.sqrt(...)`.",
        ),
        well_done="A linear rule sees a domain through these two numbers and the shape around them.",
    ),
    "coral_map": Exercise(
        task="From the covariances of source and target and eps, return CORAL's (d, d) matrix A.",
        answer=coral_map,
        fresh=_covariances,
        mistakes=(
            Mistake(_eps_left_out, "`eps` is missing: add it to the diagonal of both covariances first."),
            Mistake(
                _turned_round,
                "This recolours the target as the source. Whiten with the source's covariance, colour with the "
                "target's.",
            ),
            Mistake(
                _coloured_first,
                "The two factors are in the wrong order. Rows are multiplied from the right, so what comes first "
                "stands first: whiten, then colour.",
            ),
            Mistake(
                _whole_powers,
                "The exponents are -1 and 1 here. A covariance is of second order: a map of the rows needs square "
                "roots, -1/2 and 1/2.",
            ),
            Mistake(
                _entry_by_entry,
                "This stretches each feature by itself. CORAL also matches how features go together: it needs the "
                "root of the matrix, by its eigenvectors.",
            ),
        ),
        hints=(
            "Whitening is C_S^(-1/2), colouring C_T^(1/2).",
            "`values, vectors = np.linalg.eigh(C)`; a power of C has the same vectors and powers of the values.",
            "`(vectors * values**p) @ vectors.T` is C^p. Add `eps * np.eye(d)` before.",
        ),
        well_done="Check: A' (C_S + eps I) A is C_T + eps I. So is it for many other matrices.",
    ),
    "aligned_source": Exercise(
        task="Return the source rows (n, k) that subspace alignment gives to the classifier.",
        answer=aligned_source,
        fresh=_subspaces,
        mistakes=(
            Mistake(_not_centred, "Principal directions start at the mean: subtract it first."),
            Mistake(
                _not_aligned,
                "These are the source's own coordinates. They still have to be aligned: multiply by M.",
            ),
            Mistake(
                _other_way_round,
                "M is the wrong way round. It leads from the source's basis to the target's: P_S' P_T.",
            ),
            Mistake(
                _target_directions,
                "You projected on the target's directions at once. SA goes through the source's subspace first: what "
                "lies outside of it is dropped.",
            ),
        ),
        hints=(
            "Three steps: centre, project on the source's directions, align.",
            "M = P_S' P_T minimises ||P_S M - P_T||, because the columns of P_S are orthonormal.",
            "`(xs - xs.mean(0)) @ ps @ M`.",
        ),
        well_done="The target rows become (x - mean_T) P_T: both domains now have k coordinates that mean the same.",
    ),
    "class_contrast": Exercise(
        task="From source labels, pseudo-labels and a class c, return e_c of shape (n + m,).",
        answer=class_contrast,
        fresh=_labels,
        mistakes=(
            Mistake(
                _all_rows_counted,
                "You divide by all rows of the domain. The mean of a class divides by the rows of that class.",
            ),
            Mistake(
                _marginal, "This is e, the difference of the means of all rows. Rows of other classes get 0."
            ),
            Mistake(_both_positive, "Target rows need a minus sign: it is a difference of two means."),
            Mistake(
                _one_size,
                "You divide the target rows by the source's count. Each domain has a count of its own, n_c and m_c.",
            ),
            Mistake(_target_first, "Right but for its sign: source rows count plus, target rows minus."),
        ),
        hints=(
            "e_c times the rows must give: mean of class c in the source, minus mean of pseudo-class c in the target.",
            "Rows of other classes get 0, source rows of class c get 1 / n_c.",
            "With two masks: `np.concatenate([source / source.sum(), -1 * target / target.sum()])`.",
        ),
        well_done="Only e_c e_c' enters JDA, so the overall sign drops out there; the counts do not.",
    ),
}
