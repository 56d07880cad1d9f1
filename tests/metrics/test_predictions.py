"""Scores of predictions without target labels, and risk and accuracy on source."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import accuracy_score, log_loss

from dakit.metrics import (
    bnm,
    class_diversity,
    entropy_score,
    information_maximisation,
    source_accuracy,
    source_risk,
)

LABEL_FREE = (entropy_score, class_diversity, information_maximisation, bnm)


def probabilities(n=50, k=4, seed=0, sharpness=1.5):
    logits = np.random.default_rng(seed).normal(size=(n, k)) * sharpness
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    p = [[1.0, 0.0], [0.5, 0.5]]
    mean_entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert entropy_score(p) == pytest.approx(-math.log(2) / 2)
    assert class_diversity(p) == pytest.approx(mean_entropy / math.log(2))
    assert information_maximisation(p) == pytest.approx(mean_entropy - math.log(2) / 2)
    # P'P = [[5/4, 1/4], [1/4, 1/4]]: determinant 1/4, trace 3/2; (s1 + s2)² = trace + 2 sqrt(det) = 5/2.
    assert bnm(p) == pytest.approx(math.sqrt(5 / 2) / 2)
    assert source_risk([[0.0, math.log(3)], [2.0, 2.0]], [1, 0]) == pytest.approx(
        (math.log(4 / 3) + math.log(2)) / 2
    )
    assert source_accuracy([[0.0, 1.0], [2.0, 2.0], [3.0, 1.0]], [1, 0, 1]) == pytest.approx(2 / 3)


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "k"), [(50, 4), (3, 7), (200, 2)])
def test_against_scipy_and_sklearn(n, k):
    p = probabilities(n, k)
    of_rows, of_mean = entropy(p, axis=1), entropy(p.mean(0))
    assert entropy_score(p) == pytest.approx(-of_rows.mean())
    assert class_diversity(p) == pytest.approx(of_mean / math.log(k))
    # Mutual information as a mean Kullback-Leibler divergence: another formula for the same number.
    assert information_maximisation(p) == pytest.approx(np.mean([entropy(row, p.mean(0)) for row in p]))
    assert bnm(p) == pytest.approx(np.linalg.norm(p, "nuc") / math.sqrt(n * min(n, k)))
    y = np.random.default_rng(1).integers(k, size=n)
    assert source_risk(np.log(p) + 5, y) == pytest.approx(log_loss(y, p, labels=range(k)))
    assert source_accuracy(p, y) == accuracy_score(y, p.argmax(1))


# -- what makes them these scores ---------------------------------------------------------------------------


def test_extremes():
    sure = np.eye(3)[np.arange(30) % 3]
    collapsed = np.eye(3)[np.zeros(30, int)]
    undecided = np.full((30, 3), 1 / 3)
    assert [entropy_score(p) for p in (sure, collapsed)] == [0, 0]
    assert entropy_score(undecided) == pytest.approx(-math.log(3))
    assert [class_diversity(p) for p in (sure, undecided)] == pytest.approx([1, 1])
    assert class_diversity(collapsed) == 0
    assert information_maximisation(sure) == pytest.approx(math.log(3))
    assert [information_maximisation(p) for p in (collapsed, undecided)] == pytest.approx([0, 0], abs=1e-15)
    assert bnm(sure) == pytest.approx(1)
    assert bnm(collapsed) == pytest.approx(1 / math.sqrt(3))
    assert bnm(undecided) == pytest.approx(1 / 3)


@pytest.mark.parametrize("score", LABEL_FREE)
def test_invariances(score):
    p = probabilities()
    rng = np.random.default_rng(2)
    assert score(rng.permutation(p)) == pytest.approx(score(p))
    assert score(p[:, [2, 0, 3, 1]]) == pytest.approx(score(p))
    assert score(np.concatenate([p, p, p])) == pytest.approx(score(p))
    assert score(p.astype(np.float32)) == pytest.approx(score(p), rel=1e-6)
    assert score(torch.from_numpy(p).requires_grad_()) == pytest.approx(score(p))


@pytest.mark.parametrize("score", [entropy_score, information_maximisation, bnm])
def test_surer_predictions_score_higher(score):
    found = [score(probabilities(sharpness=s)) for s in (0.5, 1, 2, 4)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.1


def test_huge_logits_and_named_classes():
    assert source_risk([[1e30, 0.0], [0.0, 1e30]], [0, 1]) == 0
    assert source_risk([[1e30, 0.0]], [1]) == pytest.approx(1e30)
    assert source_accuracy([[2, 1], [1, 2]], ["cat", "dog"]) == 1


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", LABEL_FREE)
def test_bad_predictions(score):
    with pytest.raises(ValueError, match="softmax"):
        score([[3.0, -2.0]])
    with pytest.raises(ValueError, match="sum to 1"):
        score([[0.3, 0.3]])
    with pytest.raises(ValueError, match="NaN"):
        score([[0.5, np.nan]])
    with pytest.raises(ValueError, match="shape"):
        score([0.5, 0.5])
    with pytest.raises(ValueError, match="k >= 2"):
        score([[1.0], [1.0]])
    with pytest.raises(TypeError, match="numeric"):
        score([["a", "b"]])


@pytest.mark.parametrize("score", [source_accuracy, source_risk])
def test_bad_labels(score):
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        score([[1.0, 2.0], [2.0, 1.0]], [0])
    with pytest.raises(ValueError, match="column numbers 0 to 1"):
        score([[1.0, 2.0], [2.0, 1.0]], [2, 2])
    with pytest.raises(ValueError, match="missing labels"):
        score([[1.0, 2.0], [2.0, 1.0]], [0, np.nan])
