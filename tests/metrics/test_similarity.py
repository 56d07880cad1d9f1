"""CKA and the Procrustes distance."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import cdist

from dakit.metrics import cka, median_heuristic, procrustes


def views(n=50, p=6, q=9, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, p))
    return a, a @ rng.normal(size=(p, q)) + noise * rng.normal(size=(n, q))


def turn(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


# -- n x n references ---------------------------------------------------------------------------------------


def gram(x, kernel, bandwidth):
    return x @ x.T if kernel == "linear" else np.exp(-cdist(x, x, "sqeuclidean") / bandwidth)


def hsic(k, m, unbiased):
    """Gretton et al. 2005 and eq. 5 of Song et al. 2012, word for word."""
    n, one = len(k), np.ones(len(k))
    if not unbiased:
        h = np.eye(n) - 1 / n
        return np.trace(k @ h @ m @ h) / (n - 1) ** 2
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    total = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + total - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def cka_by_matrices(a, b, kernel="linear", unbiased=True, bandwidths=(1.0, 1.0)):
    k, m = gram(a, kernel, bandwidths[0]), gram(b, kernel, bandwidths[1])
    return hsic(k, m, unbiased) / math.sqrt(hsic(k, k, unbiased) * hsic(m, m, unbiased))


# -- CKA ----------------------------------------------------------------------------------------------------


def test_cka_by_hand():
    # Centred: a = (-1, 0, 1), b = (-1, 2, -1): orthogonal, then b' with a share of a.
    a = [[-1.0], [0.0], [1.0]]
    assert cka(a, [[-1.0], [2.0], [-1.0]], unbiased=False) == pytest.approx(0, abs=1e-15)
    b = [[-2.0], [2.0], [0.0]]  # the sum of both: <a, b>² / (|a|² |b|²) = 4 / (2 * 8)
    assert cka(a, b, unbiased=False) == pytest.approx(1 / 4)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("n", "p", "q"), [(50, 6, 9), (12, 40, 30), (12, 40, 3), (4, 2, 2)])
def test_linear_cka_against_matrices(n, p, q, unbiased):
    a, b = views(n, p, q)
    expected = cka_by_matrices(a, b, unbiased=unbiased)
    assert cka(a, b, unbiased=unbiased) == pytest.approx(np.clip(expected, -1, 1), abs=1e-12)
    assert cka(a + 100, b - 50, unbiased=unbiased) == pytest.approx(np.clip(expected, -1, 1), abs=1e-10)


@pytest.mark.parametrize("unbiased", [True, False])
def test_rbf_cka_against_matrices(unbiased, monkeypatch):
    monkeypatch.setattr(sys.modules["dakit.metrics.similarity"], "ENTRIES", 6000)  # 20 rows of 300 at once
    a, b = views(300, 3, 4)
    found = cka(a, b, kernel="rbf", unbiased=unbiased, bandwidths=(3.0, 20.0))
    assert found == pytest.approx(cka_by_matrices(a, b, "rbf", unbiased, (3.0, 20.0)), abs=1e-12)
    a, b = a[:60], b[:60]
    medians = tuple(np.median(cdist(x, x, "sqeuclidean")[np.triu_indices(60, 1)]) for x in (a, b))
    assert medians[0] == pytest.approx(median_heuristic(a[:30], a[30:]))
    found = cka(a, b, kernel="rbf", unbiased=unbiased)
    assert found == pytest.approx(cka_by_matrices(a, b, "rbf", unbiased, medians), abs=1e-12)


@pytest.mark.parametrize("unbiased", [True, False])
def test_many_features_in_blocks(unbiased, monkeypatch):
    monkeypatch.setattr(sys.modules["dakit.metrics.similarity"], "ENTRIES", 4000)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 250)), rng.normal(size=(200, 5))
    b[:, 0] = 10 * a[:, 0]
    assert cka(a, b, unbiased=unbiased) == pytest.approx(cka_by_matrices(a, b, unbiased=unbiased), abs=1e-12)


def test_no_kernel_matrix_is_kept():
    # 3000 points make two matrices of 69 MiB; blocks of 16 MiB, of which a few are alive at once.
    code = """
import resource, numpy as np
from dakit.metrics import cka
x = np.random.default_rng(0).normal(size=(3000, 4))
cka(x[:500], x[:500], kernel="rbf")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cka(x, x + 1, kernel="rbf")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 120


@pytest.mark.parametrize("options", [{}, {"unbiased": False}, {"kernel": "rbf"}])
def test_cka_invariances(options):
    a, b = views()
    value = cka(a, b, **options)
    assert cka(b, a, **options) == pytest.approx(value)
    assert cka(7 * a @ turn(6) + 3, b / 5, **options) == pytest.approx(value)
    assert cka(a * 1e100, b * 1e-100, **options) == pytest.approx(value)
    order = np.random.default_rng(1).permutation(50)
    assert cka(a[order], b[order], **options) == pytest.approx(value)
    assert cka(a, a @ turn(6), **options) == pytest.approx(1)
    assert cka(a.astype(np.float32), b.astype(np.float32), **options) == pytest.approx(value, abs=1e-5)
    assert cka(torch.from_numpy(a), b, **options) == pytest.approx(value)
    stretched = a * [100, 1, 1, 1, 1, 1]  # an invertible map that is no rotation
    assert cka(a, stretched, **options) < 0.8


def test_the_bias_and_its_absence():
    rng = np.random.default_rng(0)
    biased, unbiased = [], []
    for _ in range(100):
        a, b = rng.normal(size=(20, 100)), rng.normal(size=(20, 100))
        biased.append(cka(a, b, unbiased=False))
        unbiased.append(cka(a, b))
    assert np.mean(biased) > 0.7  # unrelated
    assert abs(np.mean(unbiased)) < 4 * np.std(unbiased) / 10
    assert min(unbiased) < 0


def test_minibatches():
    a, b = views(2000, noise=2.0)
    full = cka(a, b)
    errors = [
        np.mean([abs(cka(a, b, batch_size=size, seed=s) - full) for s in range(10)]) for size in (8, 64, 512)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01
    assert cka(a, b, batch_size=2000) == full
    assert cka(a, b, batch_size=64, seed=3) == cka(a, b, batch_size=64, seed=3)
    # By hand: two halves, averages before the division.
    order = np.random.default_rng(0).permutation(60)
    halves = [(a[part], b[part]) for part in (order[:30], order[30:])]
    ab, aa, bb = (
        sum(hsic(x[i] @ x[i].T, x[j] @ x[j].T, True) for x in halves) for i, j in ((0, 1), (0, 0), (1, 1))
    )
    assert cka(a[:60], b[:60], batch_size=30) == pytest.approx(ab / math.sqrt(aa * bb))
    assert -1 <= cka(a[:61], b[:61], batch_size=30, kernel="rbf") <= 1


@pytest.mark.parametrize("device", ["cuda"])
def test_cka_on_a_gpu(device):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    a, b = views()
    for options in ({}, {"kernel": "rbf"}, {"batch_size": 10}):
        on_gpu = cka(torch.from_numpy(a).to(device), torch.from_numpy(b).to(device), **options)
        assert on_gpu == pytest.approx(cka(a, b, **options), abs=1e-10)
    assert procrustes(torch.from_numpy(a).to(device), b) == pytest.approx(procrustes(a, b), abs=1e-10)


def test_cka_bad_input():
    a, b = views()
    with pytest.raises(ValueError, match="same examples, row by row, but have 50 and 49 rows"):
        cka(a, b[1:])
    with pytest.raises(ValueError, match="all rows of b are equal, so there is nothing to align"):
        cka(a, np.full((50, 3), 0.1))
    with pytest.raises(ValueError, match="equal or equally far apart"):
        cka(np.eye(5), a[:5])
    with pytest.raises(ValueError, match="a needs at least 4 examples, got 3"):
        cka(a[:3], b[:3])
    with pytest.raises(ValueError, match="kernel must be 'linear' or 'rbf', got 'poly'"):
        cka(a, b, kernel="poly")
    with pytest.raises(ValueError, match="batch_size needs unbiased=True"):
        cka(a, b, batch_size=10, unbiased=False)
    with pytest.raises(ValueError, match="batch_size must be at least 4"):
        cka(a, b, batch_size=3)
    with pytest.raises(ValueError, match="belong to kernel='rbf'"):
        cka(a, b, bandwidths=(1.0, 1.0))
    with pytest.raises(ValueError, match="two positive numbers"):
        cka(a, b, kernel="rbf", bandwidths=(1.0, 0.0))


# -- Procrustes ---------------------------------------------------------------------------------------------


def procrustes_by_scipy(a, b, scale):
    a, b = a - a.mean(0), b - b.mean(0)
    if scale:
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    d = max(a.shape[1], b.shape[1])
    a, b = (np.pad(x, ((0, 0), (0, d - x.shape[1]))) for x in (a, b))
    rotation, _ = orthogonal_procrustes(b, a)
    return np.square(b @ rotation - a).sum()


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(("n", "p", "q"), [(50, 6, 9), (8, 30, 20), (8, 3, 20), (20, 5, 5)])
def test_procrustes_against_scipy(n, p, q, scale):
    a, b = views(n, p, q)
    assert procrustes(a, b, scale=scale) == pytest.approx(procrustes_by_scipy(a, b, scale), rel=1e-9)


def test_procrustes_by_hand_and_limits():
    # Triangles with legs along the axes: singular values of A'B are the products of the norms.
    a, b = [[-1.0, 0.0], [1.0, 0.0]], [[0.0, -2.0], [0.0, 2.0]]
    assert procrustes(a, b) == pytest.approx(0, abs=1e-14)
    assert procrustes(a, b, scale=False) == pytest.approx(2 + 8 - 2 * 4)
    e = np.eye(4) - 0.25
    assert procrustes([[-1.0], [1.0], [0.0], [0.0]], [[0.0], [0.0], [-1.0], [1.0]]) == pytest.approx(2)
    assert procrustes(e, 5 * e @ turn(4) + 3) == pytest.approx(0, abs=1e-12)
    assert procrustes(np.ones((3, 2)), np.ones((3, 2)), scale=False) == 0


def test_procrustes_invariances():
    a, b = views()
    value = procrustes(a, b)
    assert 0 < value < 2
    assert procrustes(b, a) == pytest.approx(value)
    assert procrustes(3 * a @ turn(6) + 1, b @ turn(9)) == pytest.approx(value)
    assert procrustes(a * 1e100, b * 1e-100) == pytest.approx(value)
    assert procrustes(2 * a, 2 * b, scale=False) == pytest.approx(4 * procrustes(a, b, scale=False))
    assert procrustes(np.c_[a, np.zeros(50)], b) == pytest.approx(value)
    assert procrustes(a.astype(np.float32), torch.from_numpy(b)) == pytest.approx(value, abs=1e-5)
    # The distance is a metric once rooted: the triangle inequality.
    c = views(seed=5)[1]
    assert math.sqrt(procrustes(a, c)) <= math.sqrt(value) + math.sqrt(procrustes(b, c))


def test_procrustes_bad_input():
    a, b = views()
    with pytest.raises(ValueError, match="all rows of a are equal, so it has no shape"):
        procrustes(np.ones((50, 2)), b)
    with pytest.raises(ValueError, match="row by row"):
        procrustes(a[1:], b)


def test_data_are_left_as_they_were():
    a, b = views()
    before = a.copy(), b.copy()
    for kernel in ("linear", "rbf"):
        for unbiased in (True, False):
            cka(a, b, kernel=kernel, unbiased=unbiased)
    procrustes(a, b, scale=False)
    assert (a == before[0]).all()
    assert (b == before[1]).all()
