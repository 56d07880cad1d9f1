"""The compiled loops: what they sum, that nothing depends on them, and that they load late."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from dakit.metrics import fused, mmd, mmd_test
from dakit.metrics.radial import RadialPairs

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]
needs_numba = pytest.mark.skipif(fused.compiled() is None, reason="numba is not installed")


def tile(rows=70, columns=130, low=-80.0, seed=0):
    return np.random.default_rng(seed).uniform(low, 0, (rows, columns)).astype(np.float32)


def steps(*times):
    return np.array(times, dtype=np.int64)


# -- against numpy in float64 -------------------------------------------------------------------------------


@needs_numba
@pytest.mark.parametrize("times", [(), (1,), (1, 1, 1, 1), (2, 0, 3), (0, 0)])
@pytest.mark.parametrize("low", [-0.01, -5.0, -80.0])
def test_powers(times, low):
    x = tile(low=low)
    powers = [np.exp2(x.astype(float) * 2.0**k) for k in np.cumsum([0, *times])]
    total = fused.compiled().powers_total(x.copy(), steps(*times))
    assert total == pytest.approx(sum(p.sum() for p in powers), rel=1e-7)

    out, mean, sums = x.copy(), np.empty(130, np.float32), np.empty(70)
    fused.compiled().powers_mean(out, steps(*times), 0.25, mean, sums)
    expected = np.mean(powers, axis=0) - 0.25
    close = 2e-7 * 2 ** sum(times)  # squaring doubles a relative error
    np.testing.assert_allclose(out, expected, atol=close)
    np.testing.assert_allclose(sums, expected.sum(1), atol=130 * close)


@needs_numba
def test_exponential_to_the_last_bit_but_one():
    x = np.linspace(-120, 0, 100_000, dtype=np.float32)[None]
    out = x.copy()
    fused.compiled().powers_total(out, steps())
    assert np.abs(out / np.exp2(x.astype(float)) - 1).max() < 2**-23
    ends = np.array([[0.0, -1.0, -0.5, 1e-6, -126.0, -1e30, -np.inf]], dtype=np.float32)
    fused.compiled().powers_total(ends, steps())
    np.testing.assert_allclose(ends[0], [1, 0.5, 0.5**0.5, 1, 0, 0, 0], rtol=1e-6, atol=1e-37)


@needs_numba
def test_roots_and_label_sums():
    x = tile(low=-30.0)
    x[3, 4], x[5, 6], x[7, 8] = 1e-6, -1e-6, 0.0  # rounding may leave a squared distance below 0
    out, sums = x.copy(), np.empty(70)
    assert fused.compiled().roots(out, np.float32(-1e-4), sums) == np.count_nonzero(x > -1e-4)
    expected = -np.sqrt(np.maximum(-x.astype(float), 0))
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_allclose(sums, expected.sum(1), rtol=1e-6)

    z = (tile(low=-1, seed=1) < -0.5).astype(np.float32)
    whole, inside = np.ones(130), np.ones(130)
    fused.compiled().label_sums(x, z, whole, inside)
    np.testing.assert_allclose(whole, 1 + x.sum(0, dtype=float), rtol=1e-5)
    np.testing.assert_allclose(inside, 1 + (x * z).sum(0, dtype=float), rtol=1e-5, atol=1e-5)


# -- the metrics with and without ---------------------------------------------------------------------------


def samples(n, m, d=8):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n, d)).astype(np.float32),
        (rng.normal(size=(m, d)) * 1.02 + 0.02).astype(np.float32),
    )


@needs_numba
@pytest.mark.parametrize("bandwidths", [FIVE, [32.0, 2.0, 8.0], [4.0, 4.0], [3.0]])
def test_loops_torch_and_float64_agree(monkeypatch, bandwidths):
    xs, xt = samples(1500, 1300)
    exact = mmd(xs.astype(float), xt.astype(float), bandwidths=bandwidths)
    draws = mmd_test(xs.astype(float), xt.astype(float), bandwidths=bandwidths, permutations=60).null
    for threshold in (0, 2**62):
        monkeypatch.setattr(fused, "PAIRS_FOR_NUMBA", threshold)
        assert (RadialPairs(*map(torch.from_numpy, (xs, xt)), "rbf", bandwidths).loops is None) == (
            threshold > 0
        )
        assert abs(mmd(xs, xt, bandwidths=bandwidths) - exact) < 1e-4 * draws.std()
        test = mmd_test(xs, xt, bandwidths=bandwidths, permutations=60)
        assert abs(test.statistic - exact) < 1e-4 * draws.std()
        assert np.abs(test.null - draws).max() < 1e-4 * draws.std()


@needs_numba
def test_far_points_and_equal_points(monkeypatch):
    monkeypatch.setattr(fused, "PAIRS_FOR_NUMBA", 0)
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(60, 3)).astype(np.float32)
    assert mmd(xs, xs, bandwidths=FIVE, unbiased=False) == pytest.approx(0, abs=1e-7)
    far = xs + np.float32(30)  # no pair across is left, at a distance that float32 still holds
    inside = mmd(xs.astype(float), far.astype(float), bandwidths=FIVE)
    assert mmd(xs, far, bandwidths=FIVE) == pytest.approx(inside, rel=1e-6)


def test_no_bit_depends_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(fused, "PAIRS_FOR_NUMBA", 0)
    xs, xt = samples(1500, 1300)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(
                (mmd(xs, xt, bandwidths=FIVE), *mmd_test(xs, xt, bandwidths=FIVE, permutations=20).null)
            )
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


# -- when they are used -------------------------------------------------------------------------------------


def test_only_for_large_float32_on_the_cpu():
    cpu, many = torch.device("cpu"), fused.PAIRS_FOR_NUMBA
    assert fused.loops(torch.float32, cpu, many - 1) is None
    assert fused.loops(torch.float64, cpu, many) is None
    assert fused.loops(torch.float32, torch.device("cuda"), many) is None
    assert fused.loops(torch.float32, cpu, many) is fused.compiled()


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    return done.stdout


def test_numba_loads_late_and_may_be_missing():
    code = """
import sys
import numpy as np
from dakit.metrics import fused, mmd
x = np.random.default_rng(0).normal(size=(2, 300, 4)).astype("f4")
mmd(*x)
print("numba" in sys.modules)
sys.modules["numba"] = None  # importing it fails from now on
fused.PAIRS_FOR_NUMBA = 0
print(fused.compiled(), mmd(*x) == mmd(*x))
"""
    assert run(code).split() == ["False", "None", "True"]


@needs_numba
def test_loops_work_where_nothing_can_be_kept_on_disk(monkeypatch):
    import numba

    def njit(signature, cache, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(signature, **options)

    numba_njit = numba.njit
    monkeypatch.setattr(numba, "njit", njit)
    loops = fused.compiled.__wrapped__()
    assert loops.powers_total(np.zeros((2, 3), np.float32), steps()) == 6
