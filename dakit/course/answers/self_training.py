"""Exercises of the chapter on self-training: the masked loss, sure and diverse predictions, labels from centres."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def pseudo_loss(weak, strong, tau):
    """Cross-entropy of strong views with the classes of the sure weak ones, mean over all rows."""
    label, sure = weak.argmax(axis=1), weak.max(axis=1) >= tau
    return (_cross(strong, label) * sure).mean()


def _cross(p, label):
    return -np.log(p[np.arange(len(p)), label])


def _over_the_sure(weak, strong, tau):
    sure = weak.max(axis=1) >= tau
    return _cross(strong, weak.argmax(axis=1))[sure].mean()


def _label_of_strong(weak, strong, tau):
    return (_cross(strong, strong.argmax(axis=1)) * (weak.max(axis=1) >= tau)).mean()


def _strong_decides(weak, strong, tau):
    return (_cross(strong, weak.argmax(axis=1)) * (strong.max(axis=1) >= tau)).mean()


def _learns_on_weak(weak, strong, tau):
    return (_cross(weak, weak.argmax(axis=1)) * (weak.max(axis=1) >= tau)).mean()


def _no_threshold(weak, strong, tau):
    return _cross(strong, weak.argmax(axis=1)).mean()


def _views(rng):
    weak, strong = rng.dirichlet(np.full(3, 0.6), size=(2, 12)).clip(1e-6)
    weak, strong = (p / p.sum(axis=1, keepdims=True) for p in (weak, strong))
    return weak, strong, float(np.median(weak.max(axis=1)))


def sure_and_diverse(p):
    """mean H(p_i) - H(mean p_i)."""
    return _entropy(p).mean() - _entropy(p.mean(axis=0))


def _entropy(p):
    return -(p * np.log(p)).sum(axis=-1)


def _turned(p):
    return -sure_and_diverse(p)


def _only_sure(p):
    return _entropy(p).mean()


def _both_added(p):
    return _entropy(p).mean() + _entropy(p.mean(axis=0))


def _in_bits(p):
    return sure_and_diverse(p) / np.log(2)


def _summed_rows(p):
    return _entropy(p).sum() - _entropy(p.mean(axis=0))


def _probabilities(rng):
    p = rng.dirichlet(np.ones(int(rng.integers(2, 6))), size=int(rng.integers(4, 9))).clip(1e-6)
    return (p / p.sum(axis=1, keepdims=True),)


def centre_labels(features, p):
    """Class of the nearest probability-weighted centre, by cosine."""
    centres = p.T @ features / p.sum(axis=0)[:, None]
    return (_unit(features) @ _unit(centres).T).argmax(axis=1)


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _own_answer(features, p):
    return p.argmax(axis=1)


def _euclidean(features, p):
    centres = p.T @ features / p.sum(axis=0)[:, None]
    return ((features[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)


def _sums_without_cosine(features, p):
    return (features @ (p.T @ features).T).argmax(axis=1)


def _farthest(features, p):
    centres = p.T @ features / p.sum(axis=0)[:, None]
    return (_unit(features) @ _unit(centres).T).argmin(axis=1)


def _clouds(rng):
    k, d, n = 3, 4, 40
    y = rng.integers(k, size=n)
    features = 2 * rng.normal(size=(k, d))[y] + rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=(n, 1))
    p = 0.6 * np.eye(k)[y] + 0.4 * rng.dirichlet(np.ones(k) * 0.5, size=n) + 1e-3
    return features, p / p.sum(axis=1, keepdims=True)


EXERCISES = {
    "pseudo_loss": Exercise(
        task="Cross-entropy of `strong` with the class of `weak` where that is `tau` sure; mean over all rows.",
        answer=pseudo_loss,
        fresh=_views,
        mistakes=(
            Mistake(
                _over_the_sure,
                "You average over the sure rows alone. Then one sure row weighs as much as a whole batch of them. "
                "The mean goes over all rows, so that the loss starts small and grows with confidence.",
            ),
            Mistake(
                _label_of_strong,
                "The label is taken from the strong view. It is the weak view, the easy one, that names the class.",
            ),
            Mistake(
                _strong_decides,
                "The threshold looks at the strong view. Which rows count is decided by the weak one.",
            ),
            Mistake(
                _learns_on_weak,
                "You take the loss of the weak view: it would learn what it says already. The strong view learns.",
            ),
            Mistake(_no_threshold, "The threshold is missing: unsure answers would become labels too."),
        ),
        hints=(
            "Three pieces: the class of each weak row, whether that row is sure, and -log of what the strong row gives "
            "to that class.",
            "`strong[np.arange(len(strong)), label]` picks one number a row.",
            "Multiply by the mask, then `.mean()` over all rows.",
        ),
        well_done="In the method no gradient flows through the weak view: a label is a label.",
        rtol=1e-6,
        atol=1e-9,
    ),
    "sure_and_diverse": Exercise(
        task="Mean entropy of the rows minus entropy of the mean row, in nats.",
        answer=sure_and_diverse,
        fresh=_probabilities,
        mistakes=(
            Mistake(
                _turned,
                "The sign is turned: that is information maximisation, a score to be maximised. A loss falls.",
            ),
            Mistake(
                _only_sure,
                "That is the first term alone. One class for all examples would have a loss of 0: the collapse.",
            ),
            Mistake(
                _both_added,
                "You add the second term. The mean prediction should have *much* entropy: subtract it.",
            ),
            Mistake(_in_bits, "Right, but in bits. Take the natural logarithm."),
            Mistake(_summed_rows, "The first term is summed over the rows. Take their mean."),
        ),
        hints=(
            "Write the entropy of the last axis as a function and use it twice.",
            "`p.mean(axis=0)` is the mean prediction, of shape (k,).",
        ),
        well_done="Always between -log k and 0. It is minus the information that the example gives about the class.",
        rtol=1e-6,
        atol=1e-9,
    ),
    "centre_labels": Exercise(
        task="Class of the nearest centre by cosine, centres being means weighed by the probability of the class.",
        answer=centre_labels,
        fresh=_clouds,
        mistakes=(
            Mistake(
                _own_answer,
                "That is what the classifier says itself. The point of centres is that the features may contradict it.",
            ),
            Mistake(
                _euclidean,
                "You measure the straight distance. By cosine the length of a feature does not count.",
            ),
            Mistake(
                _sums_without_cosine,
                "You compare products of unscaled vectors: long centres win. Bring the centres to length 1.",
            ),
            Mistake(_farthest, "You take the class of the *least* cosine, the farthest centre."),
        ),
        hints=(
            "All centres at once: `p.T @ features` has one row a class.",
            "Divide features and centres by their lengths; the product of the two is the matrix of cosines (n, k).",
            "`argmax(axis=1)` of that matrix.",
        ),
        well_done="SHOT does this once more with the labels it found, and again at every epoch.",
    ),
}
