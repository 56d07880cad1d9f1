import numpy as np
import pytest

from dakit import views
from tests.views.moments import CLASSES, training

NASTY = "<img src=x onerror=alert(1)>"


def embedding(shots=4, **options):
    run, ys, yt = training(shots=shots)
    given = {"ys": ys, "yt": yt, "classes": CLASSES, "names": ("noto", "mono"), "layout": "pca"} | options
    return views.embedding(run, **given)


def test_alt_text_says_what_the_data_say():
    run, _, yt = training()
    right = (run.snapshots[-1].target_logits.argmax(1) == yt).mean()
    alt = embedding().alt.replace("\xa0", " ")
    assert alt.startswith(
        "PCA of 130 examples: noto (60, circles) and mono (70, open triangles), in 3 classes (cat, dog and fish)."
    )
    assert "Step 0: 0 % of nearest neighbours come from another domain" in alt
    assert f"mono {100 * right:.0f} %." in alt


def test_the_still_shows_the_first_and_last_snapshot_on_equal_axes():
    figure = embedding().figure()
    first, last = figure.axes
    assert (first.get_title(loc="left"), last.get_title(loc="left")) == ("step 0", "step 300")
    assert first.get_xlim() == last.get_xlim()
    assert first.get_ylim() == last.get_ylim()
    for ax in figure.axes:
        assert [len(c.get_offsets()) for c in ax.collections] == [60, 70]
        assert ax.get_aspect() == 1.0
    named = [t.get_text() for t in figure.legends[0].get_texts()]
    assert [n for n in named if n.strip()] == ["noto", "mono", "cat", "dog", "fish"]


def test_a_narrow_still_has_the_same_points_below_each_other():
    figure = embedding().figure(narrow=True)
    panels = [ax for ax in figure.axes if ax.collections]
    assert len(panels) == 2
    assert panels[0].get_subplotspec().rowspan.start < panels[1].get_subplotspec().rowspan.start
    assert figure.get_size_inches()[0] * 96 == 360


def test_classes_that_stand_apart_are_named_and_others_are_not():
    written = {t.get_text() for t in embedding().figure().axes[-1].texts}
    assert written == set(CLASSES)
    run, ys, yt = training()
    shuffled = np.random.default_rng(0).permutation(ys)
    mixed = views.embedding(run, ys=shuffled, yt=yt, classes=CLASSES, layout="pca")
    assert {t.get_text() for t in mixed.figure().axes[-1].texts} < set(CLASSES)


def test_the_figure_has_all_points_in_every_frame():
    figure = embedding().plotly()
    assert sum(len(t.x) for t in figure.data) == 130
    assert len(figure.data) == 6
    assert [f.name for f in figure.frames] == ["0", "1", "2", "3"]
    for frame in figure.frames:
        assert [len(t.x) for t in frame.data] == [len(t.x) for t in figure.data]
    assert [t.name for t in figure.data if t.showlegend] == list(CLASSES)
    assert {t.marker.symbol for t in figure.data} == {"circle", "triangle-up-open"}
    assert [s.label for s in figure.layout.sliders[0].steps] == ["0", "100", "200", "300"]
    assert figure.layout.yaxis.scaleanchor == "x"


def test_frames_hold_the_coordinates_of_their_snapshots():
    run, ys, yt = training()
    made = views.scene(run, ys=ys, yt=yt)
    flat = views.layout(made.features, method="pca")
    frame = embedding().plotly().frames[2]
    drawn = np.concatenate([np.column_stack([t.x, t.y]) for t in frame.data])
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, flat.points[2].tolist()))


def test_hovering_tells_class_domain_and_prediction():
    run, ys, _ = training()
    trace = embedding().plotly().data[0]
    assert trace.hovertemplate.startswith("<b>cat</b><br>noto<br>predicted %{text}")
    predicted = run.snapshots[0].source_logits.argmax(1)[ys == 0]
    assert list(trace.text) == [CLASSES[p] for p in predicted]


def test_without_labels_the_colour_tells_the_domain():
    run, _, _ = training()
    figure = views.embedding(run, layout="pca").plotly()
    assert [t.name for t in figure.data] == ["source", "target"]
    assert figure.data[0].marker.color == "#0072B2"
    assert figure.data[1].marker.color == "#D55E00"
    with pytest.raises(ValueError, match="needs labels"):
        views.embedding(run, layout="pca", colour="class")


def test_target_without_labels_is_grey_beside_a_coloured_source():
    view = embedding(yt=None)
    assert ("c-1", "no label") in [entry[:2] for entry in view.legend]
    assert {t.marker.color for t in view.plotly().data if "d1" in t.meta["keys"]} == {"#8C8C8C"}


def test_one_moment_needs_no_slider():
    rng = np.random.default_rng(0)
    view = views.embedding(rng.normal(size=(20, 4)), rng.normal(size=(25, 4)), layout="pca")
    assert view.moments == ()
    assert not view.plotly().frames
    assert len(view.figure().axes) == 1
    assert 'type="range"' not in view.html()


def test_shift_numbers_follow_the_moments():
    numbers = [{"mmd": 0.5 - 0.1 * i, "mmd_pvalue": 0.01} for i in range(4)]
    view = embedding(numbers=numbers)
    assert "MMD²\xa00.4\xa0(p\xa00.01)" in view.moments[1]
    assert "MMD²\xa00.2" in view.figure().axes[-1].get_xlabel()
    with pytest.raises(ValueError, match="each of the 4 moments, got 1"):
        embedding(numbers=numbers[:1])


def test_larger_sets_are_thinned_and_the_note_says_so():
    view = embedding(max_points=50)
    assert sum(len(t.x) for t in view.plotly().data) == 50
    assert "Drawn: 50 of 130 examples" in view.note


def test_labels_stay_text():
    view = embedding(classes=(NASTY, "$a_{", "%{x}"), names=(NASTY, "b"), title=NASTY)
    page = view.html()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    names = "".join(str(t.name) for t in view.plotly().data)
    hovers = "".join(t.hovertemplate for t in view.plotly().data)
    assert "<img" not in names + hovers
    assert "%{x}" not in hovers, "plotly would fill it in"
    assert view.png()[:4] == b"\x89PNG"
    assert {t.get_text() for t in view.figure().axes[-1].texts} >= {"$a_{"}


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='"umap" or "pca"'):
        embedding(layout="tsne")
    with pytest.raises(ValueError, match='"auto", "class" or "domain"'):
        embedding(colour="red")
