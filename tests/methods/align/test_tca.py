import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import rbf_kernel

from dakit.methods import TCA
from dakit.metrics import median_heuristic
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.subspace_reference import embedding, mmd_matrix, rows_of_length_one
from tests.methods.align.toy_shifts import classes, gains, gaussians

PLAIN = {"normalise_rows": False}


def both(model, xs, ys, xt):
    x = np.concatenate([xs, xt])
    return model.fit_transform(x, np.concatenate([ys, np.full(len(xt), -1)]))


def same_up_to_signs(a, b, **tolerance):
    np.testing.assert_allclose(a * np.sign((a * b).sum(0)), b, **tolerance)


def test_by_hand():
    # Orthonormal rows: K = I, M = e e' with |e| = 1. Orthogonal to 1, the eigenvalue is 1/λ, but 1/(1 + λ) along e.
    x = np.eye(4)
    z = both(TCA(n_components=2, lambda_=0.5, **PLAIN), x[:2], [0, 1], x[2:])
    block = np.array([[0.5, -0.5], [-0.5, 0.5]])
    np.testing.assert_allclose(z @ z.T, np.kron(np.eye(2), block), atol=1e-12)
    third = both(TCA(n_components=3, lambda_=0.5, **PLAIN), x[:2], [0, 1], x[2:])[:, 2]
    np.testing.assert_allclose(np.abs(third), 0.5, atol=1e-12)
    assert TCA(n_components=4, **PLAIN).fit_domains(x[:2], [0, 1], x[2:]).n_components_ == 3


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("n", "m", "d"), [(12, 9, 5), (8, 6, 40)])
def test_against_the_matrices_of_the_paper(n, m, d, normalise, unit):
    xs, ys, xt = gaussians(n, m, d)
    x = np.concatenate([xs, xt])
    x = rows_of_length_one(x) if normalise else x
    expected = embedding(x @ x.T, mmd_matrix(ys, None, m), 3, 0.7, unit=unit)
    expected = rows_of_length_one(expected) if normalise else expected
    model = TCA(n_components=3, lambda_=0.7, normalise_rows=normalise, unit_eigenvectors=unit)
    same_up_to_signs(both(model, xs, ys, xt), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_rbf_kernel_against_the_matrices_and_its_default_bandwidth():
    xs, ys, xt = gaussians(12, 9, 5)
    x = np.concatenate([xs, xt])
    model = TCA(n_components=3, kernel="rbf", gamma=0.05, **PLAIN)
    expected = embedding(rbf_kernel(x, gamma=0.05), mmd_matrix(ys, None, 9), 3, 1.0)
    same_up_to_signs(both(model, xs, ys, xt), expected, atol=1e-8)
    default = TCA(kernel="rbf", **PLAIN).fit_domains(xs, ys, xt)
    assert default.gamma_ == pytest.approx(1 / median_heuristic(xs, xt))


def test_a_light_regulariser_makes_the_means_meet_and_a_heavy_one_is_pca():
    xs, ys, xt = gaussians()
    mean = np.concatenate([xs, xt]).mean(0)
    xs, xt = xs - mean, xt - mean
    z = both(TCA(n_components=2, lambda_=1e-6, **PLAIN), xs, ys, xt)
    assert np.abs(z[:60].mean(0) - z[60:].mean(0)).max() < 1e-6 * z.std()
    heavy = both(TCA(n_components=2, lambda_=1e12, unit_eigenvectors=False, **PLAIN), xs, ys, xt)
    reference = PCA(2, whiten=True).fit_transform(np.concatenate([xs, xt])) / np.sqrt(109)
    same_up_to_signs(heavy, reference, atol=1e-5)


def test_components_of_equal_variance_without_unit_eigenvectors():
    z = both(TCA(n_components=3, unit_eigenvectors=False, **PLAIN), *gaussians())
    centred = z - z.mean(0)
    np.testing.assert_allclose(centred.T @ centred, np.eye(3), atol=1e-8)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_new_rows_are_mapped_as_training_rows_are(kernel):
    xs, ys, xt = gaussians(d=6)
    model = TCA(n_components=3, kernel=kernel)
    z = both(model, xs, ys, xt)
    np.testing.assert_allclose(model.transform(np.concatenate([xs, xt])), z, atol=1e-9)


def test_rotation_units_and_order_of_rows():
    xs, ys, xt = gaussians()
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    model = TCA(n_components=2)
    z = both(model, xs, ys, xt)
    for unit in (1e-30, 1.0, 1e30):
        same_up_to_signs(both(model, xs @ q * unit, ys, xt @ q * unit), z, atol=1e-8)
    turned = both(model, xs[::-1], ys[::-1], xt[::-1])
    same_up_to_signs(np.concatenate([turned[:60][::-1], turned[60:][::-1]]), z, atol=1e-8)


def test_huge_and_tiny_values_without_normalisation():
    xs, ys, xt = gaussians()
    for unit in (1e-130, 1e-60, 1e60, 1e130):
        for flag in (True, False):
            model = TCA(n_components=2, unit_eigenvectors=flag, **PLAIN)
            assert np.isfinite(both(model, xs * unit, ys, xt * unit)).all()


def apart(seed):
    """Both features tell the classes; the domains lie far apart along the first."""
    rng = np.random.default_rng(seed)
    xs, ys = classes(100, [[-1, -1], [1, 1]], rng, noise=0.5)
    xt, yt = classes(100, [[3, -1], [5, 1]], rng, noise=0.5)
    return xs, ys, xt, yt


def test_it_helps_where_means_are_apart_over_seeds():
    gain = gains(TCA(n_components=1, **PLAIN), apart)
    assert (gain > 0).all()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"n_components": 0}, ValueError, "n_components must be an integer of at least 1"),
        ({"n_components": True}, TypeError, "n_components must be an integer"),
        ({"lambda_": 0.0}, ValueError, "lambda_ must be a number of more than 0"),
        ({"kernel": "cosine"}, ValueError, "kernel must be one of 'linear', 'rbf', got 'cosine'"),
        ({"gamma": -1.0}, ValueError, "gamma must be a number of more than 0"),
    ],
)
def test_bad_parameters(parameters, error, words):
    with pytest.raises(error, match=words):
        TCA(**parameters).fit_domains(*gaussians())


def test_nothing_to_map():
    with pytest.raises(
        ValueError, match=r"all rows are equal.*with normalise_rows=True only their direction counts"
    ):
        TCA().fit_domains([[1.0], [2.0]], [0, 1], [[3.0], [4.0]])
    with pytest.raises(ValueError, match="all rows are equal"):
        TCA(**PLAIN).fit_domains(np.ones((3, 2)), [0, 1, 1], np.ones((3, 2)))


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(TCA()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
