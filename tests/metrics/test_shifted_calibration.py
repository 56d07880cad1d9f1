"""The table of calibration on source and target."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from dakit.metrics.calibration import brier, ece, nll
from dakit.metrics.logit_scaling import temperature_scaling
from dakit.metrics.shifted_calibration import calibration_under_shift


def domain(n, temperature, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) * 4
    p = softmax(logits / temperature, axis=1)
    return logits, (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(0, 2)


def test_entries_are_the_metrics():
    (ls, ys), (lt, yt) = domain(400, 2, 0), domain(300, 4, 1)
    table = calibration_under_shift(ls, ys, lt, yt, bins=10)
    t = temperature_scaling(ls, ys).temperature
    for key, logits, y, scale in [
        (("source", "raw"), ls, ys, 1),
        (("source", "scaled"), ls, ys, t),
        (("target", "raw"), lt, yt, 1),
        (("target", "scaled"), lt, yt, t),
    ]:
        probs, row = softmax(logits / scale, axis=1), table.loc[key]
        assert row["accuracy"] == (logits.argmax(1) == y).mean()
        assert row["confidence"] == pytest.approx(probs.max(1).mean())
        assert row["nll"] == pytest.approx(nll(probs, y))
        assert row["brier"] == pytest.approx(brier(probs, y))
        assert row["ece"] == pytest.approx(ece(probs, y, bins=10))
        assert row["temperature"] == scale


def test_the_source_is_repaired_and_the_shifted_target_is_not():
    table = calibration_under_shift(*domain(5000, 2, 0), *domain(5000, 6, 1))["ece"]
    assert table["source", "scaled"] < 0.02 < 0.1 < table["source", "raw"]
    assert 0.1 < table["target", "scaled"] < table["target", "raw"]


def test_without_shift_both_are_repaired():
    table = calibration_under_shift(*domain(5000, 2, 0), *domain(5000, 2, 1))["ece"]
    assert table["target", "scaled"] < 0.02


def test_target_labels_do_not_move_the_temperature():
    (ls, ys), (lt, yt) = domain(200, 2, 0), domain(200, 4, 1)
    a = calibration_under_shift(ls, ys, lt, yt)["temperature"]
    b = calibration_under_shift(ls, ys, lt, (yt + 1) % 3)["temperature"]
    assert (a == b).all()


def test_log_probabilities_serve_as_logits():
    (ls, ys), (lt, yt) = domain(200, 2, 0), domain(200, 4, 1)
    a = calibration_under_shift(ls, ys, lt, yt)
    b = calibration_under_shift(log_softmax(ls, axis=1), ys, log_softmax(lt, axis=1), yt)
    np.testing.assert_allclose(a, b, rtol=1e-8)


def test_bad_input():
    (ls, ys), (lt, yt) = domain(20, 2, 0), domain(20, 4, 1)
    with pytest.raises(ValueError, match="logits_t must have 3 columns"):
        calibration_under_shift(ls, ys, lt[:, :2], yt)
    with pytest.raises(ValueError, match="yt must hold one label"):
        calibration_under_shift(ls, ys, lt, yt[:5])
