import numpy as np
import pandas as pd
import pytest

from dakit import views
from tests.views.moments import recorded


def test_one_run_is_one_line_a_column_with_accuracy_first():
    run = recorded()
    figure = views.history(run).figure()
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titles == ["source accuracy", "label"]
    line = figure.axes[1].get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), run.history["step"])
    np.testing.assert_array_equal(line.get_ydata(), run.history["label"])


def test_steps_without_a_value_are_left_out():
    line = views.history(recorded()).figure().axes[0].get_lines()[0]
    assert line.get_xdata().tolist() == [10, 20, 30]


def test_seeds_are_a_mean_and_a_band_from_lowest_to_highest():
    runs = [recorded(seed) for seed in range(3)]
    values = np.array([r.history["label"] for r in runs])
    view = views.history(runs, columns=["label"])
    band, line = view.plotly().data
    np.testing.assert_allclose(line.y, values.mean(0))
    np.testing.assert_allclose(band.y[:30], values.max(0))
    np.testing.assert_allclose(band.y[:29:-1], values.min(0))
    assert "Mean of 3 seeds" in view.alt
    assert view.note


def test_methods_have_a_legend_and_switch_together():
    view = views.history({"dann": [recorded(0), recorded(1)], "plain": recorded(2)})
    assert [entry[1] for entry in view.legend] == ["dann", "plain"]
    keys = [[t.meta["keys"][0] for t in panel.data] for panel in view.panels()]
    assert keys == [["r0", "r0", "r1"], ["r0", "r0", "r1"]]
    named = [
        t.get_text() for ax in view.figure().axes if ax.get_legend() for t in ax.get_legend().get_texts()
    ]
    assert named == ["dann", "plain"]


def test_a_column_that_one_method_lacks_is_drawn_for_the_other():
    more = recorded(1)
    more.history = more.history.assign(domain=0.5)
    view = views.history({"plain": recorded(0), "dann": more})
    figure = view.figure()
    domain = next(ax for ax in figure.axes if ax.get_title(loc="left") == "domain")
    assert [len(line.get_xdata()) for line in domain.get_lines()] == [0, 30]


def test_alt_text_has_first_and_last_values():
    run = recorded()
    first, last = run.history["label"].iloc[[0, -1]]
    assert f"label from {first:.3g} to {last:.3g}" in views.history(run).alt


def test_clocks_and_texts_are_not_drawn():
    run = recorded()
    run.history = run.history.assign(note="x", seconds=1.0)
    assert len(views.history(run).panels()) == 2


@pytest.mark.parametrize(
    ("runs", "options", "words"),
    [
        ([], {}, "at least one run"),
        ({}, {}, "at least one run"),
        (recorded(), {"columns": ["gain"]}, "'gain' is not recorded; there are label and source_accuracy"),
    ],
)
def test_bad_input_is_named(runs, options, words):
    with pytest.raises(ValueError, match=words):
        views.history(runs, **options)


def test_an_empty_history_is_named():
    run = recorded()
    run.history = pd.DataFrame({"step": [1], "progress": [1.0]})
    with pytest.raises(ValueError, match="no numbers besides the step"):
        views.history(run)
    run.history = pd.DataFrame()
    with pytest.raises(ValueError, match="needs a column 'step'"):
        views.history(run)
