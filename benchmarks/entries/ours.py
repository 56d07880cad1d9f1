"""dakit at every task."""

from __future__ import annotations

from entries.case import Case, entry


def _data(case: Case):
    return case.arrays() if case.device == "cpu" else case.tensors()


@entry(on_device=True)
def dakit_mmd(case: Case):
    from dakit.metrics import mmd

    xs, xt = _data(case)
    return lambda: mmd(xs, xt, bandwidths=case.bandwidths)


@entry(on_device=True, seconds=lambda c: 1e-10 * c.n**2 * c.d)
def dakit_mmd_float64(case: Case):
    from dakit.metrics import mmd

    xs, xt = (x.double() for x in case.tensors())
    return lambda: mmd(xs, xt, bandwidths=case.bandwidths)


@entry(on_device=True)
def dakit_mmd_test(case: Case):
    from dakit.metrics import mmd_test

    xs, xt = _data(case)
    return lambda: mmd_test(xs, xt, bandwidths=case.bandwidths, permutations=case.draws).statistic


@entry(on_device=True)
def dakit_null_error(case: Case):
    """The largest difference of a null draw in float32 from the same draw in float64, in their standard deviation."""
    import numpy as np

    from dakit.metrics import mmd_test

    xs, xt = case.tensors()

    def null(x, y):
        return mmd_test(x, y, bandwidths=case.bandwidths, permutations=case.draws).null

    def run():
        exact = null(xs.double(), xt.double())
        return float(np.abs(null(xs, xt) - exact).max() / exact.std())

    return run


@entry(on_device=True)
def dakit_sliced_wasserstein(case: Case):
    from dakit.metrics import sliced_wasserstein

    xs, xt = _data(case)
    return lambda: sliced_wasserstein(xs, xt, projections=case.draws)


@entry(on_device=True)
def dakit_energy_distance(case: Case):
    from dakit.metrics import energy_distance

    xs, xt = _data(case)
    return lambda: energy_distance(xs, xt)


@entry(on_device=True)
def dakit_frechet_distance(case: Case):
    from dakit.metrics import frechet_distance

    xs, xt = _data(case)
    return lambda: frechet_distance(xs, xt)


def _estimate(case: Case, method: str):
    """A call that takes another seed each time."""
    from itertools import count

    from dakit.metrics import mmd_estimate

    xs, xt = _data(case)
    seeds = count()
    return lambda: mmd_estimate(xs, xt, method=method, bandwidths=case.bandwidths, seed=next(seeds))


@entry(on_device=True)
def dakit_estimate_exact(case: Case):
    return _estimate(case, "exact")


@entry(on_device=True)
def dakit_estimate_rff(case: Case):
    return _estimate(case, "rff")


@entry(on_device=True)
def dakit_estimate_block(case: Case):
    return _estimate(case, "block")


@entry(on_device=True)
def dakit_estimate_subsample(case: Case):
    return _estimate(case, "subsample")


@entry(on_device=True)
def dakit_estimate_linear(case: Case):
    return _estimate(case, "linear")
