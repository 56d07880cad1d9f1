"""Canonical correlations, CCA, SVCCA and PWCCA."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from sklearn.decomposition import PCA

from dakit.metrics import canonical_correlations, cca, pwcca, svcca


def views(n=200, p=5, q=8, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, p))
    return a, a @ rng.normal(size=(p, q)) + noise * rng.normal(size=(n, q))


def by_eigenvalues(a, b):
    """Roots of the eigenvalues of Saa^-1 Sab Sbb^-1 Sba: Hotelling's own way."""
    p = a.shape[1]
    s = np.cov(a.T, b.T)
    saa, sab, sbb = s[:p, :p], s[:p, p:], s[p:, p:]
    values = eigh(sab @ np.linalg.solve(sbb, sab.T), saa, eigvals_only=True)[::-1]
    return np.sqrt(values.clip(0, 1))[: min(a.shape[1], b.shape[1])]


@pytest.mark.parametrize(("p", "q"), [(5, 8), (8, 5), (1, 3), (4, 4)])
def test_against_eigenvalues(p, q):
    a, b = views(p=p, q=q)
    found = canonical_correlations(a, b)
    np.testing.assert_allclose(found, by_eigenvalues(a, b), atol=1e-10)
    assert cca(a, b) == pytest.approx(by_eigenvalues(a, b).mean())
    assert svcca(a, b, keep=1.0) == pytest.approx(cca(a, b))


def test_one_feature_each_is_the_correlation():
    a, b = views(p=1, q=1)
    assert cca(a, b) == pytest.approx(abs(np.corrcoef(a.T, b.T)[0, 1]))


def test_svcca_against_pca_first():
    a, b = views(p=12, q=10)
    a, b = a * np.geomspace(1, 1e-3, 12), b * np.geomspace(1, 1e-2, 10)
    small = [PCA(0.99, svd_solver="full").fit_transform(x) for x in (a, b)]
    assert 1 < small[0].shape[1] < 12
    assert svcca(a, b) == pytest.approx(cca(*small))
    assert svcca(a, b) != pytest.approx(cca(a, b), abs=1e-3)


def test_pwcca_by_loops():
    a, b = views(p=4, q=6)
    a0, b0 = a - a.mean(0), b - b.mean(0)
    qa, qb = np.linalg.qr(a0)[0], np.linalg.qr(b0)[0]
    u, rho, _ = np.linalg.svd(qa.T @ qb, full_matrices=False)
    alpha = [sum(abs((qa @ u[:, i]) @ a0[:, j]) for j in range(4)) for i in range(4)]
    assert pwcca(a, b) == pytest.approx(sum(w * r for w, r in zip(alpha, rho)) / sum(alpha))


def test_invariances():
    a, b = views()
    rng = np.random.default_rng(3)
    value, weighted = cca(a, b), pwcca(a, b)
    maps = rng.normal(size=(5, 5)), rng.normal(size=(8, 8))
    assert cca(a @ maps[0] + 4, b @ maps[1]) == pytest.approx(value)  # any invertible linear map
    assert pwcca(a, b @ maps[1]) == pytest.approx(weighted)
    assert pwcca(a @ maps[0], b) != pytest.approx(weighted, abs=1e-6)
    assert cca(b, a) == pytest.approx(value)
    order = rng.permutation(200)
    assert cca(a[order], b[order]) == pytest.approx(value)
    assert cca(np.c_[a, a[:, 0] + a[:, 1], np.full(200, 0.1)], b) == pytest.approx(value)
    assert cca(a * 1e100, b * 1e-100) == pytest.approx(value)
    assert cca(a.astype(np.float32), torch.from_numpy(b)) == pytest.approx(value, abs=1e-5)
    single = np.c_[a, a[:, 0] + a[:, 1]].astype(np.float32)  # dependent up to rounding in float32
    assert cca(single, b) == pytest.approx(value, abs=1e-5)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert svcca(3 * a @ turn, b) == pytest.approx(svcca(a, b))


def test_limits():
    a, _ = views(2000)
    rng = np.random.default_rng(4)
    assert cca(a, a @ rng.normal(size=(5, 5))) == pytest.approx(1)
    assert pwcca(a, a) == pytest.approx(1)
    unrelated = canonical_correlations(a, rng.normal(size=(2000, 8)))
    assert unrelated.max() < np.sqrt(5 / 2000) + np.sqrt(8 / 2000) + 0.04
    assert [cca(*views(noise=s)) for s in (0.1, 1, 10)] == sorted(
        (cca(*views(noise=s)) for s in (0.1, 1, 10)), reverse=True
    )


def test_bad_input():
    a, b = views(20, 5, 40)
    with pytest.raises(ValueError, match="b spans all 19 directions that 20 centred examples have"):
        cca(a, b)
    assert 0 <= svcca(a, b, keep=0.5) <= 1
    with pytest.raises(ValueError, match="all rows of a are equal"):
        cca(np.ones((20, 3)), a)
    with pytest.raises(ValueError, match=r"keep must lie in \(0, 1\], got 1.5"):
        svcca(a, b, keep=1.5)
    with pytest.raises(ValueError, match="same examples"):
        pwcca(a, b[1:])
