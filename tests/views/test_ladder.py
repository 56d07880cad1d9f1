import numpy as np
import pytest

from dakit import views


def test_means_bands_and_level_lines_are_what_was_given():
    values = np.array([[0.0, 0.2], [0.4, 0.8], [1.0, 1.0]])
    view = views.ladder([0, 1, 2], {"mmd": values, "a_distance": [0.0, 1.0, 2.0]}, lines={"chance": 0.5})
    (ax,) = view.figure().axes
    curves = {
        line.get_label(): line.get_xydata() for line in ax.get_lines() if not line.get_label().startswith("_")
    }
    np.testing.assert_allclose(curves["MMD²"], [[0, 0.1], [1, 0.6], [2, 1.0]])
    np.testing.assert_allclose(curves["A-distance"], [[0, 0], [1, 1], [2, 2]])
    (band,) = ax.collections
    at_zero = band.get_paths()[0].vertices
    half = values[0].std(ddof=1)
    assert {round(float(y), 6) for x, y in at_zero if x == 0} == {round(0.1 - half, 6), round(0.1 + half, 6)}
    assert any(text.get_text() == "chance" for text in ax.texts)
    assert "2 seeds" in view.note


def test_curves_apart_have_a_panel_each():
    view = views.ladder([0, 1], {"mmd": [0, 1], "idd": [0, 100]}, together=False)
    assert [ax.get_title(loc="left") for ax in view.figure().axes] == ["MMD²", "IDD"]
    assert view.note == ""


def test_curves_differ_in_colour_and_in_shape():
    (ax,) = views.ladder([0, 1], {"a": [0, 1], "b": [1, 0]}).figure().axes
    first, second = ax.get_lines()[:2]
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()


@pytest.mark.parametrize("curves", [{}, {"a": [1, 2, 3]}, {"a": np.zeros((2, 2, 2))}])
def test_bad_input(curves):
    with pytest.raises(ValueError, match=r"at least one curve|must have shape \(2,\) or \(2, seeds\)"):
        views.ladder([0, 1], curves)
