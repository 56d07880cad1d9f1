import numpy as np
import pytest

from dakit import views

TABLE = np.array([[0.0, 0.9, 0.1], [0.9, 0.0, 0.8], [0.1, 0.8, 0.0]])


def test_every_cell_holds_its_number():
    (ax,) = views.matrix(TABLE, ["a", "b", "c"], digits=1).figure().axes
    assert [t.get_text() for t in ax.texts] == [f"{v:.1f}" for v in TABLE.ravel()]
    np.testing.assert_array_equal(ax.images[0].get_array(), TABLE)


def test_missing_pairs_stay_empty_and_small_estimates_may_be_negative():
    table = np.array([[np.nan, -0.01], [0.5, np.nan]])
    view = views.matrix(table, ["a", "b"])
    assert [t.get_text() for t in view.figure().axes[0].texts] == ["−.010", ".500"]
    assert "Smallest off the diagonal: a and b, −0.01; largest: b and a, 0.5." in view.alt


def test_order_brings_similar_domains_together_and_moves_all_tables_alike():
    view = views.matrix({"x": TABLE, "y": TABLE * 10}, ["a", "b", "c"], order=True)
    first, second = view.figure().axes
    names = [t.get_text()[0] for t in first.get_yticklabels()]
    assert abs(names.index("a") - names.index("c")) == 1
    np.testing.assert_allclose(second.images[0].get_array(), first.images[0].get_array() * 10)


def test_bad_input():
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 2 names, got \(3, 3\)"):
        views.matrix(TABLE, ["a", "b"])
    with pytest.raises(ValueError, match="symmetric"):
        views.matrix(np.triu(TABLE), ["a", "b", "c"], order=True)
