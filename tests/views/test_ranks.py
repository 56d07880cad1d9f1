import numpy as np
import pytest

from dakit import views

MEAN = {"b": 2.5, "a": 1.0, "c": 2.6}


def test_best_first_with_intervals_and_the_band_of_the_marked():
    view = views.ranks(
        MEAN, low={k: v - 0.2 for k, v in MEAN.items()}, high=MEAN, critical_difference=1.0, marked="c"
    )
    (ax,) = view.figure().axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    np.testing.assert_allclose(ax.get_lines()[2].get_xdata(), [1.0, 2.5, 2.6])
    (bars,) = [c for c in ax.collections if len(c.get_paths()) == 3]
    np.testing.assert_allclose([s[:, 0] for s in bars.get_segments()], [[0.8, 1.0], [2.3, 2.5], [2.4, 2.6]])
    assert (
        view.alt.replace("\xa0", " ")
        == "Mean ranks of 3 methods, 1 is best: a 1, b 2.5, c 2.6. Within 1 of c lies b."
    )


def test_bad_input():
    with pytest.raises(ValueError, match="at least one method"):
        views.ranks({})
    with pytest.raises(ValueError, match="finite mean rank"):
        views.ranks({"a": float("nan")})
    with pytest.raises(ValueError, match="marked must be one of the methods a, b, c, got 'd'"):
        views.ranks(MEAN, marked="d")
