"""Exercises of the chapter on adversaries: the joint variable, how two heads differ, and who is sure."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def joint(f, g):
    """All products of a row of f with the same row of g, (n, d k), the entries of g running fastest."""
    return (f[:, :, None] * g[:, None, :]).reshape(len(f), -1)


def _concatenated(f, g):
    return np.concatenate([f, g], axis=1)


def _other_order(f, g):
    return joint(g, f)


def _summed(f, g):
    return f[:, :, None].sum(1) * g


def _not_flat(f, g):
    return f[:, :, None] * g[:, None, :]


def _features_and_predictions(rng):
    n, d, k = int(rng.integers(3, 7)), int(rng.integers(4, 7)), int(rng.integers(2, 4))
    return rng.normal(size=(n, d)), rng.dirichlet(np.ones(k), n)


def disagreement(p1, p2):
    """Mean absolute difference of two heads' probabilities, over rows and classes."""
    return np.abs(p1 - p2).mean()


def _over_rows_only(p1, p2):
    return np.abs(p1 - p2).sum(1).mean()


def _squared(p1, p2):
    return ((p1 - p2) ** 2).mean()


def _signed(p1, p2):
    return (p1 - p2).mean()


def _different_answers(p1, p2):
    return (p1.argmax(1) != p2.argmax(1)).mean()


def _of_the_means(p1, p2):
    return np.abs(p1.mean(0) - p2.mean(0)).mean()


def _two_heads(rng):
    n, k = int(rng.integers(6, 12)), int(rng.integers(3, 6))
    return rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), n)


def certainty(p):
    """1 + exp(-entropy) of each row, divided by the mean over the rows."""
    w = 1 + np.exp(np.sum(p * np.log(p), axis=1))
    return w / w.mean()


def _not_divided(p):
    return 1 + np.exp(np.sum(p * np.log(p), axis=1))


def _sign(p):
    w = 1 + np.exp(-np.sum(p * np.log(p), axis=1))
    return w / w.mean()


def _no_one(p):
    w = np.exp(np.sum(p * np.log(p), axis=1))
    return w / w.mean()


def _base_two(p):
    w = 1 + np.exp(np.sum(p * np.log2(p), axis=1))
    return w / w.mean()


def _by_sum(p):
    w = 1 + np.exp(np.sum(p * np.log(p), axis=1))
    return w / w.sum()


def _probabilities(rng):
    n, k = int(rng.integers(4, 9)), int(rng.integers(2, 6))
    return (rng.dirichlet(np.full(k, 0.7), n) * 0.98 + 0.02 / k,)


EXERCISES = {
    "joint": Exercise(
        task="From features (n, d) and probabilities (n, k), return all products row by row, of shape (n, d k).",
        answer=joint,
        fresh=_features_and_predictions,
        mistakes=(
            Mistake(
                _concatenated,
                "You put features and predictions side by side. A judge of the first layer then sees each alone; "
                "the products hold what they do together.",
            ),
            Mistake(
                _other_order, "All products are there, in another order: the entries of g should run fastest."
            ),
            Mistake(
                _summed, "You summed the features away. Every feature is multiplied with every probability."
            ),
            Mistake(_not_flat, "The products are right. Flatten the last two axes to one of length d k."),
        ),
        hints=(
            "Give f a last axis of length 1 and g a middle one; numpy then makes (n, d, k).",
            "`(f[:, :, None] * g[:, None, :])`, then `reshape(len(f), -1)`.",
        ),
        well_done="With a sure prediction all blocks but one are 0: it is a judge for each class, in one network.",
    ),
    "disagreement": Exercise(
        task="The mean over rows and classes of the absolute difference of two heads' probabilities.",
        answer=disagreement,
        fresh=_two_heads,
        mistakes=(
            Mistake(
                _over_rows_only, "You summed over the classes. The paper's discrepancy is the mean over them."
            ),
            Mistake(
                _squared, "Squares are small where the heads nearly agree, and so is their slope. Take |·|."
            ),
            Mistake(_signed, "Without |·| it is always 0: both rows sum to 1."),
            Mistake(
                _different_answers,
                "You count different answers. That has no slope: no head could learn from it.",
            ),
            Mistake(
                _of_the_means,
                "You compare mean predictions. Two heads that swap their answers between examples would agree.",
            ),
        ),
        hints=("Subtract, take absolute values.", "`np.abs(p1 - p2).mean()` runs over rows and classes."),
        well_done="At most 2/k: with many classes even full disagreement is a small number.",
    ),
    "certainty": Exercise(
        task="From probabilities (n, k) the weights 1 + exp(-H) of CDAN+E, divided by their mean.",
        answer=certainty,
        fresh=_probabilities,
        mistakes=(
            Mistake(_not_divided, "Right up to the last step: divide by the mean over the rows."),
            Mistake(_sign, "The sign of the entropy is turned: unsure examples weigh most in your answer."),
            Mistake(_no_one, "The 1 is missing, so that unsure examples would count for almost nothing."),
            Mistake(_base_two, "The entropy is in bits. Take the natural logarithm."),
            Mistake(_by_sum, "You divided by the sum. The weights should be 1 on average."),
        ),
        hints=(
            "H = -Σ p log p, one number a row; so -H is `np.sum(p * np.log(p), axis=1)`.",
            "`w = 1 + np.exp(-H)`, then `w / w.mean()`.",
        ),
        well_done="From 1 + 1/k for a guess to 2 for a certainty: a nudge, not a selection.",
    ),
}
