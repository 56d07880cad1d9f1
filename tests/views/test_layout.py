import logging
import subprocess
import sys

import numpy as np
import pytest

from dakit import views
from dakit.views.layout import FEWEST, FIT_ALL, LANDMARKS, WARNING, _landmarks, _lay_out, layout


def blobs(n=90, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) + 8 * np.eye(3, d)[np.arange(n) % 3]).astype(np.float32)


def fresh(rows, seed=0):
    """UMAP without the cache."""
    return _lay_out(rows, [len(rows)], "umap", seed, 15)[0]


def test_the_package_gives_the_function_not_the_module():
    assert views.layout is layout


def test_pca_agrees_with_scikit_learn_up_to_sign():
    from sklearn.decomposition import PCA

    rows = blobs()
    ours = layout([rows], method="pca")
    reference = PCA(2).fit(rows)
    np.testing.assert_allclose(np.abs(ours.points[0]), np.abs(reference.transform(rows)), atol=1e-3)
    assert f"{100 * reference.explained_variance_ratio_.sum():.0f}\xa0% of the variance" in ours.note


def test_pca_of_very_wide_features_agrees_with_scikit_learn():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(50, 2)) @ (5 * rng.normal(size=(2, 900))) + rng.normal(size=(50, 900))).astype(
        np.float32
    )
    ours = layout([rows], method="pca").points[0]
    np.testing.assert_allclose(np.abs(ours), np.abs(PCA(2).fit_transform(rows)), rtol=1e-3, atol=1e-2)


def test_features_of_two_columns_are_shown_as_they_are():
    rows = blobs(d=3)[:, :2]
    made = layout([rows])
    assert made.method == "features"
    np.testing.assert_array_equal(made.points[0], rows)
    assert layout([rows[:, :1]]).points[0][:, 1].tolist() == [0.0] * len(rows)


@pytest.mark.slow
def test_umap_is_the_same_for_the_same_seed_and_another_for_another():
    rows = blobs()
    np.testing.assert_array_equal(fresh(rows), fresh(rows))
    assert np.abs(fresh(rows) - fresh(rows, seed=1)).max() > 1e-3


@pytest.mark.slow
def test_umap_keeps_groups_together_and_says_how_many_neighbours_it_kept():
    rows = blobs()
    made = layout([rows])
    assert made.method == "umap"
    group = np.arange(90) % 3
    middle = np.array([made.points[0][group == g].mean(0) for g in range(3)])
    closest = ((made.points[0][:, None] - middle) ** 2).sum(2).argmin(1)
    assert (closest == group).mean() > 0.95
    assert f"{100 * made.overlap:.0f}\xa0%" in made.note
    assert WARNING in made.note


@pytest.mark.slow
def test_points_that_do_not_move_stay_where_they_are():
    rows = blobs(n=3000)
    moved = rows + np.random.default_rng(1).normal(scale=0.01, size=rows.shape).astype(np.float32)
    made = layout([rows, moved, rows])
    assert sum(len(p) for p in made.points) > FIT_ALL, "this is about rows that are placed between landmarks"
    left, right, _, _ = made.limits
    step = np.linalg.norm(made.points[1] - made.points[0], axis=1)
    assert np.median(step) < 0.01 * (right - left)
    again = np.linalg.norm(made.points[2] - made.points[0], axis=1)
    assert np.median(again) < 0.01 * (right - left)


def test_landmarks_come_from_every_snapshot_and_more_from_the_first_and_last():
    chosen = _landmarks([1000] * 10, seed=0)
    counts = np.bincount(chosen // 1000, minlength=10)
    assert len(np.unique(chosen)) == len(chosen)
    assert LANDMARKS <= len(chosen) <= LANDMARKS + 10
    assert counts.min() > 0
    assert counts[0] == counts[-1] > 2 * counts[4]


def test_all_points_of_all_snapshots_lie_inside_the_square_limits():
    made = layout([blobs(), 3 * blobs(seed=1)], method="pca")
    left, right, bottom, top = made.limits
    every = np.concatenate(made.points)
    assert right - left == pytest.approx(top - bottom)
    assert (every > [left, bottom]).all()
    assert (every < [right, top]).all()


def test_asking_again_costs_nothing():
    first = layout([blobs(seed=5)], method="pca")
    assert layout([blobs(seed=5)], method="pca") is first
    assert layout([blobs(seed=6)], method="pca") is not first


def test_too_few_points_become_pca_with_a_sentence(caplog):
    with caplog.at_level(logging.WARNING, logger="dakit.views"):
        made = layout([blobs(n=FEWEST - 1)])
    assert made.method == "pca"
    assert f"needs at least {FEWEST} points" in made.note
    assert f"UMAP needs at least {FEWEST} points and there are {FEWEST - 1}" in caplog.text


def test_umap_that_cannot_be_had_becomes_pca_with_a_sentence(caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)  # what a missing package looks like to import
    with caplog.at_level(logging.WARNING, logger="dakit.views"):
        made = layout([blobs(seed=99)])
    assert made.method == "pca"
    assert "PCA instead of UMAP, which failed" in made.note
    assert "UMAP failed with" in caplog.text


def test_torch_keeps_its_number_of_threads():
    """In a process of its own: numba starts its threads once."""
    code = (
        "import numpy as np, torch; from dakit.views.layout import layout; torch.set_num_threads(1);"
        "torch.ones(3000, 300) @ torch.ones(300, 3000);"  # torch's OpenMP has been at work
        "rows = np.random.default_rng(0).normal(size=(200, 8)).astype('float32');"
        "print(layout([rows]).method, torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["umap", "1"]


def test_collapsed_features_are_one_point_not_an_error():
    made = layout([np.ones((10, 4), dtype=np.float32)], method="pca")
    assert np.isfinite(made.points[0]).all()
    assert made.limits[0] < made.limits[1]


@pytest.mark.parametrize(
    ("snapshots", "options", "words"),
    [
        ([], {}, "at least one snapshot"),
        ([np.zeros(5)], {}, r"shape \(n, d\)"),
        ([np.zeros((4, 3)), np.zeros((4, 2))], {}, "same number of features, got 3 and 2"),
        ([np.full((4, 3), np.nan)], {}, "did training diverge"),
        ([np.zeros((4, 3))], {"method": "tsne"}, '"umap" or "pca"'),
    ],
)
def test_bad_input_is_named(snapshots, options, words):
    with pytest.raises(ValueError, match=words):
        layout(snapshots, **options)
