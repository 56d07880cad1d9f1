"""Domains from Hugging Face ``datasets``: an object in memory, or one that was saved to disk. Nothing is downloaded.

Needs the extra ``hub``: ``pip install "dakit[hub]"``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dakit.domains.arrays import from_arrays
from dakit.domains.domain import Domain
from dakit.domains.images import check_size, read_image
from dakit.domains.labels import encode_labels, listed
from dakit.domains.memory import LIMIT_GB, check_memory


def from_datasets(
    data: Any,
    *,
    split: str | None = None,
    x: str | Sequence[str] | None = None,
    y: str | None = None,
    size: int = 32,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    max_examples: int | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from a ``datasets.Dataset``.

    Parameters
    ----------
    data : datasets.Dataset, datasets.DatasetDict, or path
        A dataset, or a folder written by its ``save_to_disk``.
    split : str, optional
        Which split to take, where there are several.
    x : str or sequence of str, optional
        The column of images or of vectors, or several columns of numbers. By default the one image column, else
        the one column of vectors, else all columns of numbers but the labels.
    y : str, optional
        The column of labels. By default the one ``ClassLabel`` column, else a column called ``label``, else
        none.
    size : int
        For images: height and width in pixels, to which every picture is stretched.
    name : str, optional
        What the domain is called; the folder's or the dataset's name by default.
    classes : sequence of str, optional
        Class names in index order, matched by name.
    max_examples : int, optional
        Take this many examples, evenly spaced.
    limit_gb : float
        Refuse to read more than this as float32 (12·size² bytes a picture).

    Returns
    -------
    Domain

    Raises
    ------
    ImportError
        If ``data`` is a path and the package ``datasets`` is not installed.
    FileNotFoundError
        If ``data`` is a path and nothing is there.
    TypeError, ValueError
        If ``data`` is no dataset, columns are missing or ambiguous, values are missing, or memory would not
        suffice.
    """
    if isinstance(data, (str, Path)):
        called = name or Path(data).resolve().name
        data = _saved(Path(data))
    else:
        called = name
    data = _one_split(data, split)
    if len(data) == 0:
        raise ValueError("the dataset is empty; a domain needs at least one example")
    called = called or str(data.info.dataset_name or data.split or "dataset")
    columns = list(data.column_names)
    absent = [c for c in [*([x] if isinstance(x, str) else x or ()), *([y] if y else ())] if c not in columns]
    if absent:
        raise ValueError(f"the dataset has no column {listed(absent)}; its columns are {listed(columns, 20)}")
    y = y or _label_column(data, x)
    x = x or _input_columns(data, y)
    if max_examples is not None and max_examples < len(data):
        if max_examples < 1:
            raise ValueError(f"max_examples must be at least 1, got {max_examples}")
        data = data.select(np.linspace(0, len(data) - 1, max_examples).round().astype(int))

    inputs = _inputs(data, x, size, limit_gb, called)
    if y is None:
        return from_arrays(inputs, None, name=called, classes=classes)
    labels, stored = data[y][:], getattr(data.features[y], "names", None)
    if stored is not None:
        missing = sum(v is None or v < 0 for v in labels)  # -1 is what hidden test labels are stored as
        if missing:
            raise ValueError(
                f"column {y!r} has {missing} of {len(labels)} labels missing; drop those rows or choose another y"
            )
        labels = [stored[v] for v in labels]
        classes = stored if classes is None else classes
    index, names = encode_labels(labels, classes, name=called, by_name=True)
    return from_arrays(inputs, index, name=called, classes=names)


def _saved(path: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            'reading a saved dataset needs the package datasets: pip install "dakit[hub]"'
        ) from error
    if not path.exists():
        raise FileNotFoundError(
            f"there is no folder {path}; dakit reads datasets saved to disk and downloads none"
        )
    try:
        return datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError, OSError, KeyError) as error:
        raise ValueError(f"{path} is no dataset written by save_to_disk, or a damaged one") from error


def _one_split(data: Any, split: str | None) -> Any:
    if isinstance(data, dict):  # a DatasetDict
        if split is None and len(data) == 1:
            return next(iter(data.values()))
        if split not in data:
            wrong = "holds several splits" if split is None else f"has no split {split!r}"
            raise ValueError(f"the dataset {wrong}; choose split as one of {listed(list(data))}")
        return data[split]
    if not hasattr(data, "features") or not hasattr(data, "select"):
        raise TypeError(f"expected a datasets.Dataset or the path of a saved one, got {type(data).__name__}")
    if split is not None and str(data.split) != split:
        raise ValueError(f"the dataset has no split {split!r}; it is {data.split!s}")
    return data


def _label_column(data: Any, x: str | Sequence[str] | None) -> str | None:
    taken = [x] if isinstance(x, str) else list(x or ())
    labels = [c for c, f in data.features.items() if type(f).__name__ == "ClassLabel" and c not in taken]
    if len(labels) > 1:
        raise ValueError(f"the dataset has several columns of labels, {listed(labels)}; choose one as y")
    if labels:
        return labels[0]
    return "label" if "label" in data.column_names and "label" not in taken else None


def _input_columns(data: Any, y: str | None) -> str | list[str]:
    others = {c: f for c, f in data.features.items() if c != y}
    images = [c for c, f in others.items() if type(f).__name__ == "Image"]
    vectors = [
        c
        for c, f in others.items()
        if type(f).__name__ in ("Sequence", "List", "LargeList", "Array2D", "Array3D")
    ]
    numbers = [c for c, f in others.items() if _is_number(f)]
    for found in (images, vectors):
        if len(found) > 1:
            raise ValueError(f"the dataset has several columns of inputs, {listed(found)}; choose one as x")
        if found:
            return found[0]
    if not numbers:
        raise ValueError(
            f"the dataset has no column of images, vectors or numbers among {listed(list(others))}; "
            "embed texts with a model first"
        )
    return numbers


def _is_number(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and kind.startswith(("int", "uint", "float", "double", "bool"))


def _inputs(data: Any, x: str | Sequence[str], size: int, limit_gb: float, called: str) -> np.ndarray:
    what, remedy = f"domain {called!r}", "a smaller size or max_examples"
    if not isinstance(x, str):
        check_memory(len(data), (len(x),), limit_gb, what, remedy)
        text = [c for c in x if not _is_number(data.features[c])]
        if text:
            raise ValueError(f"columns {listed(text)} do not hold numbers; choose columns of numbers as x")
        return np.stack([_numbers(data[c][:], c) for c in x], axis=1)
    feature = data.features[x]
    if type(feature).__name__ == "Image":
        check_size(size)
        check_memory(len(data), (3, size, size), limit_gb, what, remedy)
        stored = data.select_columns([x]).cast_column(x, type(feature)(decode=False))
        pixels = np.empty((len(stored), size, size, 3), dtype=np.uint8)
        for i, row in enumerate(stored):
            if row[x] is None:
                raise ValueError(f"row {i} of column {x!r} holds no image; drop such rows first")
            content = row[x]["bytes"]
            file = row[x]["path"] if content is None else io.BytesIO(content)
            pixels[i] = read_image(file, size, called=f"row {i} of column {x!r}")
        return pixels
    if _is_number(feature):
        check_memory(len(data), (1,), limit_gb, what, remedy)
        return _numbers(data[x][:], x)[:, None]
    if str(getattr(feature, "dtype", "")) in ("string", "large_string"):
        raise ValueError(f"column {x!r} holds text; embed it with a model first")
    check_memory(len(data), np.shape(data[0][x]), limit_gb, what, remedy)
    try:
        return np.array(data[x][:], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the vectors of column {x!r} differ in length, have gaps, or hold no numbers"
        ) from error


def _numbers(values: Sequence[Any], column: str) -> np.ndarray:
    missing = sum(v is None for v in values)
    if missing:
        raise ValueError(f"column {column!r} has {missing} missing values; fill them or drop the rows")
    return np.array(values, dtype=np.float64)
