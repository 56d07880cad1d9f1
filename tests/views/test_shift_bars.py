import numpy as np
import pandas as pd
import pytest

from dakit import views

BEFORE = {"mmd": 0.2, "mmd_pvalue": 0.005, "a_distance": 1.9, "icv_target": None}
AFTER = {"mmd": 0.01, "mmd_pvalue": 0.4, "a_distance": 0.3, "icv_target": None}


def panels(view):
    return {ax.get_title(loc="left"): ax for ax in view.figure().axes if ax.get_title(loc="left")}


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def test_each_metric_has_a_panel_of_its_own_with_a_bar_for_each_arm():
    shown = panels(views.shift_bars(BEFORE, AFTER))
    assert list(shown) == ["MMD²", "A-distance"]
    assert widths(shown["MMD²"]) == [0.2, 0.01]
    assert widths(shown["A-distance"]) == [1.9, 0.3]
    assert [t.get_text() for t in shown["MMD²"].get_yticklabels()] == ["before", "after"]
    written = [t.get_text().replace("\xa0", " ") for t in shown["MMD²"].texts]
    assert written == ["0.2 (p 0.005)", "0.01 (p 0.4)"]


def test_seeds_are_mean_deviation_and_dots_in_every_form_of_table():
    values = {"dann": [0.1, 0.2, 0.3], "plain": [1.0, 1.0, 1.0]}
    forms = [
        {name: {"mmd": v} for name, v in values.items()},
        {name: [{"mmd": one} for one in v] for name, v in values.items()},
        pd.DataFrame({"mmd": np.ravel(list(values.values()))}, index=np.repeat(list(values), 3)),
        pd.DataFrame(
            {
                "mmd": np.ravel(list(values.values())),
                "method": np.repeat(list(values), 3),
                "seed": [0, 1, 2] * 2,
            }
        ),
    ]
    for form in forms:
        view = views.shift_bars(form, by="method" if "seed" in form else None)
        ax = panels(view)["MMD²"]
        np.testing.assert_allclose(widths(ax), [0.2, 1.0])
        assert [t.get_text().replace("\xa0", " ") for t in ax.texts] == ["0.2 ± 0.1", "1 ± 0"]
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        np.testing.assert_allclose(dots[0].get_xdata(), [0.1, 0.2, 0.3])


def test_alt_text_has_all_numbers():
    alt = views.shift_bars(BEFORE, AFTER).alt.replace("\xa0", " ")
    assert alt == (
        "Bars for 2 metrics. MMD²: before 0.2 (p 0.005), after 0.01 (p 0.4). A-distance: before 1.9, after 0.3."
    )


def test_negative_estimates_and_missing_numbers_are_drawn():
    shown = panels(views.shift_bars({"a": {"mmd": -0.01}, "b": {"mmd": 0.1}, "c": {"idd": 1.0}}))
    ax = shown["MMD²"]
    assert ax.get_xlim()[0] < -0.01
    assert [t.get_text() for t in ax.texts] == ["−0.01", "0.1", "–"]


def test_words_at_the_bars_stay_inside_the_picture():
    seeds = [{"mmd": 0.2 + 0.001 * i, "mmd_pvalue": 0.005} for i in range(3)]
    for narrow in (False, True):
        figure = views.shift_bars({"before": seeds, "after": seeds}).figure(narrow=narrow)
        figure.canvas.draw()
        edge = figure.bbox.x1
        assert all(t.get_window_extent().x1 < edge for ax in figure.axes for t in ax.texts)


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        ({}, {}, "takes a DataFrame"),
        ([1, 2], {}, "takes a DataFrame"),
        ({"a": 3}, {}, "a: expected a dict of metrics"),
        ({"a": {"mmd": None}}, {}, "at least one metric"),
        ({"a": {"mmd": 1.0}}, {"metrics": ["idd"]}, "no numbers for 'idd'; it has mmd"),
    ],
)
def test_bad_input_is_named(table, options, words):
    with pytest.raises(ValueError, match=words):
        views.shift_bars(table, **options)
