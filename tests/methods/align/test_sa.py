import numpy as np
import pytest
from sklearn.decomposition import PCA

from dakit.methods import SubspaceAlignment
from tests.methods.align.estimator_checks import TWO_MAPS, sklearn_checks
from tests.methods.align.toy_shifts import gains, gaussians


def tilted(seed, d=10, angle=1.2):
    """Three classes in a plane with little noise around it; the target's plane is tilted out of the source's."""
    rng = np.random.default_rng(seed)
    z = np.array([[6.0, 0.0], [-3.0, 3.0], [-3.0, -3.0]])
    frame = np.linalg.qr(rng.normal(size=(d, d)))[0]
    ps = frame[:, :2]
    pt = np.cos(angle) * frame[:, :2] + np.sin(angle) * frame[:, 2:4]
    y = np.arange(150) % 3
    xs, xt = (
        (z[y] + 0.8 * rng.normal(size=(150, 2))) @ p.T + 0.5 * rng.normal(size=(150, d)) for p in (ps, pt)
    )
    return xs, y, xt, y


def test_by_hand():
    xs = np.array([[-1.0, 1.0], [3.0, 1.0]])
    xt = np.array([[-3.0, -4.0], [3.0, 4.0]])
    model = SubspaceAlignment(n_components=1).fit_domains(xs, [0, 1], xt)
    np.testing.assert_allclose(model.alignment_, [[0.6]])
    np.testing.assert_allclose(model.transform([[4.0, 9.0]], [1]), [[3 * 0.6]])
    np.testing.assert_allclose(model.transform([[3.0, 4.0]]), [[5.0]])


def test_against_scikit_learns_pca():
    xs, ys, xt = gaussians()
    s, t = PCA(2).fit(xs), PCA(2).fit(xt)
    model = SubspaceAlignment(n_components=2).fit_domains(xs, ys, xt)
    zs, zt = model.transform(xs, np.ones(60)), model.transform(xt)
    # Directions are determined up to their signs; inner products do not feel them.
    np.testing.assert_allclose(zt @ zt.T, t.transform(xt) @ t.transform(xt).T, atol=1e-9)
    reference = s.transform(xs) @ s.components_ @ t.components_.T @ t.transform(xt).T
    np.testing.assert_allclose(zs @ zt.T, reference, atol=1e-9)


def test_the_alignment_is_the_best_one():
    xs, ys, xt = gaussians()
    model = SubspaceAlignment(n_components=2).fit_domains(xs, ys, xt)
    ps, pt, best = model.source_directions_, model.target_directions_, model.alignment_
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = best + 0.1 * rng.normal(size=best.shape)
        assert np.square(ps @ other - pt).sum() > np.square(ps @ best - pt).sum()


def test_equal_subspaces_need_no_alignment():
    xs, ys, _ = gaussians()
    model = SubspaceAlignment(n_components=3).fit_domains(xs, ys, xs + 5)
    np.testing.assert_allclose(model.alignment_, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(model.transform(xs, np.ones(60)), model.transform(xs + 5), atol=1e-9)


def test_rotation_of_the_space_translation_of_a_domain_and_order_of_rows():
    xs, ys, xt = gaussians()
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    a = SubspaceAlignment(n_components=2).fit_domains(xs, ys, xt).predict(xt)
    np.testing.assert_array_equal(
        a, SubspaceAlignment(n_components=2).fit_domains(xs @ q + 9, ys, xt @ q).predict(xt @ q)
    )
    b = SubspaceAlignment(n_components=2).fit_domains(xs[::-1], ys[::-1], xt[::-1])
    np.testing.assert_array_equal(a, b.predict(xt))


def test_fewer_components_where_a_domain_has_a_lower_rank():
    rng = np.random.default_rng(0)
    model = SubspaceAlignment(n_components=9).fit_domains(
        rng.normal(size=(4, 30)), [0, 1, 0, 1], rng.normal(size=(8, 30))
    )
    assert model.n_components_ == 3


def test_it_helps_where_the_subspace_is_tilted_over_seeds():
    gain = gains(SubspaceAlignment(n_components=2), tilted)
    assert (gain > 0).all()


def test_bad_input():
    xs, ys, xt = gaussians()
    with pytest.raises(ValueError, match="n_components must be an integer of at least 1, got 0"):
        SubspaceAlignment(n_components=0).fit_domains(xs, ys, xt)
    with pytest.raises(TypeError, match="n_components must be an integer"):
        SubspaceAlignment(n_components=2.5).fit_domains(xs, ys, xt)
    with pytest.raises(ValueError, match="all target rows are equal"):
        SubspaceAlignment().fit_domains(xs, ys, np.full_like(xt, 0.1))


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(SubspaceAlignment(), TWO_MAPS))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
