"""Profiles: which size, which threads, one tidy line."""

import numpy as np
import pytest
import torch

from dakit import course
from dakit.course.profile import Profile, _quotas, _threads, profile_name


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("said", "meant"), [(None, "teach"), ("", "teach"), ("smoke", "smoke"), (" FULL ", "full")]
)
def test_profile_name(monkeypatch, said, meant):
    monkeypatch.delenv("DAKIT_PROFILE", raising=False)
    if said is not None:
        monkeypatch.setenv("DAKIT_PROFILE", said)
    assert profile_name() == meant


def test_unknown_profile_is_one_clear_sentence(monkeypatch):
    monkeypatch.setenv("DAKIT_PROFILE", "fast")
    with pytest.raises(ValueError, match=r"^DAKIT_PROFILE is 'fast'; it must be smoke, teach or full$"):
        course.setup()


@pytest.mark.parametrize(("name", "size"), [("smoke", 1), ("teach", 2), ("full", 3)])
def test_pick(name, size):
    assert Profile(name).pick(smoke=1, teach=2, full=3) == size


def test_pick_wants_every_profile():
    with pytest.raises(TypeError, match="full"):
        Profile("smoke").pick(smoke=1, teach=2)


def test_setup_prints_one_line_and_seeds(monkeypatch, capsys):
    monkeypatch.setenv("DAKIT_PROFILE", "smoke")
    first = course.setup(seed=7)
    drawn = torch.rand(2).tolist(), np.random.rand(2).tolist()  # noqa: NPY002
    course.setup(seed=7)
    assert (torch.rand(2).tolist(), np.random.rand(2).tolist()) == drawn  # noqa: NPY002
    out = capsys.readouterr().out
    assert out.count("\n") == 2
    assert out.startswith("profile smoke · ")
    assert f"torch {torch.__version__}" in out
    assert "seed 7" in out
    assert first.name == "smoke"
    assert course.current_profile() == first


def test_threads_follow_the_container_not_the_node(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CPU_LIMIT", "1.0")  # set by JupyterHub
    assert _threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # said by the reader: obeyed
    assert _threads() == 3
    monkeypatch.delenv("CPU_LIMIT")
    assert _quotas(tmp_path) == []
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert _quotas(tmp_path) == []
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert _quotas(tmp_path) == [1.5]


def test_half_a_core_is_still_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CPU_LIMIT", "0.5")
    assert _threads() == 1
