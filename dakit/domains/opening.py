"""Open whatever a string names: a bundled domain, an array file, a table, a folder or list of images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dakit.domains.arrays import from_npy, from_npz
from dakit.domains.classes import align_classes, check_same_shape, with_classes
from dakit.domains.domain import Domain, DomainSet
from dakit.domains.labels import listed
from dakit.domains.tables import LABEL, column_names, feature_columns, from_csv, from_parquet

TABLES = (".csv", ".tsv", ".parquet")
FILES = (".npz", ".npy", *TABLES, ".txt")


def open_domain(
    spec: str | Path,
    *,
    label_column: str | None = None,
    size: int = 32,
    classes: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
) -> Domain:
    """The domain that ``spec`` names.

    Parameters
    ----------
    spec : str or path
        - ``set/domain``: a domain of a bundled set, for example ``emoji/noto``
          (``./emoji/noto`` is the folder of that name);
        - a ``.npz`` with ``x`` and perhaps ``y`` (``file.npz/domain`` where several domains share it);
        - a ``.npy`` of inputs;
        - a ``.csv``, ``.tsv`` or ``.parquet`` table;
        - a folder of images, one folder a class, or without classes;
        - a ``.txt`` list of lines ``path label``.
    label_column : str, optional
        For tables: the column of the labels.
    size : int
        For images: height and width in pixels.
    classes : sequence of str, optional
        Class names in index order, matched by name.
    features : sequence of str, optional
        For tables: the feature columns, in order.

    Returns
    -------
    Domain

    Raises
    ------
    FileNotFoundError
        If nothing of that name exists.
    ValueError
        If it exists and is no single, valid domain; the sentence says why.

    Examples
    --------
    >>> open_domain("nowhere.csv")
    Traceback (most recent call last):
    FileNotFoundError: there is no file nowhere.csv
    """
    text = str(spec)
    path = Path(text)
    suffix = path.suffix.lower()
    if text and path.is_dir() and not _names_bundled(text):
        return _one_domain_of(path, size, classes)
    if path.parent.suffix.lower() == ".npz" and path.parent.is_file():
        return from_npz(path.parent, domain=path.name, classes=classes)
    if suffix == ".npz":
        return from_npz(path, classes=classes)
    if suffix == ".npy":
        return from_npy(path, classes=classes)
    if suffix in (".csv", ".tsv"):
        return from_csv(path, label_column=label_column, classes=classes, features=features)
    if suffix == ".parquet":
        return from_parquet(path, label_column=label_column, classes=classes, features=features)
    if suffix == ".txt":
        from dakit.domains.image_lists import from_image_list

        return from_image_list(path, size=size, classes=classes)
    if _names_bundled(text):
        domain = _bundled_domain(text)
        return domain if classes is None else with_classes(domain, classes)
    if path.is_file():
        raise ValueError(f"{text} is not a {', '.join(FILES[:-1])} or {FILES[-1]} file")
    if text in _bundled_sets():
        from dakit.domains.bundled_sets import load

        raise ValueError(
            f"{text!r} is a set of domains: choose one, {listed(_choices(text, load(text)), 20)}"
        )
    raise FileNotFoundError(
        f"{text!r} is no file or folder, and no domain of the bundled sets {', '.join(_bundled_sets())}"
    )


def open_pair(
    source: str | Path,
    target: str | Path,
    *,
    label_column: str | None = None,
    size: int = 32,
    same_classes: bool = True,
) -> tuple[Domain, Domain]:
    """Two domains that are ready to be compared: same features in the same order, same list of classes.

    Of two tables the target is read by the source's column names, whatever their order, and needs no labels.

    Parameters
    ----------
    source, target : str or path
        As for :func:`open_domain`.
    label_column : str, optional
        For tables: the column of the labels.
    size : int
        For images: height and width in pixels.
    same_classes : bool
        Give both one list of classes, the source's. With False each keeps its own: two sets can be compared whose
        labels differ.

    Returns
    -------
    source, target : Domain

    Raises
    ------
    FileNotFoundError, ValueError
        As for :func:`open_domain`; and if examples differ in shape, the target lacks a column of the source,
        or the target has a class unknown to the source.
    """
    features, target_label = None, label_column
    if all(Path(str(p)).suffix.lower() in TABLES for p in (source, target)):
        in_target = column_names(target)
        features = feature_columns(column_names(source), [label_column or LABEL])
        absent = [c for c in features if c not in in_target]
        if absent:
            raise ValueError(
                f"target {target} has no column {listed(absent)}, which source {source} has; "
                "both need the same features"
            )
        target_label = label_column if label_column in in_target else None
    xs = open_domain(source, label_column=label_column, size=size, features=features)
    xt = open_domain(target, label_column=target_label, size=size, features=features)
    check_same_shape(xs, xt)
    return align_classes(xs, xt) if same_classes else (xs, xt)


def _one_domain_of(folder: Path, size: int, classes: Sequence[str] | None) -> Domain:
    from dakit.domains.folders import from_folder

    found = from_folder(folder, size=size, classes=classes)
    if isinstance(found, DomainSet):
        raise ValueError(
            f"{folder} holds {len(found)} domains: choose one, {listed(_choices(folder, found), 20)}"
        )
    return found


def _choices(prefix: object, found: DomainSet) -> list[str]:
    return [f"{prefix}/{name}" for name in found.names]


def _bundled_sets() -> list[str]:
    from dakit.domains.bundled_sets import bundled

    return list(bundled())


def _names_bundled(text: str) -> bool:
    first, slash, rest = text.partition("/")
    return bool(slash and rest) and "/" not in rest and first in _bundled_sets()


def _bundled_domain(text: str) -> Domain:
    from dakit.domains.bundled_sets import load

    set_name, _, domain = text.partition("/")
    found = load(set_name)
    if domain == "openmoji" and domain not in found:  # share-alike: only where it is asked for by name
        with suppress(TypeError):  # a set that has no such style
            found = load(set_name, openmoji=True)
    if domain not in found:
        raise ValueError(
            f"the bundled set {set_name!r} has no domain {domain!r}; it has {listed(found.names, 20)}"
        )
    return found[domain]
