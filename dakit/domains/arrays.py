"""Domains from arrays: in memory, ``.npz`` and ``.npy``."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.domains.domain import Domain
from dakit.domains.labels import encode_labels, listed
from dakit.domains.memory import LIMIT_GB, check_memory

CHANNELS = (1, 3, 4)


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    name: str = "domain",
    classes: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    features: Sequence[str] = (),
) -> Domain:
    """A domain from arrays, tensors or lists.

    Parameters
    ----------
    x : array-like of shape (n, ...)
        Numbers of any dtype; they become float32. Bytes with 3 axes are grey images (n, height, width); whole
        numbers with 4 axes are images with values 0 to 255, scaled to [0, 1] (0 and 1 alone are kept). Images
        may have their channels (1, 3 or 4) last or first; they end up first. Fractions are never rescaled.
    y : array-like of shape (n,), optional
        Labels: names, or whole numbers. With ``classes``, whole numbers are indices into it.
    name : str
        What the domain is called.
    classes : sequence of str, optional
        Class names in index order; without it, the sorted distinct labels.
    meta : mapping of str to array-like of shape (n,), optional
        Facts about each example.
    features : sequence of str
        Names of the features, or of the channels of series.

    Returns
    -------
    Domain

    Raises
    ------
    TypeError
        If ``x`` does not hold numbers.
    ValueError
        If ``x`` is empty, ragged, has NaN or infinite values, or does not fit ``y``, ``classes``, ``meta`` or
        ``features``.

    Examples
    --------
    >>> from_arrays([[0.0, 1.0], [2.0, 3.0]], ["cat", "dog"], name="toy")
    Domain 'toy': 2 examples, flat (2,), cat 1, dog 1
    >>> from_arrays(np.zeros((2, 8, 8, 3), dtype=np.uint8)).shape
    (3, 8, 8)
    """
    inputs = as_inputs(x, name)
    index = None
    names = tuple(str(c) for c in classes) if classes is not None else ()
    if y is not None:
        labels, names = encode_labels(y, classes, name=name)
        index = torch.from_numpy(np.ascontiguousarray(labels)).to(inputs.device)
    return Domain(name, inputs, index, names, meta or {}, tuple(features))


def as_inputs(x: Any, name: str = "domain") -> Tensor:
    """``x`` as the float32 tensor that a Domain holds; see :func:`from_arrays` for the rules."""
    if isinstance(x, Tensor):
        if x.is_complex():
            raise TypeError(f"domain {name!r}: x must hold real numbers, got dtype {x.dtype}")
        values, kind = x.detach(), "f" if x.is_floating_point() else ("u" if x.dtype == torch.uint8 else "i")
        bytes_ = x.dtype in (torch.uint8, torch.bool)
    else:
        try:
            array = np.asarray(x)
        except ValueError as error:
            raise ValueError(
                f"domain {name!r}: x must be rectangular, but its rows differ in length"
            ) from error
        kind, bytes_ = array.dtype.kind, array.dtype in (np.uint8, np.bool_)
        if kind not in "biuf":
            raise TypeError(f"domain {name!r}: x must hold numbers, got dtype {array.dtype}")
        with np.errstate(over="ignore"):  # what overflows float32 is reported by Domain as infinite
            values = torch.from_numpy(np.array(array if bytes_ else array.astype(np.float32, copy=False)))
    if values.ndim < 2:
        raise ValueError(
            f"domain {name!r}: x must have shape (n, ...) with at least 2 axes, got {tuple(values.shape)}"
        )
    if 0 in values.shape[1:]:
        raise ValueError(f"domain {name!r}: examples of shape {tuple(values.shape[1:])} hold no numbers")

    image = values.ndim == 4 or (values.ndim == 3 and bytes_)
    if values.ndim == 3 and bytes_:
        values = values[:, None]
    elif values.ndim == 4 and values.shape[-1] in CHANNELS and values.shape[1] not in CHANNELS:
        values = values.permute(0, 3, 1, 2)
    values = values.to(torch.float32).contiguous()
    if image and kind != "f" and len(values):
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255:
            raise ValueError(
                f"domain {name!r}: images of whole numbers must lie in 0 to 255, got {low:g} to {high:g}; "
                "scale them to fractions in [0, 1] first"
            )
        if high > 1:
            values = values / 255
    return values


def from_npz(
    path: str | Path,
    *,
    x: str = "x",
    y: str = "y",
    name: str | None = None,
    classes: Sequence[str] | None = None,
    domain: str | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from a ``.npz`` archive; nothing in it is ever executed.

    The archive holds an array ``x`` and perhaps ``y`` (labels), ``classes`` (names that labels index),
    ``features`` (their names), columns ``meta_<key>``, and, if several domains share the file, ``domain`` (n,)
    indices into ``domains``.

    Parameters
    ----------
    path : path
    x, y : str
        Names of the arrays of inputs and of labels. An archive with one array needs no names; labels are
        optional.
    name : str, optional
        What the domain is called; the file's name, or ``domain``, by default.
    classes : sequence of str, optional
        Class names to use, matched by name; in place of those in the archive.
    domain : str, optional
        Which domain to take from a file with several.
    limit_gb : float
        Refuse arrays larger than this as float32 (the memory that the domain will take).

    Returns
    -------
    Domain

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, damaged, too large, holds Python objects, or lacks the arrays asked for; and as
        for :func:`from_arrays`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/shop.npz", x=np.zeros((2, 3)), y=["buy", "leave"])
    ...     from_npz(f"{folder}/shop.npz")
    Domain 'shop': 2 examples, flat (3,), buy 1, leave 1
    """
    path = existing_file(path)
    arrays = _read_npz(path, limit_gb, x, y)
    inputs, labels = arrays[x] if x in arrays else next(iter(arrays.values())), arrays.get(y)
    meta = {k.removeprefix("meta_"): v for k, v in arrays.items() if k.startswith("meta_")}
    features = [str(f) for f in arrays["features"].tolist()] if "features" in arrays else ()
    if labels is not None and "classes" in arrays:
        stored = [str(c) for c in arrays["classes"].tolist()]
        labels = np.array(stored)[encode_labels(labels, stored, name=path.name)[0]]
        classes = stored if classes is None else classes

    names = [str(d) for d in arrays["domains"].tolist()] if {"domain", "domains"} <= set(arrays) else []
    if domain is None and len(names) > 1:
        raise ValueError(f"{path} holds {len(names)} domains: choose one of {listed(names, 20)}")
    if domain is not None:
        if domain not in names:
            raise ValueError(
                f"{path} has no domain {domain!r}; it has {listed(names, 20) if names else 'one, unnamed'}"
            )
        rows = arrays["domain"] == names.index(domain)
        inputs = inputs[rows]
        labels = None if labels is None else labels[rows]
        meta = {k: v[rows] for k, v in meta.items()}
    called = name or domain or path.stem
    if labels is None:
        return from_arrays(inputs, None, name=called, classes=classes, meta=meta, features=features)
    index, classes = encode_labels(labels, classes, name=called, by_name=True)
    return from_arrays(inputs, index, name=called, classes=classes, meta=meta, features=features)


def from_npy(
    path: str | Path,
    y: Any = None,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from one ``.npy`` array of inputs, unlabelled unless ``y`` is given.

    Parameters
    ----------
    path : path
    y : array-like of shape (n,), optional
    name : str, optional
        What the domain is called; the file's name by default.
    classes : sequence of str, optional
    limit_gb : float
        Refuse arrays larger than this as float32 (the memory that the domain will take).

    Returns
    -------
    Domain

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, damaged, too large or holds Python objects; and as for :func:`from_arrays`.
    """
    path = existing_file(path)
    with _in_one_sentence(path):
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(mapped, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays; name it .npz")
    check_memory(len(mapped) if mapped.ndim else 1, mapped.shape[1:], limit_gb, str(path), "fewer rows")
    return from_arrays(np.asarray(mapped), y, name=name or path.stem, classes=classes)


def existing_file(path: str | Path) -> Path:
    """``path`` as a Path to a file with content, or one sentence on what is wrong with it."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder where a file was expected")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    return path


def _read_npz(path: Path, limit_gb: float, x: str, y: str) -> dict[str, np.ndarray]:
    """The arrays of an archive that make a domain; sizes are checked before anything is unpacked."""
    with _in_one_sentence(path):
        shapes = _shapes_inside(path)
    if x not in shapes and len(shapes) != 1:
        raise ValueError(f"{path} has no array {x!r}; it holds {listed(list(shapes)) if shapes else 'none'}")
    known = (x, y, "classes", "domain", "domains", "features")
    use = [k for k in shapes if k in known or k.startswith("meta_")]
    use = use if x in shapes else list(shapes)
    for key in use:
        shape = shapes[key]
        check_memory(shape[0] if shape else 1, shape[1:], limit_gb, f"{path} [{key}]", "fewer rows")
    with _in_one_sentence(path), np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in use}


def _shapes_inside(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a ``.npz``, from their headers alone."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    one = version == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
                    shapes[member.removesuffix(".npy")] = read(file)[0]
    return shapes


@contextmanager
def _in_one_sentence(path: Path) -> Iterator[None]:
    """Say in one sentence why numpy could not read ``path``."""
    try:
        yield
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        words = str(error).lower()
        if "object array" in words or "python objects" in words or "pickle" in words:
            raise ValueError(
                f"{path} holds Python objects (a pickle), which are not loaded because they could run code; "
                "save plain numbers and text, for example np.savez(path, x=x, y=np.array(labels, dtype=str))"
            ) from error
        raise ValueError(
            f"{path} is not a readable {path.suffix or 'array'} file; it may be damaged or of another format"
        ) from error
