"""The training loop: steps, rows of history, snapshots, and the state that resuming needs."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import optimisers, store
from dakit.training.batches import Batches, Nothing, Several
from dakit.training.evaluate import eval_mode, outputs
from dakit.training.run import Run, Snapshot, State
from dakit.training.signs import columns


class NonFiniteLoss(FloatingPointError):
    """A loss became NaN or infinite.

    Attributes
    ----------
    step : int
        The step, counted from 1, at which it happened.
    term : str
        The loss term.
    run : Run
        The run so far, its history up to the last row before that step. Its weights are spoilt.
    """

    def __init__(self, step: int, term: str, value: float, run: Run, kept: str) -> None:
        advice = "lower lr, or look at the inputs and at lambda_"
        super().__init__(f"the loss term {term!r} became {value} at step {step}: {advice}{kept}")
        self.step, self.term, self.run = step, term, run

    def __reduce__(self):
        # To another process the words go without the run and its weights.
        return FloatingPointError, (str(self),)


class Loop:
    """One training in progress. ``run`` grows as :meth:`go` works.

    Parameters
    ----------
    run : Run
    source, target : Domain or None
        Several sources pooled into one; ``target`` without labels unless the method is a bound. None where the method
        has no use for it and none was given.
    batches : (Batches, Batches)
    factor : callable
        Progress to what the learning rate is multiplied by.
    device : torch.device
    scaler : bool
        Scale the loss, as fp16 gradients need.
    """

    def __init__(
        self,
        run: Run,
        source: Domain | None,
        target: Domain | None,
        batches: tuple[Batches | Several | Nothing, Batches | Nothing],
        *,
        factor: Callable[[float], float],
        device: torch.device,
        scaler: bool = False,
    ) -> None:
        c = run.config
        self.run, self.method, self.source, self.target = run, run.method, source, target
        self.batches, self.factor, self.device = batches, factor, device
        self.feeds = [feed for b in batches for feed in b.feeds]
        self.steps, self.lr = c["steps"], c["lr"]
        self.phases, self.optimisers = optimisers.players(
            self.method,
            name=c["optimizer"],
            lr=self.lr,
            momentum=c["momentum"],
            weight_decay=c["weight_decay"],
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaler)
        self.pending: list[tuple[tuple[str, ...], Tensor | list[float]]] = []
        self.kept = ""  # where the last checkpoint lies, for the words of an error
        self.pass_over_data = type(self.method).prepare is not Method.prepare
        count = min(c["snapshots"], self.steps + 1)
        moments = np.linspace(0, self.steps, count) if count > 1 else [self.steps] * count
        self.snapshot_steps = {round(float(s)) for s in moments}

    # -- going ----------------------------------------------------------------------------------------------

    def go(
        self,
        *,
        on_step: Callable[[Run], None] | None = None,
        on_snapshot: Callable[[Run], None] | None = None,
        checkpoint: str | None = None,
        checkpoint_every: int = 100,
    ) -> None:
        """Train to the last step, or to an interrupt, which leaves ``run.state`` to go on from."""
        run, began = self.run, time.perf_counter() - self.run.seconds
        mark = None
        with interrupts_between_steps() as pressed:
            try:
                if run.step == 0 and not run.rows and 0 in self.snapshot_steps:
                    self.record(on_snapshot)
                while run.step < self.steps and not pressed():
                    mark = self.mark()
                    self.advance()
                    mark = None
                    run.step += 1
                    run.seconds = time.perf_counter() - began
                    due = run.step % run.config["log_every"] == 0 or run.step == self.steps
                    if due or run.step in self.snapshot_steps:
                        self.record(on_snapshot)
                    if on_step is not None:
                        on_step(run)
                    if checkpoint is not None and run.step % checkpoint_every == 0 and run.step < self.steps:
                        self.settle()
                        run.state = self.state()
                        run.save(checkpoint)
                        run.state = None
                        self.kept = f"; the last good checkpoint is step {run.step} in {str(checkpoint)!r}"
            except KeyboardInterrupt:
                if mark is not None:  # raised inside a step: take its batches back, so that it is done again
                    self.rewind(mark)
            run.seconds = time.perf_counter() - began
        for _, parameters in self.phases:
            for p in parameters:
                p.requires_grad_(True)
        if not run.finished:
            self.settle()
            run.state = self.state()
        if checkpoint is not None:
            run.save(checkpoint)

    @property
    def progress(self) -> float:
        return self.run.step / (self.steps - 1) if self.steps > 1 else 0.0

    def advance(self) -> None:
        """One step of every player on one batch of each domain."""
        method, progress = self.method, self.progress
        lead = self.batches[0] if self.batches[0].feeds else self.batches[1]
        epoch_begins = lead.position in (0, lead.per_epoch)
        if self.pass_over_data and (epoch_begins or method.pass_due(progress)):
            method.prepare(self.source, self.target, progress)
            method.train()
        source, target = self.batches[0].next(), self.batches[1].next()
        rate = self.lr * self.factor(progress)
        names: tuple[str, ...] = ()
        values = []
        for phase, parameters in self.phases:
            if len(self.phases) > 1:
                self.take_turn(phase, parameters)
            terms = method.losses(source, target, progress)
            if self.run.step == 0:
                check_terms(method, terms)
            stacked = torch.stack(list(terms.values()))
            optimiser = self.optimisers[phase]
            for group in optimiser.param_groups:
                group["lr"] = rate
            for p in parameters:  # zero_grad without its records for the profiler, which small steps feel
                p.grad = None
            self.scaler.scale(stacked.sum()).backward()
            self.scaler.step(optimiser)
            self.scaler.update()  # after every turn: a phase may come several times, and its optimiser with it
            names += tuple(terms) if len(self.phases) == 1 else tuple(f"{phase}.{t}" for t in terms)
            values.append(stacked.detach())
        self.pending.append((names, values[0] if len(values) == 1 else torch.cat(values)))

    def take_turn(self, phase: str, parameters: list) -> None:
        """Let only the phase's parameters move."""
        self.method.phase = phase
        mine = {id(p) for p in parameters}
        for _, others in self.phases:
            for p in others:
                p.requires_grad_(id(p) in mine)

    # -- looking --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring the pending losses to the host, one transfer for all, and stop at the first that is not finite."""
        waiting = [i for i, (_, v) in enumerate(self.pending) if isinstance(v, Tensor)]
        if not waiting:
            return
        flat = torch.cat([self.pending[i][1].float() for i in waiting]).tolist()
        first = self.run.step - len(self.pending) + 1
        for i in waiting:
            names, _ = self.pending[i]
            values, flat = flat[: len(names)], flat[len(names) :]
            self.pending[i] = names, values
            for name, value in zip(names, values):
                if not math.isfinite(value):
                    raise NonFiniteLoss(first + i, name, value, self.run, self.kept)

    def record(self, on_snapshot: Callable[[Run], None] | None) -> None:
        """Add a row to the history, and a snapshot where one is due."""
        self.settle()
        run = self.run
        at = max(0, run.step - 1) / (self.steps - 1) if self.steps > 1 else 0.0
        row = {"step": run.step, "progress": run.step / self.steps, "lr": self.lr * self.factor(at)}
        terms: dict[str, list[float]] = {}
        for names, values in self.pending:
            for name, value in zip(names, values):
                terms.setdefault(name, []).append(value)
        row |= {name: math.fsum(values) / len(values) for name, values in terms.items()}
        self.pending.clear()
        if run.step in self.snapshot_steps:
            snapshot = self.snapshot()
            run.snapshots.append(snapshot)
            row |= self.look(snapshot)
        run.rows.append(row)
        if run.step in self.snapshot_steps and on_snapshot is not None:
            on_snapshot(run)

    def snapshot(self) -> Snapshot:
        """Features and logits of the followed examples, now."""
        followed = {
            "source": (self.source, self.run.source_index),
            "target": (self.target, self.run.target_index),
        }
        seen = {
            side: outputs(self.method, domain.x[torch.from_numpy(index)], side=side)
            for side, (domain, index) in followed.items()
            if domain is not None
        }
        nothing = tuple(z[:0] for z in next(iter(seen.values())))
        (fs, ls), (ft, lt) = seen.get("source", nothing), seen.get("target", nothing)
        return Snapshot(self.run.step, *(p.numpy() for p in (fs, ft, ls, lt)))

    def look(self, snapshot: Snapshot) -> dict[str, float]:
        """Source accuracy, health columns, and what the method itself has to say."""
        row = {}
        if self.source is not None:
            labels = self.source.y[torch.from_numpy(self.run.source_index)].cpu().numpy()
            row["source_accuracy"] = float(np.mean(snapshot.source_logits.argmax(axis=1) == labels))
        row |= columns(snapshot)
        if self.source is None or self.target is None:
            return row  # diagnostics compare the two domains
        dtype = next((p.dtype for p in self.method.head.parameters()), torch.float32)
        features = (
            torch.from_numpy(f).to(self.device, dtype)
            for f in (snapshot.source_features, snapshot.target_features)
        )
        with torch.no_grad(), eval_mode(self.method):
            row |= {k: float(v) for k, v in self.method.diagnostics(*features).items()}
        return row

    # -- resuming -------------------------------------------------------------------------------------------

    def mark(self) -> tuple:
        return [b.mark() for b in self.feeds], torch.get_rng_state()

    def rewind(self, mark: tuple) -> None:
        for batches, at in zip(self.feeds, mark[0]):
            batches.rewind(at)
        torch.set_rng_state(mark[1])

    def state(self) -> State:
        """All that the next step depends on beside the weights, copied."""
        tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        values: dict = {"pending": self.pending.copy(), "scaler": self.scaler.state_dict(), "batches": []}
        tensors |= {f"method.{k}": v.detach().cpu().clone() for k, v in self.method.state_dict().items()}
        for i, b in enumerate(self.feeds):
            tensors[f"batches.{i}.generator"], tensors[f"batches.{i}.order"], position, epoch = b.mark()
            values["batches"].append([position, epoch])
        values["optimisers"] = {}
        for name, optimiser in self.optimisers.items():
            moving, values["optimisers"][name] = optimisers.pack(optimiser)
            tensors |= {f"optimiser.{name}.{k}": v.detach().cpu().clone() for k, v in moving.items()}
        return State(tensors, values)

    def restore(self, state: State) -> None:
        """Go to where :meth:`state` was taken."""
        tensors, values = state.tensors, state.values
        store.load_weights(self.method, store.under(tensors, "method."))
        for i, (b, (position, epoch)) in enumerate(zip(self.feeds, values["batches"])):
            b.rewind((tensors[f"batches.{i}.generator"], tensors[f"batches.{i}.order"], position, epoch))
        for name, optimiser in self.optimisers.items():
            moving = store.under(tensors, f"optimiser.{name}.")
            optimisers.unpack(optimiser, moving, values["optimisers"][name])
        self.scaler.load_state_dict(values["scaler"]) if values["scaler"] else None
        self.pending = [(tuple(names), list(numbers)) for names, numbers in values["pending"]]
        torch.set_rng_state(tensors["rng"])
        if "rng_cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["rng_cuda"], self.device)


def check_terms(method: Method, terms: dict[str, Tensor]) -> None:
    """Raise where ``losses`` returned something that cannot be minimised."""
    name = type(method).__name__
    if not isinstance(terms, dict) or not terms:
        raise TypeError(
            f"{name}.losses must return a dictionary of named loss terms, got {type(terms).__name__}"
        )
    for key, value in terms.items():
        if not isinstance(value, Tensor) or value.ndim:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name}.losses: the term {key!r} must be a scalar tensor, got {got}")
    if not any(v.requires_grad for v in terms.values()):
        raise ValueError(f"{name}.losses: no term depends on a parameter that is trained")


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], bool]]:
    """Hold a keyboard interrupt back until the step at hand is done; a second one goes through at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set  # only the main thread gets interrupts
        return

    def remember(number, frame) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
