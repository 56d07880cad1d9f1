"""Exercises of the first chapter: from an error to a distance, from seeds to a gain that can be believed."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def a_distance(error):
    """Proxy A-distance of a domain classifier with this error."""
    return 2 * (1 - 2 * min(error, 0.5))


def _half(error):
    return 1 - 2 * min(error, 0.5)


def _one_error(error):
    return 2 * (1 - error)


def _below_zero(error):
    return 2 * (1 - 2 * error)


def _from_accuracy(error):
    return 2 * (1 - 2 * (1 - error))


def gain(adapted, plain):
    """Mean gain over paired seeds, and its standard error."""
    differences = np.asarray(adapted) - np.asarray(plain)
    return differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))


def _spread_only(adapted, plain):
    differences = np.asarray(adapted) - np.asarray(plain)
    return differences.mean(), differences.std(ddof=1)


def _small_sample(adapted, plain):
    differences = np.asarray(adapted) - np.asarray(plain)
    return differences.mean(), differences.std() / np.sqrt(len(differences))


def _unpaired(adapted, plain):
    a, b = np.asarray(adapted), np.asarray(plain)
    return a.mean() - b.mean(), np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))


def _backwards(adapted, plain):
    mean, error = gain(adapted, plain)
    return -mean, error


def _accuracies(rng):
    n = int(rng.integers(3, 8))
    plain = rng.uniform(0.2, 0.6, n)
    return plain + rng.normal(0.08, 0.04, n), plain


EXERCISES = {
    "a_distance": Exercise(
        task="Turn the error of a domain classifier (0 to 1) into the proxy A-distance (0 to 2).",
        answer=a_distance,
        fresh=lambda rng: (float(rng.uniform(0.51, 0.7) if rng.random() < 0.4 else rng.uniform(0, 0.5)),),
        trials=12,
        mistakes=(
            Mistake(
                _half,
                "You wrote `1 - 2 error`, which ends at 1. The A-distance ends at 2: one factor is missing.",
            ),
            Mistake(
                _one_error, "You wrote `2 (1 - error)`: at chance (error 0.5) that is 1, and it should be 0."
            ),
            Mistake(
                _below_zero,
                "Right while the classifier beats chance. By bad luck an error can exceed 0.5, and your distance "
                "turns negative: guessing is always allowed, so an error above 0.5 counts as 0.5.",
            ),
            Mistake(
                _from_accuracy, "You treat the argument as an accuracy. It is an error: 0 means always right."
            ),
        ),
        hints=(
            "An error of 0 means that the domains are told apart every time: distance 2. "
            "An error of 0.5 is guessing: distance 0.",
            "A straight line runs through these two points.",
            "And an error above 0.5? A classifier that bad is worse than guessing; use `min(error, 0.5)`.",
        ),
        well_done="0 is “cannot be told apart”, 2 is “always told apart”: keep that scale in mind for every chapter.",
    ),
    "gain": Exercise(
        task="From accuracies of two methods on the same seeds, return the mean gain and its standard error.",
        answer=gain,
        fresh=_accuracies,
        mistakes=(
            Mistake(
                _spread_only,
                "The second number is the spread of the gains. The standard error of their mean is smaller: "
                "it shrinks with the root of the number of seeds.",
            ),
            Mistake(
                _small_sample,
                "Nearly: numpy's `std` divides by n. With a handful of seeds divide by n - 1 (`ddof=1`).",
            ),
            Mistake(
                _unpaired,
                "That is the error for two unrelated groups. Seed i gave both methods the same split and the same "
                "starting weights, so subtract seed by seed first: what the seeds share cancels.",
            ),
            Mistake(_backwards, "The sign is turned: a gain is adapted minus plain."),
        ),
        hints=(
            "Subtract seed by seed; you now have one list of gains.",
            "The first number is the mean of that list.",
            "The second is its standard deviation (`ddof=1`) divided by the root of its length.",
        ),
        well_done="A rule of thumb: believe a gain that is larger than twice its standard error.",
    ),
}
