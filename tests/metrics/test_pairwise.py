"""The tiles: threads, precision settings of the process, and memory."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from dakit.metrics import mmd, mmd_test
from dakit.metrics.pairwise import blocks, one_thread_each

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def samples(n, m, d=8, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + 0.1).astype(dtype)


@pytest.mark.parametrize(
    ("lengths", "tile"), [((1000, 3), 512), ((2, 2), 512), ((513, 1024), 512), ((7, 5), 2)]
)
def test_blocks_cover_every_row_once_and_stay_in_their_group(lengths, tile):
    cuts = blocks(*lengths, tile=tile)
    assert [r for c in cuts for r in range(c.start, c.stop)] == list(range(sum(lengths)))
    assert max(c.stop - c.start for c in cuts) <= tile
    assert all((c.start < lengths[0]) == (c.stop <= lengths[0]) for c in cuts)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_number_of_threads_changes_no_bit(two_threads):
    xs, xt = samples(1600, 1500)
    together = mmd(xs, xt, bandwidths=FIVE), mmd_test(xs, xt, bandwidths=FIVE, permutations=20)
    torch.set_num_threads(1)
    alone = mmd(xs, xt, bandwidths=FIVE), mmd_test(xs, xt, bandwidths=FIVE, permutations=20)
    assert together[0] == alone[0]
    assert together[1].statistic == alone[1].statistic
    np.testing.assert_array_equal(together[1].null, alone[1].null)


def test_number_of_threads_is_restored_also_after_an_error(two_threads):
    xs, xt = samples(1600, 1500)
    mmd(xs, xt, bandwidths=FIVE)
    assert torch.get_num_threads() == 2

    def broken(a, b):
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        mmd(xs, xt, kernel=broken)
    assert torch.get_num_threads() == 2


def test_overlapping_callers_agree_on_what_to_restore(two_threads):
    entered, leave, left_with = threading.Event(), threading.Event(), []

    def other():
        with one_thread_each():
            entered.set()
            leave.wait(10)
        left_with.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    with one_thread_each():
        assert torch.get_num_threads() == 1
        thread.start()
        assert entered.wait(10)
    assert torch.get_num_threads() == 2
    leave.set()
    thread.join(10)
    assert left_with == [2]
    fresh = threading.Thread(target=lambda: left_with.append(torch.get_num_threads()))
    fresh.start()
    fresh.join(10)
    assert left_with == [2, 2]


def test_reduced_precision_of_the_process_is_not_used():
    xs, xt = samples(400, 300, 64)
    expected = mmd(xs, xt, bandwidths=[64.0, 128.0])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert mmd(xs, xt, bandwidths=[64.0, 128.0]) == expected
        with torch.inference_mode():
            assert mmd(torch.from_numpy(xs), xt, bandwidths=[64.0, 128.0]) == expected
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def peak_growth(code: str) -> float:
    """MiB by which a call raises the memory of a fresh process at its peak, after a call with small data."""
    # Not getrusage: its peak is inherited from the process that starts this one, and would hide any growth.
    script = f"""
import numpy as np, torch
torch.set_num_threads(1)
from dakit.metrics import *
from dakit.metrics.fused import compiled
compiled()  # numba itself takes 100 MiB, once, whatever the data
rng = np.random.default_rng(0)
def status(key):
    return next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith(key))
def call(n):
    {code}
call(40)
before = status('VmRSS')
open('/proc/self/clear_refs', 'w').write('5')  # the peak starts anew
call(None)
print(status('VmHWM') - before)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(out.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory as Linux counts it")
@pytest.mark.parametrize(
    ("code", "whole_matrix"),
    [
        ("x = rng.normal(size=(2, n or 12000, 8)).astype('f4'); mmd(*x)", 12000**2 * 4),
        ("x = rng.normal(size=(2, n or 6000, 8)).astype('f4'); mmd_test(*x, permutations=40)", 12000**2 * 4),
        ("x = rng.normal(size=(n or 4000, 16)); icv(x, x[:, 0] > 9, descriptor='features')", 4000**2 * 8),
        ("x = rng.normal(size=(2, n or 60, 30000)); coral_distance(*x)", 30000**2 * 8),
    ],
)
def test_memory_is_linear_in_the_data(code, whole_matrix):
    assert peak_growth(code) * 2**20 < whole_matrix / 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory as Linux counts it")
def test_a_whole_matrix_would_be_noticed():
    assert peak_growth("np.ones(((n or 4000), (n or 4000)))") > 100
