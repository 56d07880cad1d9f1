"""Domains from Hugging Face datasets, all of them tiny and local."""

import builtins

import numpy as np
import pytest
from PIL import Image

from dakit.domains import from_datasets

datasets = pytest.importorskip("datasets", reason="needs the extra hub")


def pictures(n=4) -> "datasets.Dataset":
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "cat"])}
    )
    rows = {
        "image": [Image.new("RGB", (6, 4), (10 * i, 0, 255)) for i in range(n)],
        "label": [i % 2 for i in range(n)],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def test_images_and_class_labels():
    d = from_datasets(pictures(), size=5, name="zoo")
    assert (
        d.name == "zoo"
        and d.shape == (3, 5, 5)
        and d.classes == ("owl", "cat")
        and d.y.tolist() == [0, 1, 0, 1]
    )
    np.testing.assert_allclose(d.x[:, 0, 0, 0] * 255, [0, 10, 20, 30], atol=1e-4)
    assert d.x[:, 2].min() == 1
    swapped = from_datasets(pictures(), size=5, classes=["cat", "owl"])
    assert swapped.y.tolist() == [1, 0, 1, 0]


def test_saved_dataset_and_splits(tmp_path):
    pictures().save_to_disk(str(tmp_path / "zoo"))
    assert from_datasets(tmp_path / "zoo", size=2).name == "zoo"
    both = datasets.DatasetDict(train=pictures(4), test=pictures(2))
    both.save_to_disk(str(tmp_path / "both"))
    assert len(from_datasets(str(tmp_path / "both"), split="test", size=2)) == 2
    with pytest.raises(ValueError, match="several splits; choose split as one of 'train', 'test'"):
        from_datasets(tmp_path / "both")
    with pytest.raises(ValueError, match="no split 'dev'"):
        from_datasets(tmp_path / "both", split="dev")


def test_vectors_and_columns_of_numbers():
    vectors = datasets.Dataset.from_dict({"v": [[1.0, 2.0], [3.0, 4.0]], "label": ["a", "b"]})
    d = from_datasets(vectors)
    assert d.x.tolist() == [[1, 2], [3, 4]] and d.classes == ("a", "b")
    table = datasets.Dataset.from_dict({"p": [1, 2, 3], "q": [0.5, 1.5, 2.5], "note": ["x", "y", "z"]})
    d = from_datasets(table)
    assert d.x.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5]] and not d.labeled
    assert from_datasets(table, x=["q"], y="p").y.tolist() == [0, 1, 2]
    assert from_datasets(table, x="q", max_examples=2).x.tolist() == [[0.5], [2.5]]


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ({"t": ["a", "b"]}, {}, "no column of images, vectors or numbers among 't'; embed texts"),
        ({"t": ["a", "b"]}, {"x": "t"}, "holds text; embed it"),
        ({"t": ["a", "b"]}, {"x": ["t"]}, "'t' do not hold numbers"),
        ({"v": [1.0, None]}, {}, "'v' has 1 missing values"),
        ({"v": [[1.0], [1.0, 2.0]]}, {}, "differ in length"),
        ({"v": [[1.0], [2.0]], "w": [[1.0], [2.0]]}, {}, "several columns of inputs, 'v', 'w'"),
        ({"v": [1.0]}, {"x": "u", "y": "w"}, "no column 'u', 'w'; its columns are 'v'"),
        ({"v": [1.0]}, {"max_examples": 0}, "max_examples must be at least 1"),
        ({"v": [1.0, 2.0], "label": ["a", None]}, {}, "1 of 2 labels are missing"),
        ({"v": []}, {}, "the dataset is empty"),
        ({"v": [[1.0] * 1000] * 3}, {"limit_gb": 1e-6}, "more than limit_gb"),
    ],
)
def test_refusals(rows, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_datasets(datasets.Dataset.from_dict(rows), **({"max_examples": None} | options))


def test_hidden_labels_are_missing_labels():
    features = datasets.Features({"v": datasets.Value("float32"), "y": datasets.ClassLabel(names=["a", "b"])})
    data = datasets.Dataset.from_dict({"v": [1.0, 2.0], "y": [-1, 1]}, features=features)
    with pytest.raises(ValueError, match="'y' has 1 of 2 labels missing"):
        from_datasets(data)


def test_a_broken_picture_is_named():
    features = datasets.Features({"image": datasets.Image()})
    data = datasets.Dataset.from_dict({"image": [{"bytes": b"nonsense", "path": None}]}, features=features)
    with pytest.raises(ValueError, match="row 0 of column 'image' is not a readable image"):
        from_datasets(data)


def test_wrong_things(tmp_path):
    with pytest.raises(TypeError, match=r"expected a datasets\.Dataset or the path of a saved one, got list"):
        from_datasets([1, 2])
    with pytest.raises(FileNotFoundError, match="downloads none"):
        from_datasets(tmp_path / "mnist")
    with pytest.raises(ValueError, match="no dataset written by save_to_disk"):
        from_datasets(tmp_path)


def test_missing_extra_says_how_to_install_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(module, *args, **kwargs):
        if module == "datasets":
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "dakit\[hub\]"'):
        from_datasets(tmp_path)
