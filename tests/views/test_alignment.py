import numpy as np
import pytest

from dakit import views
from tests.views.moments import CLASSES, training


def sides(**options):
    before, ys, yt = training()
    after, _, _ = training(seed=1)
    given = {"ys": ys, "yt": yt, "classes": CLASSES, "layout": "pca", "titles": ("plain", "dann")} | options
    return views.alignment(before, after, **given)


def test_two_runs_are_two_panels_of_their_last_snapshots():
    view = sides()
    left, right = view.panels()
    assert left.layout.meta["name"] == "plain"
    assert right.layout.meta["name"] == "dann"
    assert sum(len(t.x) for t in left.data) == sum(len(t.x) for t in right.data) == 130
    assert [t.meta["keys"] for t in left.data] == [t.meta["keys"] for t in right.data]
    assert view.linked
    last = training()[0].snapshots[-1]
    flat = views.layout([np.concatenate([last.source_features, last.target_features])], method="pca")
    assert len(left.data[0].x) == 20
    assert np.isin(np.asarray(left.data[0].x), flat.points[0][:, 0]).all()


def test_the_jupyter_figure_has_both_panels_and_one_legend():
    figure = sides().plotly()
    assert {t.xaxis for t in figure.data} == {"x", "x2"}
    assert [t.name for t in figure.data if t.showlegend] == list(CLASSES)
    assert figure.layout.yaxis2.scaleanchor == "x2"


def test_one_run_is_compared_with_itself_on_common_axes():
    run, ys, yt = training()
    view = views.alignment(run, ys=ys, yt=yt, layout="pca")
    left, right = view.figure().axes
    assert left.get_title(loc="left") == "before, step 0"
    assert right.get_title(loc="left") == "after, step 300"
    assert left.get_xlim() == right.get_xlim()


def test_shift_numbers_stand_with_their_side():
    view = sides(numbers=({"a_distance": 1.9}, {"a_distance": 0.2}))
    left, right = view.figure().axes
    assert "A-distance\xa01.9" in left.get_xlabel()
    assert "A-distance\xa00.2" in right.get_xlabel()
    assert "A-distance\xa00.2" in view.html()


def test_pairs_of_arrays_and_different_rows_are_not_linked():
    rng = np.random.default_rng(0)
    before = (rng.normal(size=(20, 4)), rng.normal(size=(20, 4)))
    after = (rng.normal(size=(20, 3)), rng.normal(size=(15, 3)))
    view = views.alignment(before, after, layout="pca")
    assert not view.linked
    assert "PCA of its own" in view.note


def test_alt_text_says_both_sides():
    alt = sides().alt.replace("\xa0", " ")
    assert "plain: " in alt
    assert "dann: " in alt
    assert alt.count("nearest neighbours come from another domain") == 2


def test_thinning_keeps_the_sides_linked_and_says_so():
    view = sides(max_points=40)
    assert view.linked
    assert "Drawn: 40 of 130" in view.note


def test_one_moment_alone_cannot_be_compared():
    run, _, _ = training(shots=1)
    with pytest.raises(ValueError, match="alignment needs two moments"):
        views.alignment(run)
