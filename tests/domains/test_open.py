"""One string names a domain: what opens, what does not, and what it says then."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dakit.domains import Domain, align_classes, check_same_shape, load, open_domain, open_pair, with_classes


def toy(name: str, labels, classes, d=2) -> Domain:
    y = None if labels is None else torch.tensor(labels)
    n = 2 if labels is None else len(labels)
    return Domain(name, torch.zeros(n, d), y, classes)


# -- specs --------------------------------------------------------------------------------------------------


def test_bundled_domain():
    d = open_domain("digits/mnist")
    expected = load("digits")["mnist"]
    assert d.name == "mnist" and torch.equal(d.x, expected.x) and torch.equal(d.y, expected.y)
    backwards = open_domain("digits/mnist", classes=[str(i) for i in range(9, -1, -1)])
    assert torch.equal(backwards.y, 9 - expected.y)


def test_share_alike_style_opens_by_its_name():
    assert open_domain("emoji/openmoji").shape == (3, 32, 32)
    with pytest.raises(ValueError, match="'digits' has no domain 'openmoji'"):
        open_domain("digits/openmoji")


def test_every_kind_of_file(tmp_path):
    x, y = np.arange(6.0).reshape(3, 2), np.array(["b", "a", "b"])
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.save(tmp_path / "a.npy", x)
    table = pd.DataFrame({"p": x[:, 0], "q": x[:, 1], "label": y})
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "a.parquet")
    for suffix in ("npz", "npy", "csv", "tsv", "parquet"):
        d = open_domain(tmp_path / f"a.{suffix}")
        assert d.name == "a" and d.x.tolist() == x.tolist()
        assert d.y is None if suffix == "npy" else d.y.tolist() == [1, 0, 1] and d.classes == ("a", "b")
    for c in "ab":
        (tmp_path / "tree" / c).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "tree" / c / "1.png")
        (tmp_path / "list.txt").write_text("tree/a/1.png 0\n")
    assert open_domain(tmp_path / "tree", size=6).x.shape == (2, 3, 6, 6)
    assert open_domain(str(tmp_path / "list.txt"), size=6).classes == ("a",)


def test_one_of_several_domains_in_a_file(tmp_path):
    file = tmp_path / "two.npz"
    np.savez(
        file, x=np.eye(4), y=[0, 1, 0, 1], classes=["n", "y"], domain=[0, 0, 1, 1], domains=["north", "south"]
    )
    south = open_domain(f"{file}/south")
    assert (
        south.name == "south" and south.x.tolist() == np.eye(4)[2:].tolist() and south.classes == ("n", "y")
    )
    with pytest.raises(ValueError, match="holds 2 domains: choose one of 'north', 'south'"):
        open_domain(file)
    with pytest.raises(ValueError, match="has no domain 'west'; it has 'north', 'south'"):
        open_domain(f"{file}/west")


def test_a_local_folder_hides_behind_a_bundled_name(tmp_path, monkeypatch):
    (tmp_path / "digits" / "mnist" / "only").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "digits" / "mnist" / "only" / "1.png")
    monkeypatch.chdir(tmp_path)
    assert open_domain("digits/mnist").num_classes == 10
    assert open_domain("./digits/mnist").classes == ("only",)


@pytest.mark.parametrize(
    ("spec", "error", "sentence"),
    [
        ("nowhere.npz", FileNotFoundError, "there is no file nowhere.npz"),
        ("nowhere.npy", FileNotFoundError, "there is no file"),
        ("nowhere.csv", FileNotFoundError, "there is no file"),
        ("nowhere.parquet", FileNotFoundError, "there is no file"),
        ("nowhere.txt", FileNotFoundError, "there is no file"),
        (
            "nowhere",
            FileNotFoundError,
            "'nowhere' is no file or folder, and no domain of the bundled sets emoji, ",
        ),
        ("", FileNotFoundError, "'' is no file or folder"),
        ("nowhere/at/all", FileNotFoundError, "is no file or folder"),
        ("digits", ValueError, "'digits' is a set of domains: choose one, 'digits/printed', "),
        ("digits/usps", ValueError, "the bundled set 'digits' has no domain 'usps'; it has 'printed', "),
        ("notes.md", ValueError, r"notes.md is not a \.npz, \.npy, \.csv, \.tsv, \.parquet or \.txt file"),
        ("empty.npz", ValueError, "empty.npz is empty"),
        ("empty.csv", ValueError, "empty.csv is empty"),
        ("empty.npy", ValueError, "empty.npy is empty"),
        ("empty.parquet", ValueError, "empty.parquet is empty"),
        ("bare", ValueError, "bare holds no images"),
    ],
)
def test_refusals(tmp_path, monkeypatch, spec, error, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "bare").mkdir()
    for suffix in ("npz", "npy", "csv", "parquet"):
        (tmp_path / f"empty.{suffix}").touch()
    with pytest.raises(error, match=sentence) as caught:
        open_domain(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["npz", "npy", "csv", "parquet", "txt"])
@pytest.mark.parametrize(
    "content", [b"\x00\x01\x02\xff\xfe", b"hello", b"\n", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00broken"]
)
def test_nonsense_in_any_file_is_one_sentence(tmp_path, suffix, content):
    file = tmp_path / f"bad.{suffix}"
    file.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        open_domain(file)
    assert "bad" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


# -- pairs --------------------------------------------------------------------------------------------------


def test_tables_are_matched_by_column_name(tmp_path):
    a = pd.DataFrame({"": ["r1", "r2"], "age": [1.0, 2.0], "pay": [10.0, 20.0], "buys": ["no", "yes"]})
    b = pd.DataFrame({"extra": ["x", "y"], "pay": [30.0, 40.0], "age": [3.0, 4.0]})
    a.to_csv(tmp_path / "a.csv", index=False)
    b.to_parquet(tmp_path / "b.parquet")
    source, target = open_pair(tmp_path / "a.csv", tmp_path / "b.parquet", label_column="buys")
    assert source.x.tolist() == [[1, 10], [2, 20]] and target.x.tolist() == [[3, 30], [4, 40]]
    assert source.labeled and not target.labeled and target.classes == ("no", "yes")
    b.drop(columns="age").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"has no column 'age', which source .*a\.csv has"):
        open_pair(tmp_path / "a.csv", tmp_path / "b.parquet", label_column="buys")
    with pytest.raises(ValueError, match="has no column 'sells'; its columns are"):
        open_pair(tmp_path / "a.csv", tmp_path / "a.csv", label_column="sells")


def test_labels_of_a_pair_share_one_list(tmp_path):
    np.savez(tmp_path / "s.npz", x=np.eye(3), y=[1, 2, 3])
    np.savez(tmp_path / "t.npz", x=np.eye(3)[:2], y=[3, 1])
    source, target = open_pair(tmp_path / "s.npz", tmp_path / "t.npz")
    assert source.classes == target.classes == ("1", "2", "3") and target.y.tolist() == [2, 0]


def test_pairs_that_do_not_fit(tmp_path):
    np.savez(tmp_path / "s.npz", x=np.eye(3), y=["a", "b", "b"])
    np.savez(tmp_path / "wide.npz", x=np.ones((2, 4)), y=["a", "b"])
    np.savez(tmp_path / "more.npz", x=np.eye(3), y=["a", "c", "d"])
    with pytest.raises(
        ValueError, match=r"'s' has examples of shape \(3,\) but target 'wide' of shape \(4,\)"
    ):
        open_pair(tmp_path / "s.npz", tmp_path / "wide.npz")
    with pytest.raises(ValueError, match="target 'more' has the classes 'c', 'd', unknown to source 's'"):
        open_pair(tmp_path / "s.npz", tmp_path / "more.npz")


# -- classes ------------------------------------------------------------------------------------------------


def test_align_classes_by_name():
    source, target = align_classes(toy("s", [0, 1, 2], "abc"), toy("t", [0, 1], "ca"))
    assert source.classes == target.classes == ("a", "b", "c") and target.y.tolist() == [2, 0]
    assert source.y.tolist() == [0, 1, 2]


def test_align_classes_where_labels_or_names_are_missing():
    source, target = align_classes(toy("s", [0, 1], "ab"), toy("t", None, ()))
    assert target.classes == ("a", "b") and target.y is None
    source, target = align_classes(toy("s", None, ()), toy("t", [0, 1], "ab"))
    assert source.classes == target.classes == ("a", "b")
    # A class that is only a name, without examples, is no obstacle.
    _, target = align_classes(toy("s", [0, 1], "ab"), toy("t", [1], "xa"))
    assert target.y.tolist() == [0]


def test_unknown_target_class_is_named():
    with pytest.raises(ValueError, match="target 't' has the class 'z', unknown to source 's' with 'a', 'b'"):
        align_classes(toy("s", [0, 1], "ab"), toy("t", [0, 1], "az"))
    with pytest.raises(ValueError, match="domain 't' has examples of 'z', outside the classes 'a', 'b'"):
        with_classes(toy("t", [0, 1], "az"), "ab")


def test_check_same_shape():
    check_same_shape(toy("s", [0], "a"), toy("t", None, ()))
    with pytest.raises(ValueError, match="both need the same features"):
        check_same_shape(toy("s", [0], "a"), toy("t", None, (), d=3))
