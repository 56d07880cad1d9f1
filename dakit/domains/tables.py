"""Domains from tables: CSV and Parquet, one row an example, one numeric column a feature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dakit.domains.arrays import existing_file, from_arrays
from dakit.domains.domain import Domain
from dakit.domains.labels import encode_labels, listed
from dakit.domains.memory import LIMIT_GB, check_memory

if TYPE_CHECKING:
    import pandas

LABEL = "label"
"""The column that is taken for the labels where none is named."""


def from_csv(
    path: str | Path,
    *,
    label_column: str | None = None,
    features: Sequence[str] | None = None,
    meta: Sequence[str] = (),
    name: str | None = None,
    classes: Sequence[str] | None = None,
    separator: str | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from a CSV file with a header line.

    Parameters
    ----------
    path : path
    label_column : str, optional
        Column of the labels. By default the column ``label`` where there is one, else none.
    features : sequence of str, optional
        Columns that make up ``x``, in this order. By default every column but labels and ``meta``; a first
        column without a name holds the names of the rows and is left out.
    meta : sequence of str
        Columns kept as facts about each example.
    name : str, optional
        What the domain is called; the file's name by default.
    classes : sequence of str, optional
        Class names in index order, matched by name.
    separator : str, optional
        Column separator; by default whichever of comma, semicolon and tab the header line has most of.
    limit_gb : float
        Refuse tables larger than this as float32 (the memory that the domain will take).

    Returns
    -------
    Domain
        With ``x`` of shape (n, number of features).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, has no header, lacks a column asked for, or if a feature column is not numeric
        or has missing values.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/shop.csv").write_text("age,spent,label\\n31,4.5,stays\\n45,0.5,leaves\\n")
    ...     from_csv(f"{folder}/shop.csv")
    Domain 'shop': 2 examples, flat (2,), leaves 1, stays 1
    """
    import pandas as pd

    path = existing_file(path)
    try:
        table = pd.read_csv(path, sep=separator or _separator(path), encoding="utf-8-sig", low_memory=False)
    except ValueError as error:  # pandas' parser errors and Unicode errors are ValueErrors
        raise ValueError(f"{path} is not a readable CSV file: {_first_line(error)}") from error
    return _from_table(table, path, label_column, features, meta, name, classes, limit_gb)


def from_parquet(
    path: str | Path,
    *,
    label_column: str | None = None,
    features: Sequence[str] | None = None,
    meta: Sequence[str] = (),
    name: str | None = None,
    classes: Sequence[str] | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from a Parquet file.

    Parameters
    ----------
    path : path
    label_column : str, optional
        Column of the labels. By default the column ``label`` where there is one, else none.
    features : sequence of str, optional
        Columns that make up ``x``, in this order; by default every column but labels and ``meta``.
    meta : sequence of str
        Columns kept as facts about each example.
    name : str, optional
        What the domain is called; the file's name by default.
    classes : sequence of str, optional
        Class names in index order, matched by name.
    limit_gb : float
        Refuse tables larger than this as float32 (the memory that the domain will take).

    Returns
    -------
    Domain
        With ``x`` of shape (n, number of features).

    Raises
    ------
    FileNotFoundError, ValueError
        As for :func:`from_csv`.
    """
    import pandas as pd
    import pyarrow as pa

    path = existing_file(path)
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is no Parquet file, or a damaged one") from error
    return _from_table(table, path, label_column, features, meta, name, classes, limit_gb)


def column_names(path: str | Path) -> list[str]:
    """Names of the columns of a CSV or Parquet file, without reading its rows."""
    import pandas as pd

    path = existing_file(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} is no Parquet file, or a damaged one") from error
    try:
        table = pd.read_csv(path, sep=_separator(path), encoding="utf-8-sig", nrows=0)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable CSV file: {_first_line(error)}") from error
    return [str(c) for c in table.columns]


def feature_columns(columns: Sequence[str], other: Sequence[str] = ()) -> list[str]:
    """The columns of a table that are features: named ones that are not among ``other``."""
    row_names = "Unnamed: 0"  # what pandas calls a first column without a name
    return [c for i, c in enumerate(columns) if c not in other and not (i == 0 and c == row_names)]


def _from_table(
    table: pandas.DataFrame,
    path: Path,
    label_column: str | None,
    features: Sequence[str] | None,
    meta: Sequence[str],
    name: str | None,
    classes: Sequence[str] | None,
    limit_gb: float,
) -> Domain:
    table.columns = [str(c) for c in table.columns]
    columns = list(table.columns)
    if columns and all(_is_number(c) for c in columns):
        raise ValueError(f"{path} begins with numbers where column names belong; add a header line")
    if table.empty:
        raise ValueError(f"{path} has no rows below its header; a domain needs at least one example")
    if label_column is None and LABEL in columns and LABEL not in (features or ()):
        label_column = LABEL
    asked = [*([label_column] if label_column is not None else []), *(features or ()), *meta]
    absent = [c for c in asked if c not in columns]
    if absent:
        raise ValueError(f"{path} has no column {listed(absent)}; its columns are {listed(columns, 20)}")

    if features is None:
        features = feature_columns(columns, [c for c in (label_column, *meta) if c is not None])
    if not features:
        raise ValueError(f"{path} has no feature columns beside {listed(asked)}")
    check_memory(len(table), (len(features),), limit_gb, str(path), "fewer columns with features=[…]")
    chosen = table[list(features)]
    text = [c for c in features if not _is_numeric(table[c])]
    if text:
        raise ValueError(
            f"{path} has columns that are not numeric: {listed(text)}; choose numeric ones with features=[…], "
            "name the labels with label_column, or encode them as numbers first"
        )
    values = chosen.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = (~np.isfinite(values)).sum(axis=0)
    if bad.any():
        where = ", ".join(f"{c!r} ({n})" for c, n in zip(features, bad.tolist()) if n)
        raise ValueError(
            f"{path} has {int(bad.sum())} missing or infinite values, in {where}; fill them or drop the rows"
        )

    called = name or path.stem
    facts = {c: table[c].to_numpy() for c in meta}
    if label_column is None:
        return from_arrays(values, None, name=called, classes=classes, meta=facts, features=features)
    labels = table[label_column]
    missing = int(labels.isna().sum())
    if missing:
        raise ValueError(
            f"{path} has {missing} missing values in its label column {label_column!r}; drop those rows"
        )
    index, classes = encode_labels(np.asarray(labels.tolist()), classes, name=called, by_name=True)
    return from_arrays(values, index, name=called, classes=classes, meta=facts, features=features)


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    return max(",;\t", key=header.count)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")


def _is_numeric(column: pandas.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)
