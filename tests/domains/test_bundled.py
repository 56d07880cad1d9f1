"""The data sets that travel with dakit: files as their cards say, and domains as the files say."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dakit import domains
from dakit.domains import bundled_sets

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
FILES = sorted(DATA.glob("*.npz"))
NAMES = [path.stem for path in FILES]
EMOJI_CLASSES = ("animal", "face", "food", "hand", "person", "place", "plant", "sky", "stationery", "vehicle")
FREE_STYLES = (
    "noto",
    "fluent-emoji",
    "twemoji",
    "emojione",
    "fluent-emoji-flat",
    "fluent-emoji-high-contrast",
    "emojione-monotone",
)
BLACK_AND_WHITE = ("fluent-emoji-high-contrast", "emojione-monotone")
SHARE_ALIKE = {"openmoji", "openmoji_features", "mnist"}


def arrays_of(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


# -- the files ------------------------------------------------------------------------------------------------


def test_every_expected_file_is_shipped():
    expected = {"digits", "emoji", "emoji_features", "mnist", "openmoji", "openmoji_features", "sentiment"}
    assert expected | {"penguins", "vowel", "watch"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_without_pickles(name):
    assert (DATA / f"{name}.npz").stat().st_size <= 4_000_000
    assert not any(array.dtype.hasobject for array in arrays_of(name).values())


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_common_layout(name):
    arrays = arrays_of(name)
    n = len(arrays["x"])
    assert {"x", "y", "domain", "classes", "domains"} <= set(arrays)
    exact = {"penguins", "vowel"}  # tables, whose values float16 would round
    kept = np.float32 if name in exact else np.uint8 if arrays["x"].ndim == 4 else np.float16
    assert arrays["x"].dtype == kept
    names = {"classes", "domains", "features"}
    assert all(len(array) == n for key, array in arrays.items() if key not in names)
    assert "features" not in arrays or len(arrays["features"]) == arrays["x"].shape[1]
    assert set(np.unique(arrays["y"])) == set(range(len(arrays["classes"])))
    assert set(np.unique(arrays["domain"])) == set(range(len(arrays["domains"])))
    others = set(arrays) - {"x", "y", "domain"} - names
    assert all(key.startswith("meta_") for key in others)


@pytest.mark.parametrize("name", NAMES)
def test_cards_state_the_counts_and_hashes_of_the_files(name, build):
    card = (DATA / f"{name}.md").read_text(encoding="utf-8")
    assert build("packages").contents(arrays_of(name)) in card


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_licence_rebuild_and_flaws(name):
    card = (DATA / f"{name}.md").read_text(encoding="utf-8")
    for heading in ("## Licence and attribution", "## What is in it", "## Rebuild", "## Known flaws"):
        assert heading in card
    assert ("This file is licensed under [CC-BY-SA" in card) == (name in SHARE_ALIKE)
    assert f"`{name}.npz`" in (DATA / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SHARE_ALIKE])
def test_share_alike_domains_stay_out_of_the_other_files(name):
    assert not {"openmoji", "mnist"} & set(arrays_of(name)["domains"].tolist())


# -- emoji ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emoji():
    return domains.load("emoji", openmoji=True)


def test_emoji_has_its_styles_and_classes(emoji):
    assert emoji.names == (*FREE_STYLES, "openmoji")
    assert domains.load("emoji").names == FREE_STYLES
    assert domains.load("emoji", openmoji=False).names == FREE_STYLES
    assert emoji.classes == EMOJI_CLASSES
    assert len(emoji["noto"]) >= 500
    assert min(emoji["noto"].counts().values()) >= 28
    assert "Apache-2.0" in emoji.card and "CC-BY-SA 4.0" in emoji.card
    assert "All emojis designed by OpenMoji" not in domains.load("emoji").card


def test_every_style_draws_the_same_things_in_the_same_order(emoji):
    first = emoji["noto"]
    assert len(np.unique(first.meta["concept"])) == len(first)
    for domain in emoji.values():
        assert domain.shape == (3, 32, 32)
        assert domain.meta["concept"].tolist() == first.meta["concept"].tolist()
        assert domain.meta["name"].tolist() == first.meta["name"].tolist()
        assert torch.equal(domain.y, first.y)


def test_labels_fit_the_names(emoji):
    noto = emoji["noto"]
    called = dict(zip(noto.meta["name"].tolist(), noto.y.tolist()))
    for name, label in {
        "dog face": "animal",
        "grinning face": "face",
        "pizza": "food",
        "thumbs up": "hand",
        "police officer": "person",
        "castle": "place",
        "tulip": "plant",
        "rainbow": "sky",
        "scissors": "stationery",
        "rocket": "vehicle",
    }.items():
        assert EMOJI_CLASSES[called[name]] == label
    # The set is for classrooms.
    assert not {"middle finger", "love hotel", "people with bunny ears"} & set(called)
    assert not any("skin tone" in name or "o’clock" in name for name in called)
    codes = noto.meta["concept"].tolist()
    assert not any("200d" in code or "1f3fb" <= code[-5:] <= "1f3ff" for code in codes)


def test_pictures_are_drawn_on_white_and_none_is_empty(emoji):
    for domain in emoji.values():
        assert float(domain.x.min()) >= 0 and float(domain.x.max()) == 1
        ink = (1 - domain.x).flatten(1).mean(1)
        assert float(ink.min()) > 0.01
        assert float(domain.x[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean()) > 0.9  # corners


def test_black_and_white_styles_hold_no_colour_and_the_others_do(emoji):
    for name, domain in emoji.items():
        spread = (domain.x.amax(1) - domain.x.amin(1)).flatten(1).amax(1)
        assert bool((spread == 0).all()) == (name in BLACK_AND_WHITE)
        if name not in BLACK_AND_WHITE:
            assert float((spread > 0.2).float().mean()) > 0.5  # most; a paperclip is grey everywhere


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_share_no_concept_and_keep_every_class(emoji, seed):
    source, target = emoji.pair("noto", "fluent-emoji-high-contrast", seed=seed)
    assert not set(source.meta["concept"]) & set(target.meta["concept"])
    assert len(source) + len(target) == len(emoji["noto"])
    for c, total in emoji["noto"].counts().items():
        assert abs(source.counts()[c] - total / 2) <= 1 and abs(target.counts()[c] - total / 2) <= 1


def test_paired_shows_the_same_things_row_by_row(emoji):
    source, target = emoji.pair("twemoji", "openmoji", paired=True)
    assert source.meta["concept"].tolist() == target.meta["concept"].tolist()
    assert torch.equal(source.y, target.y) and len(source) == len(emoji["noto"])
    assert not torch.equal(source.x, target.x)


def test_features_are_aligned_with_the_pictures(emoji):
    features = domains.load("emoji_features", openmoji=True)
    assert features.names == emoji.names and features.classes == emoji.classes
    for name, domain in features.items():
        assert domain.kind == "flat" and domain.shape == (128,)
        assert domain.meta["concept"].tolist() == emoji[name].meta["concept"].tolist()
        assert torch.equal(domain.y, emoji[name].y)


def test_features_tell_the_classes_apart_and_show_the_shift():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = domains.load("emoji_features")
    source, same_style = features.pair("noto", "noto")
    _, other_style = features.pair("noto", "fluent-emoji-high-contrast")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(source.x, source.y)
    largest_class = max(same_style.counts().values()) / len(same_style)
    inside, across = model.score(same_style.x, same_style.y), model.score(other_style.x, other_style.y)
    assert inside > 3 * largest_class
    assert across < inside - 0.2


# -- digits and sentiment -------------------------------------------------------------------------------------


def test_digits_join_two_files():
    digits = domains.load("digits")
    assert digits.names == ("printed", "optdigits", "mnist")
    assert digits.classes == tuple("0123456789")
    assert [len(d) for d in digits.values()] == [1680, 1797, 5000]
    assert "CC-BY-SA 3.0" in digits.card and "Alpaydin" in digits.card
    for domain in digits.values():
        assert domain.shape == (1, 16, 16) and float(domain.x.min()) == 0 and float(domain.x.max()) == 1
        border = torch.cat([domain.x[..., 0, :], domain.x[..., -1, :]], -1).mean()
        assert border < domain.x[..., 6:10, 6:10].mean()  # white ink on black
    assert len(np.unique(digits["printed"].meta["font"])) == 21
    assert digits["mnist"].counts() == dict.fromkeys("0123456789", 500)


def test_optdigits_agree_with_scikit_learn():
    from sklearn.datasets import load_digits

    ours, theirs = domains.load("digits")["optdigits"], load_digits()
    assert ours.y.tolist() == theirs.target.tolist()
    reduced = torch.nn.functional.avg_pool2d(ours.x, 2)[:, 0].numpy() * 16
    correlation = np.corrcoef(reduced.ravel(), theirs.images.ravel())[0, 1]
    assert correlation > 0.98  # enlarging and averaging again blurs a little


def test_sentiment_is_balanced_and_its_labels_are_the_sign_of_the_rating():
    sentiment = domains.load("sentiment")
    assert sentiment.names == ("tweets", "movies", "amazon", "nyt")
    for domain in sentiment.values():
        assert domain.counts() == {"negative": 1000, "positive": 1000}
        assert domain.shape == (128,)
        assert ((domain.meta["rating"] > 0) == (domain.y.numpy() == 1)).all()
        assert (np.abs(domain.meta["rating"]) >= 0.5).all()
        assert len(np.unique(domain.meta["id"])) == len(domain)
        assert "text" not in domain.meta


# -- penguins, vowel, watch -----------------------------------------------------------------------------------


def test_penguins_are_the_complete_rows_of_the_table():
    penguins = domains.load("penguins")
    assert penguins.names == ("Adelie", "Chinstrap", "Gentoo")
    assert penguins.classes == ("female", "male")
    assert [d.counts() for d in penguins.values()] == [
        {"female": 73, "male": 73},
        {"female": 34, "male": 34},
        {"female": 58, "male": 61},
    ]
    adelie = penguins["Adelie"]
    assert adelie.kind == "flat" and adelie.classes[int(adelie.y[0])] == "male"
    np.testing.assert_array_equal(adelie.x[0].numpy(), np.float32([39.1, 18.7, 181, 3750]))
    assert set(adelie.meta["island"]) == {"Biscoe", "Dream", "Torgersen"}
    assert all(set(d.meta["year"]) == {2007, 2008, 2009} for d in penguins.values())
    for d in penguins.values():  # males are heavier in every species, Gentoos heavier than the others
        assert float(d.x[d.y == 1, 3].mean()) > float(d.x[d.y == 0, 3].mean())
    assert float(penguins["Gentoo"].x[:, 3].mean()) > float(adelie.x[:, 3].mean()) + 1000


def test_vowel_has_six_segments_of_each_speaker_and_vowel():
    vowel = domains.load("vowel")
    assert vowel.names == tuple(f"speaker-{s:02d}" for s in range(15))
    assert vowel.classes[:3] == ("heed", "hid", "head")
    first = vowel["speaker-00"]
    expected = [-3.639, -0.67, 1.779, -0.168, 1.627, -0.388, 0.529, -0.874, -0.814]
    np.testing.assert_array_equal(first.x[0].numpy(), np.float32(expected))
    for d in vowel.values():
        assert d.kind == "flat" and d.shape == (9,)
        assert d.counts() == dict.fromkeys(vowel.classes, 6)
        pairs = set(zip(d.y.tolist(), d.meta["segment"].tolist()))
        assert pairs == {(c, s) for c in range(11) for s in range(6)}


def test_watch_holds_consecutive_windows_of_one_recording_a_subject_exercise_and_side():
    watch = domains.load("watch")
    assert watch.names == tuple(f"subject-{s:02d}" for s in range(1, 11)) and len(watch.classes) == 7
    assert sum(len(d) for d in watch.values()) == 1833
    seen = []
    for d in watch.values():
        assert d.kind == "series" and d.shape == (6, 64)
        for recording in np.unique(d.meta["recording"]):
            at = d.meta["recording"] == recording
            assert len(set(d.y[at].tolist())) == len(set(d.meta["side"][at])) == 1
            assert d.meta["window"][at].tolist() == list(range(at.sum()))
            seen.append((d.name, int(d.y[at][0]), d.meta["side"][at][0]))
        # Gravity is in the acceleration, and nothing in the rotation of an arm that returns.
        gravity = d.x[:, :3].mean(2).norm(dim=1)
        assert 0.8 < float(gravity.median()) < 1.2
        assert float(d.x[:, 3:].mean(2).abs().median()) < 0.3
    assert len(seen) == len(set(seen)) == 140


def test_a_domain_of_series_is_shown_with_its_counts():
    subject = domains.load("watch")["subject-03"]
    assert repr(subject).startswith("Domain 'subject-03': 119 examples, series (6, 64), pendulum ")
    page = subject._repr_html_()
    assert "119 examples, series (6, 64), 7 classes" in page and "facts: side, recording, window" in page
    assert "<img" not in page and "subject-10" in domains.load("watch")._repr_html_()


def test_standardising_a_species_by_itself_undoes_most_of_its_shift():
    from sklearn.linear_model import LogisticRegression

    s, t = domains.load("penguins").pair("Adelie", "Gentoo")
    mean, scale = s.x.mean(0), s.x.std(0)
    model = LogisticRegression().fit((s.x - mean) / scale, s.y)
    assert model.score((t.x - mean) / scale, t.y) < 0.6
    assert model.score((t.x - t.x.mean(0)) / t.x.std(0), t.y) > 0.9


# -- load -----------------------------------------------------------------------------------------------------


def test_every_bundled_set_loads_and_has_a_line():
    for name, line in domains.bundled().items():
        loaded = domains.load(name)
        assert loaded.name == name and line
        assert all(d.labeled and d.x.dtype == torch.float32 and d.x.is_contiguous() for d in loaded.values())


def test_bundled_stays_callable_after_load():
    domains.load("digits")
    assert list(domains.bundled()) == [
        *("emoji", "emoji_features", "digits", "sentiment"),
        *("penguins", "vowel", "watch"),
    ]


def test_an_unknown_set_is_answered_with_the_names():
    with pytest.raises(
        ValueError, match="no bundled set is called 'emojis'; there are emoji, emoji_features, digits"
    ):
        domains.load("emojis")


def test_an_unknown_option_is_answered_with_the_options():
    with pytest.raises(TypeError, match="'emoji' has no option 'flags'; its options are openmoji"):
        domains.load("emoji", flags=True)
    with pytest.raises(TypeError, match="'digits' has no option 'openmoji'; it has none"):
        domains.load("digits", openmoji=True)


def test_an_installed_dakit_looks_inside_the_package(tmp_path, monkeypatch):
    module = tmp_path / "dakit" / "domains" / "bundled_sets.py"
    monkeypatch.setattr(bundled_sets, "__file__", str(module))
    assert bundled_sets._folder() == tmp_path / "data"
    (tmp_path / "dakit" / "data").mkdir(parents=True)
    assert bundled_sets._folder() == tmp_path / "dakit" / "data"


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled_sets, "_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"the bundled file digits\.npz is missing"):
        domains.load("digits")


@pytest.mark.parametrize("damage", ["cut", "pickle", "empty"])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(bundled_sets, "_folder", lambda: tmp_path)
    path = tmp_path / "sentiment.npz"
    if damage == "cut":
        path.write_bytes((DATA / "sentiment.npz").read_bytes()[:5000])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        stream = io.BytesIO()
        np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("x.npy", stream.getvalue())
    with pytest.raises(ValueError, match="is damaged"):
        domains.load("sentiment")
