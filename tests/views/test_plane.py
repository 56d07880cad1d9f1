import numpy as np
import pytest

from dakit import views


def test_points_are_means_with_bars_and_the_reference_is_grey_and_named():
    seeds = np.array([[0.1, 0.2], [0.3, 0.4]])
    view = views.plane(
        {"noto": seeds, "flat": (0.5, 0.6)}, reference={"Sketch": (0.0002, 0.517)}, reference_label="paper"
    )
    (ax,) = view.figure().axes
    shown = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    np.testing.assert_allclose(shown["noto"], [[0.2, 0.3]])
    np.testing.assert_allclose(shown["flat"], [[0.5, 0.6]])
    np.testing.assert_allclose(shown["paper"], [[0.0002, 0.517]])
    assert [t.get_text() for t in ax.texts] == ["Sketch"]
    assert view.alt == "2 points beside 1 of paper. noto: ICV 0.2, IDD 0.3. flat: ICV 0.5, IDD 0.6."


def test_names_that_would_lie_on_each_other_are_left_out():
    crowd = {f"p{i}": (0.1, 0.1) for i in range(5)} | {"far": (0.9, 0.9)}
    (ax,) = views.plane({"x": (0.5, 0.5)}, reference=crowd).figure().axes
    assert len(ax.texts) == 2


def test_logarithmic_labels_are_plain_numbers():
    figure = views.plane({"a": (0.001, 0.1), "b": (0.1, 0.2)}, log_x=True).figure()
    figure.canvas.draw()
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert "0.01" in labels
    assert not any("$" in label for label in labels)


def test_bad_input():
    with pytest.raises(ValueError, match="at least one point"):
        views.plane({})
    with pytest.raises(ValueError, match=r"must be \(x, y\)"):
        views.plane({"a": (1, 2, 3)})
    with pytest.raises(ValueError, match="log_x needs positive ICV, but point 'a' has 0"):
        views.plane({"a": (0.0, 1.0)}, log_x=True)
