"""Calibration errors and scores: by hand, against torchmetrics and scikit-learn, and their limits."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from dakit.metrics.calibration import brier, classwise_ece, ece, nll, reliability


def predictions(n=500, k=4, seed=0, sharpness=1.0):
    """Calibrated probabilities with their labels; ``sharpness`` other than 1 spoils the calibration."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 2

    def soft(z):
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    p = soft(logits)
    y = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(0, k - 1)
    return soft(logits * sharpness), y


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    probs, y = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]], [0, 1, 1, 0]
    # Two bins: all confidences (0.9, 0.8, 0.7, 0.55, mean 0.7375) in the upper one, half of them right.
    assert ece(probs, y, bins=2) == pytest.approx(0.2375)
    # Edges 0, ¼, ½, ¾, 1: {0.7, 0.55} half right, mean 0.625; {0.9, 0.8} half right, mean 0.85.
    assert ece(probs, y, bins=4) == pytest.approx(0.5 * 0.125 + 0.5 * 0.35)
    assert ece(probs, y, bins=4, norm="l2") == pytest.approx(np.sqrt(0.5 * 0.125**2 + 0.5 * 0.35**2))
    assert ece(probs, y, bins=4, norm="max") == pytest.approx(0.35)
    assert brier(probs, y) == pytest.approx((2 * 0.01 + 2 * 0.64 + 2 * 0.09 + 2 * 0.3025) / 4)
    assert nll(probs, y) == pytest.approx(-np.log(0.9 * 0.2 * 0.7 * 0.45) / 4)
    diagram = reliability(probs, y, bins=4)
    np.testing.assert_array_equal(diagram.count, [0, 0, 2, 2])
    np.testing.assert_allclose(diagram.accuracy, [np.nan, np.nan, 0.5, 0.5])
    np.testing.assert_allclose(diagram.confidence, [np.nan, np.nan, 0.625, 0.85])


def test_adaptive_bins_hold_equally_many():
    probs, y = predictions(600, 3)
    diagram = reliability(probs, y, bins=10, adaptive=True)
    np.testing.assert_array_equal(diagram.count, [60] * 10)
    order = np.argsort(probs.max(1))
    right = (probs.argmax(1) == y)[order].reshape(10, 60)
    gap = np.abs(right.mean(1) - np.sort(probs.max(1)).reshape(10, 60).mean(1)).mean()
    assert ece(probs, y, bins=10, adaptive=True) == pytest.approx(gap)


# -- independent references ---------------------------------------------------------------------------------

SINGLE = 1e-5  # torchmetrics sums confidences in float32


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize(("bins", "k"), [(15, 4), (7, 10), (1, 3)])
def test_against_torchmetrics(norm, bins, k):
    probs, y = predictions(k=k, sharpness=2)
    expected = multiclass_calibration_error(torch.from_numpy(probs), torch.from_numpy(y), k, bins, norm)
    assert ece(probs, y, bins=bins, norm=norm) == pytest.approx(float(expected), rel=SINGLE)


def test_classwise_against_torchmetrics():
    probs, y = predictions(k=5, sharpness=2)
    columns = [
        float(binary_calibration_error(torch.from_numpy(probs[:, j].copy()), torch.from_numpy(y == j), 15))
        for j in range(5)
    ]
    assert classwise_ece(probs, y) == pytest.approx(np.mean(columns), rel=SINGLE)


def test_against_scikit_learn():
    probs, y = predictions(k=2)
    assert nll(probs, y) == pytest.approx(log_loss(y, probs), rel=1e-10)
    assert brier(probs, y) == pytest.approx(2 * brier_score_loss(y, probs[:, 1]), rel=1e-10)
    right = probs.argmax(1) == y
    accuracy, confidence = calibration_curve(right, probs.max(1), n_bins=10)
    diagram = reliability(probs, y, bins=10)
    filled = diagram.count > 0
    np.testing.assert_allclose(diagram.accuracy[filled], accuracy)
    np.testing.assert_allclose(diagram.confidence[filled], confidence)


# -- what makes it calibration ------------------------------------------------------------------------------


def test_falls_to_zero_for_a_calibrated_classifier_and_not_for_another():
    sizes = (200, 2000, 50_000)
    calibrated = [ece(*predictions(n)) for n in sizes]
    assert calibrated[0] > calibrated[1] > calibrated[2]
    assert calibrated[2] < 0.01
    assert ece(*predictions(sizes[-1], sharpness=3)) > 0.1
    assert classwise_ece(*predictions(sizes[-1])) < 0.01


def test_nll_and_brier_are_best_for_the_true_probabilities():
    for score in (nll, brier):
        values = [score(*predictions(5000, sharpness=s)) for s in (0.5, 1.0, 2.0)]
        assert min(values) == values[1]


# -- limits and invariances ---------------------------------------------------------------------------------


def test_certain_and_right_or_wrong():
    probs = np.eye(3)
    for adaptive in (False, True):
        assert ece(probs, [0, 1, 2], adaptive=adaptive) == 0
        assert ece(probs, [1, 2, 0], adaptive=adaptive) == 1
    assert classwise_ece(probs, [0, 1, 2]) == brier(probs, [0, 1, 2]) == nll(probs, [0, 1, 2]) == 0
    assert brier(probs, [1, 2, 0]) == 2
    assert nll(probs, [0, 1, 0]) == np.inf


def test_order_names_dtype_and_tensors():
    probs, y = predictions()
    order = np.random.default_rng(1).permutation(len(y))
    columns = np.array([2, 0, 3, 1])
    for metric in (ece, classwise_ece, brier, nll):
        value = metric(probs, y)
        assert metric(probs[order], y[order]) == pytest.approx(value, rel=1e-12)
        assert metric(probs[:, columns], np.argsort(columns)[y]) == pytest.approx(value, rel=1e-12)
        assert metric(torch.from_numpy(probs), torch.from_numpy(y)) == value
        assert metric(probs.astype(np.float32), y) == pytest.approx(value, rel=1e-5)
        names = np.array(["b", "d", "a", "c"])
        assert metric(probs, names[y], classes=names) == value


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu():
    probs, y = predictions()
    assert ece(torch.from_numpy(probs).cuda(), torch.from_numpy(y).cuda()) == ece(probs, y)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [ece, classwise_ece, brier, nll, reliability])
def test_bad_input(metric):
    with pytest.raises(ValueError, match="softmax"):
        metric([[3.0, -1.0]], [0])
    with pytest.raises(ValueError, match="one label for each of 1 rows"):
        metric([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="column numbers 0 to 1"):
        metric([[0.5, 0.5]], [2])


def test_bad_options():
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        ece([[0.5, 0.5]], [0], bins=0)
    for metric in (ece, classwise_ece):
        with pytest.raises(ValueError, match="norm must be 'l1', 'l2' or 'max', got 'l3'"):
            metric([[0.5, 0.5]], [0], norm="l3")
