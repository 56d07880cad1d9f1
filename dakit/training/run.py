"""``Run``: all that is left of a training. ``Runs``: several seeds of one."""

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import store
from dakit.training.evaluate import Evaluation, evaluate, outputs

if TYPE_CHECKING:
    import pandas as pd

    from dakit.training.health import Health


@dataclass
class Snapshot:
    """Features and logits of fixed examples at one moment of training.

    Attributes
    ----------
    step : int
        Steps done when it was taken; 0 is the untrained method.
    source_features, target_features : array of shape (m, d), float32
        Row i belongs to example ``run.source_index[i]`` (``run.target_index[i]``) of the domain.
    source_logits, target_logits : array of shape (m, k), float32
    """

    step: int
    source_features: np.ndarray
    target_features: np.ndarray
    source_logits: np.ndarray
    target_logits: np.ndarray

    ARRAYS = ("source_features", "target_features", "source_logits", "target_logits")


@dataclass
class State:
    """What resuming needs beyond the weights: optimisers, generators, positions, pending losses."""

    tensors: dict[str, Tensor]
    values: dict


@dataclass(repr=False)
class Run:
    """A training: the fitted method, its history, and what it takes to repeat it.

    Attributes
    ----------
    method : Method
    config : dict
        All settings of the training as plain values, also those chosen automatically.
    seed : int
    versions : dict
    source_index, target_index : array of int64
        Which examples of the two domains the snapshots follow.
    rows : list of dict
        What :attr:`history` is made of.
    snapshots : list of Snapshot
    step : int
        Steps done.
    seconds : float
        Wall time of the training, snapshots included.
    state : State or None
        What resuming needs; None once the training is complete.
    """

    method: Method
    config: dict
    seed: int
    versions: dict
    source_index: np.ndarray
    target_index: np.ndarray
    rows: list[dict] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    state: State | None = None

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.config["method"]["name"]

    @property
    def finished(self) -> bool:
        """False for a run that was interrupted."""
        return self.step >= self.config["steps"]

    @property
    def history(self) -> "pd.DataFrame":
        """One row for each logged step.

        Columns are ``step``, ``progress``, ``lr``; the mean of every loss term since the row before; and, in the rows
        of snapshots (NaN elsewhere), ``source_accuracy`` on the followed source examples and the health columns.
        """
        import pandas as pd

        return pd.DataFrame(self.rows)

    # ``side`` says whose inputs they are. It matters only to methods with parts for each domain (AdaBN, GDCAN …).

    def evaluate(self, domain: Domain, *, side: str = "target") -> Evaluation:
        """Accuracy, accuracy per class and confusion on a labelled domain."""
        return evaluate(self, domain, side=side)

    def features(self, domain: Domain | Tensor, *, side: str = "target") -> np.ndarray:
        """Features of a domain, (n, d) float32."""
        return outputs(self.method, _x(domain), side=side)[0].numpy()

    def logits(self, domain: Domain | Tensor, *, side: str = "target") -> np.ndarray:
        """Class scores of a domain, (n, k) float32; one more column, "unknown", from methods for open sets."""
        return outputs(self.method, _x(domain), side=side)[1].numpy()

    def predict(self, domain: Domain | Tensor, *, side: str = "target") -> np.ndarray:
        """Class index of each example, (n,) int64."""
        return self.logits(domain, side=side).argmax(axis=1)

    def health(self) -> "Health":
        """What looks wrong in this training, in words; reads no target labels."""
        from dakit.training.health import examine

        return examine(self)

    def save(self, folder: str | Path) -> Path:
        """Write ``run.json`` and one safetensors file into a folder, made where it is missing.

        The write is atomic: a reader finds the old run or the new one, never a mixture.
        """
        tensors = {f"method.{k}": v for k, v in self.method.state_dict().items()}
        if self.state is not None:
            tensors |= self.state.tensors  # among them the weights at the moment of the interrupt
        tensors |= {
            f"snapshot.{i}.{a}": torch.from_numpy(getattr(s, a))
            for i, s in enumerate(self.snapshots)
            for a in Snapshot.ARRAYS
        }
        tensors["source_index"] = torch.from_numpy(self.source_index)
        tensors["target_index"] = torch.from_numpy(self.target_index)
        values = {
            "config": self.config,
            "seed": self.seed,
            "versions": self.versions,
            "step": self.step,
            "seconds": self.seconds,
            "snapshot_steps": [s.step for s in self.snapshots],
            "rows": self.rows,
            "state": None if self.state is None else self.state.values,
        }
        return store.write(folder, tensors, values)

    @classmethod
    def load(cls, folder: str | Path, method: Method | None = None) -> "Run":
        """Read a run back.

        Parameters
        ----------
        folder : str or Path
        method : Method, optional
            A method of the same form, which gets the weights. Needed only for methods and backbones that are not
            dakit's own.

        Raises
        ------
        FileNotFoundError
            If there is no run in the folder.
        ValueError
            If the weights do not fit ``method``, or a method that is not dakit's own was not passed.
        """
        from dakit import methods

        tensors, values = store.read(folder)
        if method is None:
            method = methods.from_spec(values["config"]["method"])
        store.load_weights(method, store.under(tensors, "method."))
        snapshots = [
            Snapshot(step, *(tensors[f"snapshot.{i}.{a}"].numpy() for a in Snapshot.ARRAYS))
            for i, step in enumerate(values["snapshot_steps"])
        ]
        state = None
        if values["state"] is not None:
            state = State(tensors, values["state"])
        return cls(
            method=method,
            config=values["config"],
            seed=values["seed"],
            versions=values["versions"],
            source_index=tensors["source_index"].numpy(),
            target_index=tensors["target_index"].numpy(),
            rows=values["rows"],
            snapshots=snapshots,
            step=values["step"],
            seconds=values["seconds"],
            state=state,
        )

    def __repr__(self) -> str:
        ends = [(self.config[end] or {"name": "none"})["name"] for end in ("source", "target")]
        pair = " -> ".join(ends)
        steps = f"{self.step} steps" if self.finished else f"{self.step} of {self.config['steps']} steps"
        accuracy = next(
            (r["source_accuracy"] for r in reversed(self.rows) if "source_accuracy" in r), float("nan")
        )
        end = f"{self.seconds:.1f} s, source accuracy {accuracy:.3f}"
        return f"Run {self.name!r} on {pair}: seed {self.seed}, {steps}, {end}"


class Runs(list[Run]):
    """Runs of one method that differ by their seed."""

    def evaluate(self, domain: Domain, *, side: str = "target") -> list[Evaluation]:
        """One evaluation a run."""
        return [run.evaluate(domain, side=side) for run in self]

    def accuracies(self, domain: Domain, *, side: str = "target") -> np.ndarray:
        """Accuracy of each run on a labelled domain, (number of runs,)."""
        return np.array([e.accuracy for e in self.evaluate(domain, side=side)])

    def summary(self) -> "pd.DataFrame":
        """Mean, standard deviation over seeds, smallest and largest last value of each column of the histories."""
        import pandas as pd

        last = pd.DataFrame([run.history.ffill().iloc[-1] for run in self]).drop(columns=["step", "progress"])
        last["seconds"] = [run.seconds for run in self]
        return pd.DataFrame(
            {"mean": last.mean(), "sd": last.std(ddof=1), "min": last.min(), "max": last.max()}
        )

    def health(self, baseline: "Runs | None" = None, domain: Domain | None = None) -> "Health":
        """What looks wrong over all seeds; with a baseline and a labelled domain, whether the gain exceeds the spread.

        Parameters
        ----------
        baseline : Runs, optional
            Runs of ``source_only``, say, with as many seeds.
        domain : Domain, optional
            Labelled, unseen in training; its labels are read.
        """
        from dakit.training.health import examine_all

        return examine_all(self, baseline, domain)

    def save(self, folder: str | Path) -> Path:
        """Write each run into a folder of its own, ``seed-0`` and so on."""
        for run in self:
            run.save(Path(folder) / f"seed-{run.seed}")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "Runs":
        """Read back all runs in a folder, by rising seed.

        Raises
        ------
        FileNotFoundError
            If there are none.
        """
        folders = list(Path(folder).glob("seed-*"))
        if not folders:
            raise FileNotFoundError(f"no runs (folders seed-0, seed-1, …) in {str(folder)!r}")
        return cls(sorted(map(Run.load, folders), key=lambda run: run.seed))

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} runs", *(f"  {run!r}" for run in self)])


def _x(domain: Domain | Tensor) -> Tensor:
    return domain.x if isinstance(domain, Domain) else domain


def versions(device: torch.device) -> dict[str, str]:
    """What computed this: versions of the packages, the interpreter, and the processor or GPU."""
    import dakit

    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "dakit": dakit.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": machine,
    }
