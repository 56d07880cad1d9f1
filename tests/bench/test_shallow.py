"""Shallow methods in ``adapt`` and ``compare``."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from dakit import methods
from dakit.bench import compare, make_task
from dakit.bench.adapt import adapt
from dakit.domains import Domain

QUICK = {"steps": 5, "batch_size": 16, "progress": False}
COMPARED = [n for n, cls in methods.estimators().items() if not getattr(cls, "needs_target_labels", False)]


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    y = torch.arange(80) % 2
    x = torch.tensor(rng.normal(size=(80, 5)), dtype=torch.float32) + 2 * y[:, None]
    return Domain("s", x, y, ("a", "b")), Domain("t", 1.5 * x + 4, y, ("a", "b"))


@pytest.mark.parametrize("method", COMPARED)
def test_target_labels_judge_and_do_nothing_else(pair, method):
    source, target = pair
    task = make_task(source, target)
    poisoned = make_task(source, Domain("t", target.x, 1 - target.y, target.classes))
    a, b = (compare(t, [method], seeds=[0], permutations=20) for t in (task, poisoned))
    np.testing.assert_array_equal(
        a.runs[method, 0].predict(task.target_test), b.runs[method, 0].predict(task.target_test)
    )
    assert a.accuracy(method)["mean"] == pytest.approx(1 - b.accuracy(method)["mean"])
    assert a.shift(method)["mmd"] == pytest.approx(b.shift(method)["mmd"])


def test_the_numbers_are_those_of_the_estimator_and_of_its_classifier_alone(pair):
    task = make_task(*pair)
    result = compare(task, ["source_only", "standardise"], seeds=[0], permutations=20)
    xs, ys, xt = (a.numpy().astype(float) for a in (task.source.x, task.source.y, task.target.x))
    model = methods.Standardise().fit_domains(xs, ys.astype(int), xt)
    y, rows = task.target_test.y.numpy(), task.target_test.x.numpy()
    assert result.accuracy("standardise")["mean"] == pytest.approx(np.mean(model.predict(rows) == y))
    held_out = model.predict(task.source_test.x.numpy(), np.ones(len(task.source_test)))
    assert result.accuracy("standardise", "source")["mean"] == np.mean(held_out == task.source_test.y.numpy())
    alone = LogisticRegression(max_iter=1000).fit(xs, ys)
    assert result.accuracy("source_only")["mean"] == pytest.approx(alone.score(rows, y))
    assert result.gain("standardise")["mean"] > 0
    assert result.shift("standardise")["mmd"] < result.shift("source_only")["mmd"]
    evaluation = result.runs["standardise", 0].evaluate(task.target_test)
    assert evaluation.n == evaluation.confusion.sum() == len(y)


def test_a_trained_method_beside_it_keeps_the_network_as_reference(pair):
    task = make_task(*pair)
    result = compare(task, ["source_only", "tca", "dan"], seeds=[0], permutations=20, **QUICK)
    assert result.runs["source_only", 0].method.num_classes == 2
    nearest = compare(task, ["source_only", "tca"], seeds=[0], permutations=20)
    assert isinstance(nearest.runs["source_only", 0].estimator, KNeighborsClassifier)


def test_what_is_written(pair, tmp_path):
    result = adapt(*pair, method="tca", seeds=1, hyperparameters={"n_components": 2}, out=tmp_path, **QUICK)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["target_accuracy"] == result.as_dict()["target_accuracy"]
    assert saved["config"] == {"method": {"name": "tca", "hyperparameters": {"n_components": 2}}, "seed": 0}
    run = json.loads((tmp_path / "tca-seed0" / "run.json").read_text())
    assert len(run["target_test_predictions"]) == len(result.comparison.tasks[0].target_test)
    assert "<html" in (tmp_path / "adapt.html").read_text()[:200].lower()


def test_bad_input(pair):
    with pytest.raises(ValueError, match=r"unknown method 'tcaa'; choose from source_only, .*, tca"):
        adapt(*pair, method="tcaa", seeds=1)
    with pytest.raises(ValueError, match="method 'fa' needs target labels"):
        adapt(*pair, method="fa", seeds=1)
    with pytest.raises(TypeError, match="method 'tca' has no hyper-parameter 'k'; it has estimator, gamma"):
        adapt(*pair, method="tca", seeds=1, hyperparameters={"k": 2})
    with pytest.raises(ValueError, match="n_components must be an integer of at least 1"):
        adapt(*pair, method="tca", seeds=1, hyperparameters={"n_components": 0})
