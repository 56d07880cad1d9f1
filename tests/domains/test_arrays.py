"""Domains from arrays and array files: what is recognised, what is refused, and that nothing is executed."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dakit.domains import from_arrays, from_npy, from_npz
from dakit.domains.memory import check_memory

# -- inputs -------------------------------------------------------------------------------------------------


def test_lists_become_float32():
    d = from_arrays([[1, 2], [3, 4]], ["dog", "cat"], name="toy")
    assert d.x.dtype == torch.float32 and d.x.tolist() == [[1, 2], [3, 4]]
    assert d.classes == ("cat", "dog") and d.y.tolist() == [1, 0] and d.name == "toy"


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "uint16", "bool"]
)
def test_every_dtype_of_numbers(dtype):
    x = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    assert from_arrays(x).x.tolist() == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8])
def test_tensors(dtype):
    x = torch.tensor([[0, 2], [1, 3]], dtype=dtype)
    d = from_arrays(x, torch.tensor([1, 0]))
    assert d.x.dtype == torch.float32 and d.x.tolist() == [[0, 2], [1, 3]] and d.y.tolist() == [1, 0]


def test_the_domain_does_not_share_memory_with_the_array():
    x = np.zeros((2, 2), dtype=np.float32)
    d = from_arrays(x)
    x[:] = 7
    assert d.x.max() == 0


def test_byte_images_are_scaled_and_channels_come_first():
    picture = np.zeros((2, 5, 6, 3), dtype=np.uint8)
    picture[..., 0] = 255
    for x in (picture, picture.transpose(0, 3, 1, 2), picture.astype(np.int64), torch.from_numpy(picture)):
        d = from_arrays(x)
        assert d.shape == (3, 5, 6) and d.x[:, 0].min() == 1 and d.x[:, 1:].max() == 0
    assert from_arrays(picture[..., :1]).shape == (1, 5, 6)
    assert from_arrays(picture[..., 0]).x.shape == (2, 1, 5, 6)
    assert from_arrays(np.array([[[[0, 51]]]], dtype=np.uint8)).x.flatten().tolist() == pytest.approx(
        [0, 0.2]
    )


def test_masks_of_zero_and_one_are_kept():
    assert from_arrays(np.ones((2, 4, 4), dtype=np.uint8)).x.max() == 1
    assert from_arrays(np.ones((2, 4, 4), dtype=bool)).shape == (1, 4, 4)


def test_fractions_are_never_rescaled():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    np.testing.assert_allclose(from_arrays(x).x, x.transpose(0, 3, 1, 2), rtol=1e-6)
    assert from_arrays(np.full((2, 3, 4), 200.0)).kind == "series"


@pytest.mark.parametrize(
    ("x", "error", "sentence"),
    [
        ([["a", "b"]], TypeError, "x must hold numbers, got dtype <U1"),
        ([[1 + 2j]], TypeError, "x must hold numbers, got dtype complex128"),
        (torch.ones(2, 2, dtype=torch.complex64), TypeError, "x must hold real numbers"),
        ([[None, 1.0]], TypeError, "x must hold numbers, got dtype object"),
        ([[1.0, 2.0], [1.0]], ValueError, "x must be rectangular"),
        ([1.0, 2.0], ValueError, r"at least 2 axes, got \(2,\)"),
        (3.0, ValueError, r"at least 2 axes, got \(\)"),
        ([], ValueError, "at least 2 axes"),
        (np.zeros((0, 3)), ValueError, "is empty"),
        (np.zeros((3, 0)), ValueError, r"examples of shape \(0,\) hold no numbers"),
        ([[1.0, np.nan], [1.0, 1.0]], ValueError, "1 of 2 examples hold NaN or infinite"),
        ([[np.inf], [-np.inf]], ValueError, "2 of 2 examples hold NaN or infinite"),
        ([[1e300]], ValueError, "1 of 1 examples hold NaN or infinite"),
        (np.full((1, 4, 4, 3), 256), ValueError, "must lie in 0 to 255, got 256 to 256"),
        (np.full((1, 4, 4, 3), -1), ValueError, "must lie in 0 to 255, got -1 to -1"),
    ],
)
def test_bad_inputs(x, error, sentence):
    with pytest.raises(error, match=sentence):
        from_arrays(x)


@settings(max_examples=60, deadline=None)
@given(
    x=hnp.arrays(
        dtype=st.sampled_from([np.float64, np.float16, np.int32, np.uint8, np.bool_]),
        shape=hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4),
    )
)
def test_any_array_is_a_valid_domain_or_one_sentence(x):
    try:
        d = from_arrays(x)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert len(d) == len(x) and d.x.dtype == torch.float32 and torch.isfinite(d.x).all()


# -- labels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes", "index"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),  # numbers in numeric order
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        (np.array([[1], [0], [1]]), ("0", "1"), [1, 0, 1]),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b"), [1, 0, 1]),
        (np.array([b"b", b"a", b"b"]), ("a", "b"), [1, 0, 1]),
        (["only"] * 3, ("only",), [0, 0, 0]),
    ],
)
def test_labels_without_a_list(y, classes, index):
    d = from_arrays(np.zeros((3, 1)), y)
    assert d.classes == classes and d.y.tolist() == index and d.y.dtype == torch.int64


def test_labels_with_a_list():
    x = np.zeros((3, 1))
    assert from_arrays(x, ["b", "a", "b"], classes=["b", "c", "a"]).y.tolist() == [0, 2, 0]
    assert from_arrays(x, [1, 0, 1], classes=["3", "7"]).y.tolist() == [1, 0, 1]  # whole numbers are indices
    assert from_arrays(x, [True, False, True], classes=["no", "yes"]).y.tolist() == [1, 0, 1]
    assert from_arrays(x, classes=["a", "b"]).classes == ("a", "b")


@pytest.mark.parametrize(
    ("y", "classes", "sentence"),
    [
        (["a", "z", "b"], ["a", "b"], "labels outside the classes 'a', 'b': 'z'"),
        ([0, 1, 2], ["a", "b"], "labels run from 0 to 2, but 2 class names allow 0 to 1"),
        ([0, 1, -1], ["a", "b"], "labels run from -1 to 1"),
        ([0, 1, 1], ["a", "a"], "class names must differ"),
        ([0.5, 1, 2], None, "hold fractions"),
        ([1e300, 1, 2], None, "huge numbers"),
        ([np.nan, 1, np.nan], None, "2 of 3 labels are missing"),
        ([None, "a", "b"], None, "1 of 3 labels are missing"),
        (np.eye(3), None, r"one class an example, shape \(n,\), got shape \(3, 3\)"),
        ([0, 1], None, r"y must have shape \(3,\), one entry per example, not \(2,\)"),
        ([1j, 1, 1], None, "must be names or whole numbers, got dtype complex128"),
        (
            np.array([("a",), {}, []], dtype=object),
            None,
            "must be names or whole numbers, got 'dict', 'list', 'tuple'",
        ),
    ],
)
def test_bad_labels(y, classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_arrays(np.zeros((3, 1)), y, classes=classes)


NAMES = st.text(st.characters(exclude_characters="\0"), max_size=5)  # numpy drops NULs at the end of text


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        NAMES | st.integers(-5, 5) | st.none() | st.floats() | st.booleans(),
        min_size=1,
        max_size=6,
    )
)
def test_any_labels_are_encoded_or_refused_in_one_sentence(y):
    try:
        d = from_arrays(np.zeros((len(y), 1)), np.array(y, dtype=object))
    except ValueError as error:
        assert "domain 'domain'" in str(error)
    else:
        for label, index in zip(y, d.y.tolist()):
            whole = isinstance(label, (bool, float))
            assert d.classes[index] in {str(label), str(int(label)) if whole else str(label)}


# -- files --------------------------------------------------------------------------------------------------


def test_npz_with_names_and_facts(tmp_path):
    np.savez_compressed(
        tmp_path / "a.npz", x=np.eye(2), y=[1, 0], classes=["n", "y"], meta_writer=[7, 8], junk=np.zeros(3)
    )
    d = from_npz(tmp_path / "a.npz")
    assert d.classes == ("n", "y") and d.y.tolist() == [1, 0] and d.meta["writer"].tolist() == [7, 8]
    assert from_npz(tmp_path / "a.npz", classes=["y", "n"], name="other").y.tolist() == [0, 1]
    np.savez(tmp_path / "b.npz", features=np.eye(2), target=["p", "q"])
    assert from_npz(tmp_path / "b.npz", x="features", y="target").classes == ("p", "q")
    np.savez(tmp_path / "c.npz", np.eye(2))
    assert not from_npz(tmp_path / "c.npz").labeled


def test_npz_that_lacks_x(tmp_path):
    np.savez(tmp_path / "a.npz", features=np.eye(2), y=[0, 1])
    with pytest.raises(ValueError, match=r"has no array 'x'; it holds 'features', 'y'"):
        from_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    with pytest.raises(ValueError, match="has no array 'x'; it holds none"):
        from_npz(tmp_path / "none.npz")


class Bomb:
    """Says so if it is ever unpickled."""

    def __reduce__(self):
        return (open, (str(Bomb.fuse), "w"))


@pytest.mark.parametrize("where", ["x", "y", "meta_note"])
def test_a_pickle_inside_an_npz_is_refused_and_not_executed(tmp_path, where):
    Bomb.fuse = tmp_path / "exploded"
    objects = np.array([Bomb(), Bomb()], dtype=object)
    np.savez(tmp_path / "bad.npz", **({"x": np.eye(2), "y": [0, 1]} | {where: objects}))
    with pytest.raises(ValueError, match=r"bad\.npz holds Python objects \(a pickle\), which are not loaded"):
        from_npz(tmp_path / "bad.npz")
    np.save(tmp_path / "bad.npy", objects, allow_pickle=True)
    with pytest.raises(ValueError, match=r"bad\.npy holds Python objects"):
        from_npy(tmp_path / "bad.npy")
    (tmp_path / "plain.npy").write_bytes(pickle.dumps([Bomb()]))
    with pytest.raises(ValueError, match=r"plain\.npy"):
        from_npy(tmp_path / "plain.npy")
    assert not Bomb.fuse.exists()
    pickle.loads(pickle.dumps(Bomb())).close()
    assert Bomb.fuse.exists()  # the bomb is real


def test_too_large_a_file_is_refused_before_it_is_unpacked(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 1000)}
    )
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())  # a header that promises 40 GB
    with pytest.raises(ValueError, match=r"takes 40\.0 GB \(10,000,000 examples of shape \(1000,\)"):
        from_npz(tmp_path / "huge.npz")
    np.save(tmp_path / "a.npy", np.zeros((100, 10)))
    with pytest.raises(ValueError, match="more than limit_gb=1e-06"):
        from_npy(tmp_path / "a.npy", limit_gb=1e-6)


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2))
    d = from_npy(tmp_path / "a.npy", ["p", "q", "p"])
    assert d.x.tolist() == [[0, 1], [2, 3], [4, 5]] and d.classes == ("p", "q") and d.name == "a"
    np.savez(tmp_path / "b.npz", x=np.eye(2))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(ValueError, match=r"is an archive of arrays; name it \.npz"):
        from_npy(tmp_path / "b.npy")


def test_damaged_archives(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(50, 50)))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:3000] + bytes(200) + whole[3200:])
    for name in ("cut", "flipped"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a readable \.npz file"):
            from_npz(tmp_path / f"{name}.npz")


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_npz(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="is a folder where a file"):
        from_npz(tmp_path)


def test_check_memory_by_hand():
    check_memory(1000, (1000, 1000), 4.0, "it", "less")  # exactly 4 GB
    with pytest.raises(ValueError, match=r"it takes 4\.0 GB .* choose less, or raise limit_gb"):
        check_memory(1001, (1000, 1000), 4.0, "it", "less")


def test_feature_names_are_read_from_an_archive(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), features=np.array(["age", "spent"]))
    assert from_npz(tmp_path / "a.npz").features == ("age", "spent")
