"""The command line: what it prints, what it refuses, and in which words."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dakit import cli


@pytest.fixture
def dakit(monkeypatch, capsys):
    """Call the command in this process; returns exit code, stdout and stderr."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["dakit", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return call


@pytest.fixture
def files(tmp_path):
    """Two labelled tables and arrays whose means differ, as files of every kind that the command takes."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    near = (rng.normal(size=(80, 3)) + 3 * y[:, None]).astype(np.float32)
    far = (rng.normal(size=(80, 3)) + 3 * y[:, None] + [2, 0, 0]).astype(np.float32)
    for name, x in (("near", near), ("far", far)):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
        np.save(tmp_path / f"{name}.npy", x)
        table = pd.DataFrame(x, columns=["a", "b", "c"]).assign(kind=np.where(y, "dog", "cat"))
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def one_sentence(code, out, err):
    """The contract of every error: exit 2, nothing on stdout, one line on stderr."""
    assert code == 2, err
    assert out == ""
    assert err.startswith("dakit: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_shift_prints_a_table(dakit, files):
    code, out, _ = dakit("shift", files / "near.npz", files / "far.npz", "--metrics", "mmd,a_distance")
    assert code == 0
    assert "mmd_pvalue" in out
    assert "a_distance" in out
    assert "frechet" not in out


@pytest.mark.parametrize("kind", ["npz", "npy", "csv", "parquet"])
def test_shift_json_is_one_object_and_nothing_else(dakit, files, kind):
    extra = ["--label-column", "kind"] if kind in ("csv", "parquet") else []
    code, out, err = dakit("shift", files / f"near.{kind}", files / f"far.{kind}", "--json", *extra)
    assert code == 0, err
    got = json.loads(out)
    assert got["source"]["n"] == 80
    assert got["source"]["shape"] == [3]
    assert set(got["metrics"]) == {"mmd", "mmd_pvalue", "a_distance", "coral", "frechet"}
    # with 200 permutations the least p-value that can be reported is 1/201
    assert got["metrics"]["mmd_pvalue"] == pytest.approx(1 / 201)
    assert (got["source"]["classes"] is None) == (kind == "npy")


def test_shift_reports_what_moved(dakit, files):
    code, out, err = dakit("shift", files / "near.csv", files / "far.csv", "--label-column", "kind")
    assert code == 0, err
    for words in ("the inputs", "yes", "MMD²", "Families of methods"):
        assert words in out
    _, out, _ = dakit(
        "shift",
        files / "near.csv",
        files / "far.csv",
        "--label-column",
        "kind",
        "--json",
        "--permutations",
        99,
    )
    report = json.loads(out)["report"]
    assert report["moved"]["covariate"] is True
    assert report["settings"]["permutations"] == 99
    mmd = next(t for t in report["moved"]["tests"] if t["name"].startswith("MMD²"))
    assert mmd["pvalue"] == pytest.approx(0.01)
    assert list(report["where"]["features"]) == list(pd.read_csv(files / "near.csv").columns.drop("kind"))


def test_shift_with_itself_is_not_significant(dakit, files):
    _, out, _ = dakit("shift", files / "near.npy", files / "near.npy", "--json", "--metrics", "mmd,coral")
    got = json.loads(out)["metrics"]
    assert got["mmd_pvalue"] > 0.5
    assert got["coral"] == pytest.approx(0, abs=1e-12)


def test_shift_between_bundled_domains_measures_pixels(dakit):
    code, out, err = dakit("shift", "digits/optdigits", "digits/mnist", "--json", "--metrics", "idd,icv")
    assert code == 0, err
    got = json.loads(out)["metrics"]
    assert 0 < got["idd"] < np.log(2)
    assert got["icv_source"] > 0
    assert got["icv_target"] > 0


def test_shift_writes_a_page_that_names_nothing_outside(dakit, files):
    page = files / "deep" / "page.html"
    code, _, err = dakit(
        "shift", files / "near.csv", files / "far.csv", "--label-column", "kind", "--html", page
    )
    assert code == 0, err
    text = page.read_text()
    assert "<script src=" not in text
    assert "near" in text
    assert "far" in text


def test_shift_reads_image_folders(dakit, tmp_path):
    rng = np.random.default_rng(0)
    for domain, low in (("dark", 0), ("light", 150)):
        for kind in ("cat", "dog"):
            (tmp_path / domain / kind).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(low, low + 100, (20, 20, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / domain / kind / f"{i}.png")
    code, out, err = dakit("shift", tmp_path / "dark", tmp_path / "light", "--json", "--metrics", "idd,coral")
    assert code == 0, err
    got = json.loads(out)
    assert got["source"]["classes"] == {"cat": 4, "dog": 4}
    # grey levels of the two do not overlap: the Jensen-Shannon divergence is at its bound
    assert got["metrics"]["idd"] == pytest.approx(np.log(2), rel=0.05)


# -- adapt ---------------------------------------------------------------------------------------------------


ADAPT = ("--seeds", 2, "--steps", 30, "--batch-size", 16, "--json")


def test_adapt_reports_accuracy_with_its_spread(dakit, files):
    out_dir = files / "runs"
    code, out, err = dakit(
        "adapt",
        "--source",
        files / "near.npz",
        "--target",
        files / "far.npz",
        "--method",
        "dan",
        "--out",
        out_dir,
        *ADAPT,
    )
    assert code == 0, err
    got = json.loads(out)
    assert got["method"] == "dan"
    assert got["seeds"] == 2
    assert len(got["target_accuracy"]["per_seed"]) == 2
    assert got["target_accuracy"]["mean"] == pytest.approx(np.mean(got["target_accuracy"]["per_seed"]))
    assert got["target_accuracy"]["sd"] == pytest.approx(np.std(got["target_accuracy"]["per_seed"], ddof=1))
    for when in ("shift_before", "shift_after"):
        assert {"mmd", "mmd_pvalue", "a_distance", "icv_source", "icv_target", "idd"} <= set(got[when])
    assert got["seconds"] > 0
    assert json.loads((out_dir / "results.json").read_text())["method"] == "dan"
    assert (out_dir / "adapt.html").stat().st_size > 1000
    assert not list(out_dir.rglob("*.pkl"))


def test_adapt_without_target_labels_gives_null(dakit, files):
    code, out, err = dakit(
        "adapt",
        "--source",
        files / "near.npz",
        "--target",
        files / "far.npy",
        "--method",
        "deep_coral",
        "--out",
        files / "o",
        *ADAPT,
    )
    assert code == 0, err
    got = json.loads(out)
    assert got["target_accuracy"] is None
    assert got["source_accuracy"]["mean"] > 0.5
    assert got["shift_after"]["a_distance"] is not None


def test_adapt_takes_hyperparameters(dakit, files):
    code, out, err = dakit(
        "adapt",
        "--source",
        files / "near.npz",
        "--target",
        files / "far.npz",
        "--method",
        "dann",
        "--param",
        "lambda_=0.25",
        "--out",
        files / "o",
        *ADAPT,
    )
    assert code == 0, err
    assert json.loads(out)["config"]["method"]["hyperparameters"]["lambda_"] == 0.25


# -- bad input -----------------------------------------------------------------------------------------------


def test_missing_file(dakit, tmp_path):
    err = one_sentence(*dakit("shift", tmp_path / "no.npz", tmp_path / "no.npz"))
    assert "no.npz" in err


def test_empty_file(dakit, tmp_path):
    for name in ("empty.npz", "empty.csv", "empty.npy", "empty.parquet"):
        (tmp_path / name).touch()
        err = one_sentence(*dakit("shift", tmp_path / name, tmp_path / name))
        assert name in err


def test_unknown_set_or_domain_lists_the_known_ones(dakit):
    assert "emoji" in one_sentence(*dakit("shift", "emojis/noto", "emoji/noto"))
    assert "noto" in one_sentence(*dakit("shift", "emoji/nato", "emoji/noto"))


def test_unknown_metric_and_method_list_the_known_ones(dakit, files):
    assert "a_distance" in one_sentence(
        *dakit("shift", files / "near.npy", files / "far.npy", "--metrics", "mmb")
    )
    err = one_sentence(
        *dakit("adapt", "--source", files / "near.npz", "--target", files / "far.npz", "--method", "magic")
    )
    assert "deep_coral" in err


def test_a_report_cannot_be_made_of_too_little_or_of_wrong_numbers(dakit, files):
    pair = (files / "near.npy", files / "far.npy")
    assert "alpha must lie" in one_sentence(*dakit("shift", *pair, "--alpha", 1.5))
    assert "max_points" in one_sentence(*dakit("shift", *pair, "--max-points", 3))
    assert "leave out --metrics" in one_sentence(
        *dakit("shift", *pair, "--metrics", "mmd", "--html", files / "page.html")
    )
    assert "saved as .html" in one_sentence(*dakit("shift", *pair, "--html", files / "page.txt"))


def test_usage_error_is_one_sentence(dakit):
    assert "--source" in one_sentence(*dakit("adapt", "--target", "emoji/noto"))
    assert "--seeds" in one_sentence(*dakit("demo", "--seeds", "many"))


def test_mismatched_dimensions(dakit, files):
    np.save(files / "wide.npy", np.zeros((10, 7), np.float32) + np.arange(10)[:, None])
    err = one_sentence(*dakit("shift", files / "near.npy", files / "wide.npy"))
    assert "(3,)" in err
    assert "(7,)" in err


def test_nan(dakit, files):
    np.savez(files / "nan.npz", x=np.array([[0.0, np.nan], [1.0, 2.0], [3.0, 1.0]]))
    assert "NaN" in one_sentence(*dakit("shift", files / "nan.npz", files / "nan.npz"))


def test_one_sample(dakit, files):
    np.save(files / "one.npy", np.zeros((1, 3), np.float32))
    one_sentence(*dakit("shift", files / "one.npy", files / "far.npy"))
    np.savez(files / "one.npz", x=np.zeros((1, 3), np.float32), y=np.zeros(1, int))
    err = one_sentence(*dakit("adapt", "--source", files / "near.npz", "--target", files / "one.npy", *ADAPT))
    assert "1 example" in err


def test_one_class_only(dakit, files):
    np.savez(files / "same.npz", x=np.random.default_rng(0).normal(size=(40, 3)), y=np.zeros(40, int))
    err = one_sentence(*dakit("adapt", "--source", files / "same.npz", "--target", files / "far.npy", *ADAPT))
    assert "one class" in err


def test_source_without_labels(dakit, files):
    err = one_sentence(*dakit("adapt", "--source", files / "near.npy", "--target", files / "far.npy", *ADAPT))
    assert "label" in err


def test_target_with_unknown_class(dakit, files):
    table = pd.read_csv(files / "far.csv")
    table.loc[0, "kind"] = "unicorn"
    table.to_csv(files / "odd.csv", index=False)
    err = one_sentence(
        *dakit(
            "adapt",
            "--source",
            files / "near.csv",
            "--target",
            files / "odd.csv",
            "--label-column",
            "kind",
            *ADAPT,
        )
    )
    assert "unicorn" in err


def test_label_column_that_is_not_there(dakit, files):
    err = one_sentence(*dakit("shift", files / "near.csv", files / "far.csv", "--label-column", "label"))
    assert "label" in err
    assert "kind" in err


def test_text_columns_are_named(dakit, files):
    err = one_sentence(*dakit("shift", files / "near.csv", files / "far.csv"))
    assert "kind" in err


class Boom:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickle_inside_npz_is_refused_and_not_run(dakit, files):
    bait = files / "executed"
    trap = np.empty(2, dtype=object)
    trap[:] = [Boom(bait), 1]
    np.savez(files / "trap.npz", x=trap)
    err = one_sentence(*dakit("shift", files / "trap.npz", files / "near.npz"))
    assert "pickle" in err or "object" in err
    assert not bait.exists()


def test_bad_hyperparameter(dakit, files):
    base = (
        "adapt",
        "--source",
        files / "near.npz",
        "--target",
        files / "far.npz",
        "--method",
        "dann",
        *ADAPT,
    )
    assert "NAME=VALUE" in one_sentence(*dakit(*base, "--param", "lambda_"))
    assert "lambda_" in one_sentence(*dakit(*base, "--param", "lamda=1"))


def test_diverging_training_says_where(dakit, files):
    base = (
        "adapt",
        "--source",
        files / "near.npz",
        "--target",
        files / "far.npz",
        "--out",
        files / "o",
        *ADAPT,
    )
    assert "lower lr" in one_sentence(*dakit(*base, "--lr", "1e12"))


# -- the other commands --------------------------------------------------------------------------------------


def test_methods_and_domains(dakit):
    code, out, _ = dakit("methods", "--json")
    assert code == 0
    assert {"source_only", "dann", "dan", "deep_coral", "oracle"} <= set(json.loads(out)["methods"])
    code, out, _ = dakit("domains", "--json")
    sets = json.loads(out)["sets"]
    assert {"emoji", "emoji_features", "digits", "sentiment"} <= set(sets)
    assert len(sets["emoji"]["domains"]) >= 6
    listed = dakit("methods")[1]
    assert "no source any more" in listed
    assert all(f"  {name} " in listed for name in ("dann", "shot", "irm", "tca", "oracle"))
    one = dakit("methods", "tent")[1]
    assert "fails when" in one and "ICLR 2021" in one
    assert json.loads(dakit("methods", "tca", "--json")[1])["name"] == "tca"
    assert "unknown method 'tnet'" in one_sentence(*dakit("methods", "tnet"))
    assert "optdigits" in dakit("domains")[1]


def test_doctor_tells_versions_device_and_memory(dakit):
    _, out, _ = dakit("doctor", "--json")
    got = json.loads(out)
    assert got["packages"]["torch"]
    assert got["device"].split(":")[0] in ("cpu", "cuda", "mps")
    assert got["memory_gib"] is None or got["memory_gib"]["total"] > 0
    assert "widgets" in got
    assert "chromium" in got


def test_help_names_every_command():
    done = subprocess.run(
        [sys.executable, "-m", "dakit", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("demo", "shift", "adapt", "methods", "domains", "doctor", "chapters"):
        assert command in done.stdout


def test_json_stdout_is_clean_in_a_real_process(files):
    """Other libraries may print at import; a process of its own would show it."""
    done = subprocess.run(
        [sys.executable, "-m", "dakit", "shift", files / "near.npy", files / "far.npy", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["metrics"]["mmd"] > 0
