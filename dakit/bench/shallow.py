"""Shallow methods in comparisons: fitted in one go, judged as trained methods are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dakit import methods as _methods
from dakit.bench.task import Task
from dakit.domains import Domain
from dakit.training.evaluate import Evaluation
from dakit.training.health import Health


class ShallowRun:
    """A fitted estimator with the questions of a :class:`~dakit.training.Run`.

    Examples are flattened. Those of the task's source are mapped as source rows, all others as target rows.

    Parameters
    ----------
    name : str
        A name of ``dakit.methods.estimators()``, or ``"source_only"``: the classifier alone.
    task : Task
        Its source is read with labels, its target without.
    seed : int
        For estimators with a ``random_state``.
    hyperparameters : dict
    classifier : estimator, optional
        For ``source_only``.
    """

    snapshots = ()

    def __init__(
        self, name: str, task: Task, *, seed: int = 0, hyperparameters: dict[str, Any], classifier: Any = None
    ) -> None:
        self.name, self.task = name, task
        if name == "source_only":
            self.estimator = classifier.fit(_rows(task.source), task.source.y.numpy())
        else:
            cls = _methods.estimators()[name]
            try:
                estimator = cls(**hyperparameters)
            except TypeError:
                known = ", ".join(cls().get_params(deep=False))
                strange = next(key for key in hyperparameters if key not in cls().get_params(deep=False))
                raise TypeError(
                    f"method {name!r} has no hyper-parameter {strange!r}; it has {known}"
                ) from None
            if "random_state" in estimator.get_params(deep=False) and estimator.random_state is None:
                estimator.set_params(random_state=seed)
            self.estimator = estimator.fit_domains(
                _rows(task.source), task.source.y.numpy(), _rows(task.target)
            )
        self.config = {"method": {"name": name, "hyperparameters": hyperparameters}, "seed": seed}

    def _domain(self, domain: Domain) -> np.ndarray:
        return np.full(
            len(domain), 1 if domain is self.task.source or domain is self.task.source_test else -1
        )

    # ``side`` is there for the common interface; the estimators read every domain alike.

    def features(self, domain: Domain, *, side: str = "target") -> np.ndarray:
        """Rows as the classifier sees them, (n, k) float32."""
        if self.name == "source_only":
            return _rows(domain).astype(np.float32)
        return self.estimator.transform(_rows(domain), self._domain(domain)).astype(np.float32)

    def predict(self, domain: Domain) -> np.ndarray:
        """Class index of each example, (n,)."""
        if self.name == "source_only":
            return self.estimator.predict(_rows(domain))
        return self.estimator.predict(_rows(domain), self._domain(domain))

    def evaluate(self, domain: Domain, *, side: str = "target") -> Evaluation:
        """Accuracy, accuracy per class and confusion on a labelled domain."""
        y, k = domain.y.numpy(), len(domain.classes)
        confusion = np.zeros((k, k), np.int64)
        np.add.at(confusion, (y, self.predict(domain)), 1)
        right, n = confusion.diagonal(), confusion.sum(1)
        recall = np.where(n > 0, right / np.maximum(n, 1), np.nan)
        per_class = dict(zip(domain.classes, recall.tolist()))
        return Evaluation(float(right.sum() / n.sum()), per_class, confusion, int(n.sum()))

    def health(self) -> Health:
        """No findings: there is no training to examine."""
        return Health()

    def save(self, folder: str | Path) -> Path:
        """Write ``run.json``: the method, its hyper-parameters, and its predictions for the held-out target."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        predicted = self.predict(self.task.target_test).tolist()
        text = json.dumps(
            {"config": self.config, "target_test_predictions": predicted}, indent=2, default=str
        )
        (folder / "run.json").write_text(text, encoding="utf-8")
        return folder


def is_shallow(name: str) -> bool:
    """Whether ``name`` is a shallow method that can be compared; an error if it needs target labels."""
    if name in _methods.names() or name not in _methods.estimators():
        return False
    if getattr(_methods.estimators()[name], "needs_target_labels", False):
        raise ValueError(
            f"method {name!r} needs target labels, which a comparison hides; use its class itself"
        )
    return True


def plain_classifier(names: Iterable[str], hyperparameters: dict[str, dict[str, Any]]) -> Any:
    """A fresh classifier of the first shallow method, where all but ``source_only`` are shallow; else None."""
    adapted = [name for name in names if name != "source_only"]
    if not adapted or not all(map(is_shallow, adapted)):
        return None
    cls = _methods.estimators()[adapted[0]]
    given = {
        k: v for k, v in hyperparameters.get(adapted[0], {}).items() if k in cls().get_params(deep=False)
    }
    return cls(**given)._classifier()


def _rows(domain: Domain) -> np.ndarray:
    return domain.x.flatten(1).to(torch.float64).cpu().numpy()
