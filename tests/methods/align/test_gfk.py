import numpy as np
import pytest
from scipy.linalg import null_space
from sklearn.decomposition import PCA

from dakit.methods import GFK
from dakit.methods.align.gfk import geodesic_flow_factor
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.test_sa import tilted
from tests.methods.align.toy_shifts import gains, gaussians


def bases(d=9, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(np.linalg.qr(rng.normal(size=(d, k)))[0] for _ in range(2))


def kernel(ps, pt):
    factor, _ = geodesic_flow_factor(ps, pt)
    return factor @ factor.T


def by_quadrature(ps, pt, points=40):
    """The integral of Φ(t) Φ(t)' with the geodesic from the paper's eq. 4, by Gauss-Legendre."""
    rs = null_space(ps.T)
    u1, cosine, vt = np.linalg.svd(ps.T @ pt)
    theta = np.arccos(cosine.clip(-1, 1))
    u2 = -(rs.T @ pt @ vt.T) / np.sin(theta)
    nodes, weights = np.polynomial.legendre.leggauss(points)
    total = 0
    for node, weight in zip((nodes + 1) / 2, weights / 2):
        phi = ps @ u1 @ np.diag(np.cos(node * theta)) - rs @ u2 @ np.diag(np.sin(node * theta))
        total = total + weight * phi @ phi.T
    return total


def test_by_hand_in_the_plane():
    # A quarter turn: the integrals of cos², cos sin and sin² of t π/2 are 1/2, 1/π and 1/2.
    g = kernel(np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(g, [[1 / 2, 1 / np.pi], [1 / np.pi, 1 / 2]])


@pytest.mark.parametrize(("d", "k"), [(9, 3), (30, 5), (4, 2), (2, 1)])
def test_against_the_integral(d, k):
    ps, pt = bases(d, k)
    np.testing.assert_allclose(kernel(ps, pt), by_quadrature(ps, pt), atol=1e-10)


def test_equal_subspaces_give_a_projection():
    ps, _ = bases()
    turned = ps @ np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    factor, theta = geodesic_flow_factor(ps, turned)
    np.testing.assert_allclose(factor @ factor.T, ps @ ps.T, atol=1e-12)
    np.testing.assert_allclose(theta, 0, atol=1e-7)


def test_nearly_equal_subspaces_are_nearly_a_projection():
    ps, pt = bases()
    for size in (1e-4, 1e-8, 1e-12):
        near = np.linalg.qr(ps + size * pt)[0]
        assert np.abs(kernel(ps, near) - ps @ ps.T).max() < 3 * size + 1e-13


def test_symmetric_in_the_domains_bounded_and_of_the_subspaces_alone():
    ps, pt = bases()
    g = kernel(ps, pt)
    np.testing.assert_allclose(g, kernel(pt, ps), atol=1e-12)
    values = np.linalg.eigvalsh(g)
    assert values.min() > -1e-12
    assert values.max() < 1 + 1e-12
    assert np.trace(g) == pytest.approx(3)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(g, kernel(ps @ turn, pt), atol=1e-12)


def test_more_than_half_the_dimensions():
    """Two subspaces of 3 dimensions in 4 share at least 2: the kernel is the identity there."""
    ps, pt = bases(4, 3)
    assert np.sort(np.linalg.eigvalsh(kernel(ps, pt)))[-2:] == pytest.approx([1, 1])


def test_nearest_neighbours_are_those_of_the_kernels_distance():
    xs, ys, xt = gaussians(d=8)
    model = GFK(n_components=2).fit_domains(xs, ys, xt)
    g = by_quadrature(PCA(2).fit(xs).components_.T, PCA(2).fit(xt).components_.T)
    difference = xt[:, None] - xs[None]
    distances = np.einsum("tsd,de,tse->ts", difference, g, difference)
    np.testing.assert_array_equal(model.predict(xt), ys[distances.argmin(1)])
    assert model.factor_.shape == (8, 4)


def test_rotation_of_the_space_and_order_of_rows():
    xs, ys, xt = gaussians()
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    a = GFK(n_components=2).fit_domains(xs, ys, xt)
    np.testing.assert_array_equal(
        a.predict(xt), GFK(n_components=2).fit_domains(xs @ q, ys, xt @ q).predict(xt @ q)
    )
    b = GFK(n_components=2).fit_domains(xs[::-1], ys[::-1], xt[::-1])
    np.testing.assert_allclose(a.angles_, b.angles_, atol=1e-9)


def test_it_helps_where_the_subspace_is_tilted_over_seeds():
    assert (gains(GFK(n_components=2), tilted) > 0).all()


def test_bad_input():
    xs, ys, xt = gaussians()
    with pytest.raises(ValueError, match="n_components must be an integer of at least 1, got -2"):
        GFK(n_components=-2).fit_domains(xs, ys, xt)
    with pytest.raises(ValueError, match="all source rows are equal"):
        GFK().fit_domains(np.zeros_like(xs), ys, xt)


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(GFK()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
