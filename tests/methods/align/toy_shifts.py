"""Small worlds for the shallow methods: two domains and the accuracy with and without a method."""

import numpy as np
from sklearn.base import clone


def gaussians(n=60, m=50, d=4, seed=0):
    """Two samples with covariances of full rank and means of their own, and source labels without meaning."""
    rng = np.random.default_rng(seed)
    xs = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    xt = rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    return xs, np.arange(n) % 2, xt


def classes(n, centres, rng, noise=1.0):
    """n rows around one centre a class, classes in turn; returns rows and labels."""
    centres = np.asarray(centres, float)
    y = np.arange(n) % len(centres)
    return centres[y] + noise * rng.normal(size=(n, centres.shape[1])), y


def gains(estimator, world, seeds=range(5)):
    """Target accuracy of a method minus that of its classifier trained on the source as it is, one number a seed."""
    out = []
    for seed in seeds:
        xs, ys, xt, yt = world(seed)
        adapted = clone(estimator).fit_domains(xs, ys, xt)
        plain = adapted._classifier().fit(xs, ys)
        out.append(np.mean(adapted.predict(xt) == yt) - np.mean(plain.predict(xt) == yt))
    return np.array(out)
