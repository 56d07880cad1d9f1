"""The table of Amazon reviews: its networks follow Algorithm 1 of the paper, and nothing looks at target labels."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

TABLES = Path(__file__).parent.parent / "benchmarks" / "tables"
pytestmark = pytest.mark.skipif(not TABLES.exists(), reason="benchmarks/ is not in the wheel")


@pytest.fixture
def amazon(monkeypatch):
    monkeypatch.syspath_prepend(str(TABLES))
    import amazon_reviews

    return amazon_reviews


@pytest.fixture
def algorithm(amazon):
    return sys.modules["algorithm_1"]


def counts(seed=0, n=40, m=30, held_out=12, d=25):
    rng = np.random.default_rng(seed)
    x = rng.poisson(0.4, size=(n + m + held_out, d)).astype(float)
    score = x @ rng.normal(size=d)
    y = (score > np.median(score)).astype(np.int64)
    return x[:n], y[:n], x[n : n + m], x[n + m :], y[n + m :]


def by_the_formulas(xs, ys, xt, xv, yv, lambda_, rate, seed, passes, hidden=50):
    """Gradients of label loss and domain loss, written with the chain rule in the open; no early stop."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    rng = np.random.RandomState(seed)
    w = np.sqrt(6 / (hidden + xs.shape[1])) * (2 * rng.rand(hidden, xs.shape[1]) - 1)
    v = np.sqrt(6 / (2 + hidden)) * (2 * rng.rand(2, hidden) - 1)
    b, c, u, e = np.zeros(hidden), np.zeros(2), np.zeros(hidden), 0.0
    least, best = 2.0, None
    for _ in range(passes):
        for x, y in zip(xs, ys):
            h = sigmoid(w @ x + b)
            f = np.exp(v @ h + c) / np.exp(v @ h + c).sum()
            d_scores = f - np.eye(2)[y]
            d_z = (v.T @ d_scores) * h * (1 - h)
            d_w, d_b, d_u, d_e = np.outer(d_z, x), d_z, 0.0, 0.0
            if lambda_:
                for rows, is_source in (([x], 1), (xt[[rng.randint(len(xt))]], 0)):
                    g = sigmoid(w @ rows[0] + b)
                    d_logit = lambda_ * (sigmoid(u @ g + e) - is_source)  # of the domain's cross-entropy
                    d_u, d_e = d_u + d_logit * g, d_e + d_logit
                    reversed_z = -d_logit * u * g * (1 - g)
                    d_w, d_b = d_w + np.outer(reversed_z, rows[0]), d_b + reversed_z
            w, b = w - rate * d_w, b - rate * d_b
            v, c = v - rate * np.outer(d_scores, h), c - rate * d_scores
            u, e = u - rate * d_u, e - rate * d_e
        error = np.mean((sigmoid(xv @ w.T + b) @ v.T + c).argmax(1) != yv)
        if error <= least:
            least, best = error, (w, b, v, c)
    w, b, v, c = best
    return lambda x: (sigmoid(x @ w.T + b) @ v.T + c).argmax(1)


@pytest.mark.slow  # the first call compiles
@pytest.mark.parametrize("lambda_", [0.0, 0.7])
@pytest.mark.parametrize("form", ["rows", "products"])
def test_both_forms_are_algorithm_1(algorithm, monkeypatch, lambda_, form):
    monkeypatch.setattr(algorithm, "PASSES", 12)
    xs, ys, xt, xv, yv = counts()
    options = {"lambda_": lambda_, "rate": 0.05, "seed": 5}
    if form == "rows":
        csr = [sparse.csr_matrix(x) for x in (xs, xt, xv)]
        predict = algorithm.on_sparse_rows(csr[0], ys, csr[1], csr[2], yv, **options)
    else:
        predict = algorithm.on_inner_products(np.concatenate([xs, xt, xv]), 40, ys, 30, yv, **options)
    expected = by_the_formulas(xs, ys, xt, xv, yv, **options, passes=12)
    x = np.random.default_rng(9).poisson(0.4, size=(2000, 25)).astype(float)
    assert 0.2 < expected(x).mean() < 0.8
    assert (predict(x) == expected(x)).mean() > 0.999  # a row on the boundary may round either way


def test_training_stops_and_keeps_the_best_pass(algorithm):
    errors = iter([0.5, 0.2, 0.4, *[0.3] * 200])
    weights, held_out = np.zeros(1), np.arange(10) % 2
    passes = []

    def one_pass(rest, drawn):
        weights[0] += 1
        passes.append(weights[0])

    def scores():  # rows of hidden units that make the error asked for
        wrong = round(10 * next(errors))
        scores.wanted = np.where(np.arange(10) < wrong, 1 - held_out, held_out)
        return np.zeros((10, algorithm.HIDDEN))

    labels = algorithm._labels
    algorithm._labels = lambda *_: scores.wanted
    try:
        best, _ = algorithm._train(
            np.random.RandomState(0), one_pass, scores, weights, np.zeros(3, int), held_out, 1, 0.0
        )
    finally:
        algorithm._labels = labels
    assert best.tolist() == [2.0]
    assert (
        len(passes) == algorithm.PATIENCE + 2
    )  # passes count from 0, and the 31st is the first one too many


def test_no_data_is_one_sentence_and_status_2(amazon, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["amazon_reviews.py", "--data", str(tmp_path)])
    assert amazon.main() == 2
    assert "needs the Amazon reviews" in capsys.readouterr().err


def small_reviews(amazon, seed=0):
    """The four domains, small, in the layout of the real file."""
    rng, arrays = np.random.default_rng(seed), {}
    for name in amazon.NAMES.values():
        for part, n in (("train", 260), ("test", 50)):
            x = sparse.csr_matrix(rng.poisson(0.02, size=(n, 5000)).astype(np.uint8))
            arrays |= {f"{name}_{part}_{key}": getattr(x, key) for key in ("data", "indices", "indptr")}
            arrays[f"{name}_{part}_y"] = rng.integers(0, 2, n).astype(np.uint8)
    return arrays


@pytest.mark.parametrize("method", ["nn", "svm", "dann"])
def test_target_labels_are_for_the_last_line_alone(amazon, algorithm, monkeypatch, tmp_path, method):
    monkeypatch.setattr(algorithm, "PASSES", 2)
    arrays, measured = small_reviews(amazon), []
    for turn in range(2):
        if turn:
            arrays["dvd_train_y"] = 1 - arrays["dvd_train_y"]
            arrays["dvd_test_y"] = 1 - arrays["dvd_test_y"]
        np.savez(tmp_path / f"{turn}.npz", **arrays)
        measured.append(amazon.on_words(amazon.Reviews(tmp_path / f"{turn}.npz"), "B", "D", method, 1))
    assert sum(measured) == pytest.approx(1)


def test_cells_means_and_misses(amazon):
    found = {("nn", pair): [amazon.PUBLISHED["nn"][k] + 0.006] for k, pair in enumerate(amazon.PAIRS)}
    found["nn", "B-D"] = [0.79, 0.90]
    rows = amazon.cells(found)
    assert len(rows) == 13
    first, mean = rows[0], rows[-1]
    assert (first["measured"], first["published"], first["runs"]) == (pytest.approx(0.845), 0.79, [0.79, 0.9])
    assert mean["pair"] == "mean"
    assert [row["pair"] for row in rows if amazon.missed(row)] == ["B-D", "mean"]
    assert "0.8450 (0.7900)*" in amazon.table(rows)
    assert len(amazon.cells({("svm", "B-D"): [0.8]})) == 1  # no mean of a part of the pairs
