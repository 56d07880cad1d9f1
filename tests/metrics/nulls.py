"""What p-values of a valid test look like when nothing differs."""

import numpy as np
from scipy.stats import binom, kstest

LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def assert_never_too_small(p):
    """Super-uniform: at no level more rejections than its binomial allows (99.9 %)."""
    p = np.asarray(p)
    assert (p > 0).all() and (p <= 1).all()
    for level in LEVELS:
        assert np.count_nonzero(p <= level) <= binom.ppf(0.999, len(p), level), level


def assert_uniform(p, draws=None, seed=0):
    """Uniform on (0, 1], or on its multiples of 1/(1 + draws), whose step is smeared out."""
    p = np.asarray(p)
    assert_never_too_small(p)
    if draws is not None:
        p = p - np.random.default_rng(seed).random(len(p)) / (draws + 1)
    assert kstest(p, "uniform").pvalue > 0.01
