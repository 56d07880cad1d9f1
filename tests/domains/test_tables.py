"""Domains from CSV and Parquet files."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dakit.domains import from_csv, from_parquet
from dakit.domains.tables import column_names

TABLE = pd.DataFrame(
    {
        "age": [31, 45, 27],
        "spent": [4.5, 0.5, 2.0],
        "member": [True, False, True],
        "town": ["Bonn", "Kiel", "Bonn"],
        "buys": ["yes", "no", "yes"],
    }
)
NUMBERS = ["age", "spent", "member"]


@pytest.fixture(params=["csv", "parquet"])
def read(request, tmp_path):
    """``read(frame, **options)`` writes a frame to a file ``shop`` and reads it as a domain."""

    def go(frame: pd.DataFrame, **options):
        path = tmp_path / f"shop.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
            return from_csv(path, **options)
        frame.to_parquet(path)
        return from_parquet(path, **options)

    return go


def test_features_labels_and_facts(read):
    d = read(TABLE, label_column="buys", meta=["town"])
    assert d.name == "shop" and d.x.tolist() == [[31, 4.5, 1], [45, 0.5, 0], [27, 2, 1]]
    assert d.classes == ("no", "yes") and d.y.tolist() == [1, 0, 1]
    assert d.meta["town"].tolist() == ["Bonn", "Kiel", "Bonn"]


def test_chosen_features_keep_their_order(read):
    assert read(TABLE, features=["spent", "age"]).x.tolist() == [[4.5, 31], [0.5, 45], [2, 27]]


def test_a_column_called_label_is_the_labels(read):
    d = read(TABLE[NUMBERS].assign(label=[2, 10, 2]))
    assert d.shape == (3,) and d.classes == ("2", "10") and d.y.tolist() == [0, 1, 0]
    assert not read(TABLE[NUMBERS].assign(label=[2, 10, 2]), features=["age", "label"]).labeled


def test_labels_are_matched_with_a_list_by_name(read):
    d = read(TABLE[NUMBERS].assign(label=[3, 1, 3]), classes=["1", "2", "3"])
    assert d.y.tolist() == [2, 0, 2]
    d = read(TABLE[NUMBERS].assign(label=[1, 0, 1]), classes=["no", "yes"])  # no names: indices
    assert d.counts() == {"no": 1, "yes": 2}
    with pytest.raises(ValueError, match="labels outside the classes 'no', 'yes': 'maybe'"):
        read(TABLE[NUMBERS].assign(label=["no", "maybe", "yes"]), classes=["no", "yes"])


def test_text_columns_are_named(read):
    with pytest.raises(ValueError, match=r"not numeric: 'town', 'buys'; choose numeric ones with features="):
        read(TABLE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_values_are_counted_by_column(read, bad):
    frame = TABLE[["age", "spent"]].astype(float)
    frame.iloc[0, 0] = bad
    frame.iloc[:2, 1] = bad
    with pytest.raises(ValueError, match=r"has 3 missing or infinite values, in 'age' \(1\), 'spent' \(2\)"):
        read(frame)


def test_missing_labels_are_counted(read):
    with pytest.raises(ValueError, match="has 2 missing values in its label column 'buys'"):
        read(TABLE.assign(buys=["yes", None, None])[[*NUMBERS, "buys"]], label_column="buys")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label_column": "sells"}, "has no column 'sells'; its columns are 'age', "),
        ({"features": ["age", "height"]}, "has no column 'height'"),
        ({"meta": ["street"]}, "has no column 'street'"),
        ({"limit_gb": 1e-9, "features": ["age"]}, "more than limit_gb"),
        ({"label_column": "spent", "features": ["age"]}, "hold fractions"),
        ({"features": []}, "has no feature columns"),
    ],
)
def test_refusals(read, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(TABLE, **options)


def test_a_header_alone_is_no_domain(read):
    with pytest.raises(ValueError, match="has no rows below its header"):
        read(TABLE.iloc[:0])


def test_one_row_is_a_domain(read):
    assert len(read(TABLE.iloc[:1], label_column="buys", features=["age"])) == 1


# -- what only CSV has --------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_is_found_and_row_names_are_left_out(tmp_path, separator):
    file = tmp_path / "a.csv"
    file.write_text(
        separator.join(["", "p", "q"]) + "\n" + separator.join(["r1", "1", "2"]) + "\n", encoding="utf-8-sig"
    )
    assert from_csv(file).x.tolist() == [[1, 2]]
    assert column_names(file)[1:] == ["p", "q"]
    with pytest.raises(ValueError, match="not numeric"):
        from_csv(file, separator="|")


def test_a_file_without_header_is_recognised(tmp_path):
    (tmp_path / "a.csv").write_text("1.5,2\n3,4\n")
    with pytest.raises(ValueError, match="begins with numbers where column names belong"):
        from_csv(tmp_path / "a.csv")


def test_ragged_lines(tmp_path):
    (tmp_path / "a.csv").write_text("p,q\n1,2\n3,4,5,6\n")
    with pytest.raises(ValueError, match=r"is not a readable CSV file: .*line 3") as caught:
        from_csv(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_parquet_that_is_none(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1nonsense")
    for read in (from_parquet, column_names):
        with pytest.raises(ValueError, match=r"a\.parquet is no Parquet file, or a damaged one"):
            read(tmp_path / "a.parquet")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from('ab1.,;\t\n"- \0é'), max_size=40))
def test_any_text_is_a_domain_or_one_sentence(tmp_path, text):
    file = tmp_path / "any.csv"
    file.write_text(text, encoding="utf-8")
    try:
        d = from_csv(file)
    except ValueError as error:
        assert "any" in str(error) and "\n" not in str(error)
    else:
        assert len(d) >= 1 and d.kind == "flat"


def test_markup_in_names_stays_text(tmp_path):
    name = "<img src=x onerror=alert(1)>"
    pd.DataFrame({"p": [1.0, 2.0], "label": [name, "<b>"]}).to_csv(tmp_path / "a.csv", index=False)
    d = from_csv(tmp_path / "a.csv", name=name)
    assert name in d.classes and name not in d._repr_html_() and "&lt;b&gt;" in d._repr_html_()


def test_the_columns_name_the_features(tmp_path):
    (tmp_path / "shop.csv").write_text("age,label,spent\n31,stays,4.5\n45,leaves,0.5\n")
    assert from_csv(tmp_path / "shop.csv").features == ("age", "spent")
