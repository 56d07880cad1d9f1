import numpy as np
import pytest

from dakit import views


def test_marks_bars_and_gaps():
    view = views.dots(
        {"emoji": {"dann": 3.0, "dan": 5.0}, "digits": {"dan": -1.0}},
        spread={"emoji": {"dann": 0.5, "dan": 1.0}},
        x_label="gain",
        line=0,
    )
    (ax,) = view.figure().axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["dann", "dan"]
    shown = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    np.testing.assert_allclose(shown["emoji"], [3, 5])
    np.testing.assert_array_equal(shown["digits"], [np.nan, -1])
    (bars,) = ax.collections
    np.testing.assert_allclose([s[:, 0] for s in bars.get_segments()], [[2.5, 3.5], [4, 6]])
    assert (
        view.alt
        == "Gain of 2 rows in 2 series. emoji: from 3 (dann) to 5 (dan). digits: from −1 (dan) to −1 (dan)."
    )


def test_nothing_to_draw_is_told():
    for nothing in ({}, {"a": {}}, {"a": {"x": float("nan")}}):
        with pytest.raises(ValueError, match="at least one series with a finite value"):
            views.dots(nothing)
