import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from dakit.methods.retrieval import Whitening, mean_average_precision, spatial_distances, unit_rows
from dakit.models.looks import windows


def correlated(n=200, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 1


def test_whitened_fit_data_have_covariance_identity():
    """Acceptance 3."""
    x = correlated()
    for k in (3, 6, 500):
        w = Whitening(n_components=k).fit(x).whiten(x)
        np.testing.assert_allclose(np.cov(w.T), np.eye(min(k, 6)), atol=1e-3)
        np.testing.assert_allclose(w.mean(0), 0, atol=1e-9)


def test_against_scikit_learn_step_by_step():
    x, new = correlated(), correlated(seed=1)
    pca = PCA(4, whiten=True).fit(normalize(x))
    reference = normalize(pca.transform(normalize(new)))
    z = Whitening(n_components=4).fit(x).transform(new)
    np.testing.assert_allclose(
        np.abs(z.T @ reference).round(6), np.abs(reference.T @ reference).round(6), atol=1e-6
    )
    np.testing.assert_allclose(z @ z.T, reference @ reference.T, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1)


def test_the_order_of_the_steps_matters_and_scale_does_not():
    x, new = correlated(), correlated(seed=1)
    model = Whitening(n_components=4).fit(x)
    np.testing.assert_allclose(model.transform(7e9 * new), model.transform(new), atol=1e-9)
    unnormalised = normalize(PCA(4, whiten=True).fit(x).transform(new))
    z = model.transform(new)
    assert np.abs(z @ z.T - unnormalised @ unnormalised.T).max() > 0.05


def test_signed_square_after_whitening():
    x = correlated()
    one, two = (Whitening(n_components=4, power=p).fit(x) for p in (1, 2))
    w = one.whiten(x)
    np.testing.assert_allclose(two.transform(x), normalize(np.sign(w) * w**2), atol=1e-9)
    z = one.transform(x)  # the power before or after the last normalisation: the same rows
    np.testing.assert_allclose(normalize(np.sign(z) * z**2), two.transform(x), atol=1e-9)


def test_windows_of_pictures_are_whitened_one_by_one():
    x = correlated()
    model = Whitening(n_components=3).fit(x)
    z = model.transform(x[:12].reshape(4, 3, 6))
    np.testing.assert_allclose(z.reshape(12, 3), model.transform(x[:12]))


def test_directions_without_variance_are_left_out():
    x = correlated()
    x = np.hstack([x, x[:, :2]])
    model = Whitening(n_components=8).fit(x)
    assert model.directions_.shape == (8, 6)
    assert clone(model).get_params() == {"n_components": 8, "power": 1.0}
    assert np.isfinite(model.transform(x)).all()


def test_unit_rows_at_the_ends_of_the_range():
    x = np.array([[1e-300, -1e-300], [1e150, 0.0], [0.0, 0.0]])
    for power in (1, 2, 0.5):
        z = unit_rows(x, power)
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), [1, 1, 0])


def brute(q, r):
    return np.array(
        [[np.mean([min(np.linalg.norm(a - b) for b in right) for a in left]) for right in r] for left in q]
    )


def test_spatial_distances_by_hand_and_against_loops():
    assert spatial_distances([[[0.0], [4.0]]], [[[1.0], [4.5]]]).tolist() == [[0.75]]
    assert spatial_distances([[[1.0], [4.5]]], [[[0.0], [4.0]]]).tolist() == [[0.75]]
    assert spatial_distances([[[0.0]]], [[[3.0], [-1.0]]]).tolist() == [[1.0]]
    assert spatial_distances([[[3.0], [-1.0]]], [[[0.0]]]).tolist() == [[2.0]]  # not symmetric
    rng = np.random.default_rng(0)
    q, r = rng.normal(size=(5, 3, 4)), rng.normal(size=(6, 2, 4))
    np.testing.assert_allclose(spatial_distances(q, r), brute(q, r))


def test_one_level_is_the_euclidean_distance_and_more_reference_levels_only_come_nearer():
    """Acceptance 4."""
    x = torch.rand(7, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels = [windows(x, h).flatten(2).numpy() for h in (1, 2, 3)]
    plain = np.linalg.norm(x.flatten(1)[:, None] - x.flatten(1)[None], axis=2)
    np.testing.assert_allclose(spatial_distances(levels[0], levels[0]), plain, atol=1e-6)
    np.testing.assert_allclose(spatial_distances(levels[0][:, 0], levels[0]), plain, atol=1e-6)
    for query in levels:
        one, two, three = (spatial_distances(query, reference) for reference in levels)
        assert (two <= one).all()
        assert (three <= two).all()
        assert (three < one).any()


def test_order_of_windows_does_not_matter():
    rng = np.random.default_rng(0)
    q, r = rng.normal(size=(3, 5, 2)), rng.normal(size=(4, 6, 2))
    np.testing.assert_allclose(
        spatial_distances(q[:, ::-1], r[:, rng.permutation(6)]), spatial_distances(q, r)
    )


def test_mean_average_precision():
    d = [[0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 2.0, 1.0]]
    right = [[True, False, True, False], [False, False, False, True]]
    assert mean_average_precision(d, right) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    with pytest.raises(ValueError, match="every query needs at least one relevant reference"):
        mean_average_precision(d, np.zeros((2, 4), bool))
    with pytest.raises(ValueError, match=r"one shape \(queries, references\), got \(2, 4\) and \(3, 4\)"):
        mean_average_precision(d, np.ones((3, 4), bool))


def test_bad_input():
    with pytest.raises(ValueError, match="all rows point in one direction"):
        Whitening().fit(np.arange(1, 6)[:, None] * np.ones(3))
    with pytest.raises(ValueError, match="n_components must be an integer of at least 1"):
        Whitening(n_components=0).fit(correlated())
    with pytest.raises(ValueError, match="power must be a number of more than 0"):
        Whitening(power=0).fit(correlated())
    with pytest.raises(ValueError, match="NaN"):
        Whitening().fit(np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="with one d"):
        spatial_distances(np.zeros((2, 3, 4)), np.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match="must be finite"):
        spatial_distances(np.full((2, 3), np.inf), np.zeros((2, 3)))
