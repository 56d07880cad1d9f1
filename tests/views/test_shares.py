import numpy as np
import pytest

from dakit import views


def test_counts_become_shares_and_intervals_are_drawn():
    view = views.shares(
        {"source": [3, 1], "estimate": [0.5, 0.5]},
        ["cat", "dog"],
        intervals={"estimate": [[0.4, 0.6], [0.3, 0.7]]},
    )
    (ax,) = view.figure().axes
    shown = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    np.testing.assert_allclose(shown["source"], [0.75, 0.25])
    (bars,) = ax.collections
    np.testing.assert_allclose([s[:, 0] for s in bars.get_segments()], [[0.4, 0.6], [0.3, 0.7]])
    assert "source: cat 75\xa0%, dog 25\xa0%." in view.alt


def test_the_most_common_of_many_classes_are_shown_and_the_rest_is_said():
    view = views.shares({"a": np.arange(1, 41)}, [f"c{i}" for i in range(40)])
    labels = [t.get_text() for t in view.figure().axes[0].get_yticklabels()]
    assert labels == [f"c{i}" for i in range(20, 40)]
    assert view.note == "The 20 most common of 40 classes."


def test_bad_input():
    with pytest.raises(ValueError, match=r"must have shape \(2,\)"):
        views.shares({"a": [1, 2, 3]}, ["cat", "dog"])
    with pytest.raises(ValueError, match="at least 0, not all of them 0"):
        views.shares({"a": [0, 0]}, ["cat", "dog"])
    with pytest.raises(ValueError, match="belong to an entry"):
        views.shares({"a": [1, 2]}, ["cat", "dog"], intervals={"b": [[0, 1], [0, 1]]})
