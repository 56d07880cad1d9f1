"""The definitions, written as the loops they are, in float64."""

import math

import numpy as np

SHAPES = {
    "rbf": lambda d, b: math.exp(-d / b),
    "laplace": lambda d, b: math.exp(-math.sqrt(d / b)),
    "imq": lambda d, b: 1 / math.sqrt(1 + d / b),
}


def kernel_value(x, y, bandwidths, shape="rbf"):
    squared = sum((float(a) - float(b)) ** 2 for a, b in zip(np.ravel(x), np.ravel(y)))
    return sum(SHAPES[shape](squared, b) for b in bandwidths) / len(bandwidths)


def mmd_by_loops(xs, xt, bandwidths, *, shape="rbf", unbiased=True):
    def mean(a, b, within):
        values = [
            kernel_value(x, y, bandwidths, shape)
            for i, x in enumerate(a)
            for j, y in enumerate(b)
            if not (within and unbiased and i == j)
        ]
        return math.fsum(values) / len(values)

    return mean(xs, xs, True) + mean(xt, xt, True) - 2 * mean(xs, xt, False)
