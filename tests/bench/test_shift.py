"""``measure_shift``: the named metrics, on inputs as they are."""

import pytest
import torch

from dakit import metrics
from dakit.bench.shift import MEASURES, measure_shift
from dakit.domains import Domain, load


@pytest.fixture(scope="module")
def flat():
    g = torch.Generator().manual_seed(0)
    return Domain("a", torch.randn(60, 3, generator=g)), Domain("b", torch.randn(50, 3, generator=g) + 1)


def test_values_are_those_of_the_metrics(flat):
    a, b = flat
    got = measure_shift(a, b, seed=4)
    test = metrics.mmd_test(a.x, b.x, seed=4)
    assert got["mmd"] == test.statistic
    assert got["mmd_pvalue"] == test.pvalue
    assert got["coral"] == metrics.coral_distance(a.x, b.x)
    assert got["frechet"] == metrics.frechet_distance(a.x, b.x)
    assert "idd" not in got


def test_images_get_the_histogram_measures():
    digits = load("digits")
    got = measure_shift(
        digits["optdigits"].subset(slice(0, 100)), digits["mnist"].subset(slice(0, 100)).unlabeled()
    )
    assert {"idd", "icv_source", "icv_target"} <= set(got)
    assert got["icv_source"] is not None
    assert got["icv_target"] is None


def test_order_and_choice_follow_the_names(flat):
    assert list(measure_shift(*flat, ["frechet", "coral"])) == ["frechet", "coral"]
    with pytest.raises(ValueError, match="unknown metric 'wasser'.*" + ", ".join(MEASURES)):
        measure_shift(*flat, ["wasser"])


def test_shapes_must_agree(flat):
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        measure_shift(flat[0], Domain("c", torch.rand(9, 2)))
