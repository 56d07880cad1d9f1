"""Worlds with known class shares, for the tests of label shift."""

import numpy as np

# p(x | y) of five values of x for three classes: columns sum to 1 in tenths.
TENTHS = np.array([[6, 1, 1], [2, 2, 1], [1, 4, 1], [1, 2, 2], [0, 1, 5]])
CENTRES = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])


def population(source, target):
    """Samples in which every share is exactly that of the population: counts of classes in tens.

    Returns ys, the exact posterior of the source on both samples, and the target's labels.
    """
    p = np.array(source) / np.sum(source)
    joint = TENTHS * p
    posterior = joint / joint.sum(1, keepdims=True)

    def sample(tens):
        counts = TENTHS * np.array(tens)  # of x for each class
        x, y = np.indices(counts.shape)
        return np.repeat(x.ravel(), counts.ravel()), np.repeat(y.ravel(), counts.ravel())

    (xs, ys), (xt, yt) = sample(source), sample(target)
    return ys, posterior[xs], posterior[xt], yt


def gaussians(n, m, q, seed, p=(1 / 3, 1 / 3, 1 / 3), sharpness=1.0):
    """Three Gaussian classes with the posterior of the source, whose logits are multiplied by ``sharpness``."""
    rng = np.random.default_rng(seed)

    def sample(size, shares):
        y = rng.choice(3, size, p=shares)
        x = CENTRES[y] + rng.normal(size=(size, 2))
        log = -0.5 * ((x[:, None] - CENTRES) ** 2).sum(-1) + np.log(p)
        e = np.exp(sharpness * (log - log.max(1, keepdims=True)))
        return y, e / e.sum(1, keepdims=True)

    (ys, probs_s), (yt, probs_t) = sample(n, p), sample(m, q)
    return ys, probs_s, probs_t, yt
