"""Several runs of one method in one vectorised pass.

The weights of K methods are stacked, and ``torch.func.vmap`` computes the losses of all of them at once. The losses of
different runs share no weight, so the gradient of their sum holds each run's own gradient, and an optimiser that works
element by element (SGD, Adam) moves every run as if it were alone. Each run keeps its own sequence of batches: what
comes out equals the single runs up to rounding.

It pays where a step costs more in calls than in arithmetic: small networks on flat features. Convolutions are slower
this way on a CPU than one after another.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from dakit.methods.method import Batch, Method
from dakit.training import optimisers
from dakit.training.batches import Batches, Nothing, Several
from dakit.training.loop import Loop, check_terms, interrupts_between_steps
from dakit.training.run import Run

log = logging.getLogger("dakit")

TOLERANCE = 1e-4  # relative difference of gradients above which the pass is not trusted


class CannotTogether(ValueError):
    """Why runs cannot share one vectorised pass."""


class Together:
    """K trainings in one pass.

    Parameters
    ----------
    loops : sequence of Loop
        One a run, of one method and one configuration, none of them begun. They differ in seed, or in one
        hyper-parameter.
    varied : str, optional
        The hyper-parameter in which they differ.

    Raises
    ------
    CannotTogether
        If the method, the precision or the batches do not allow it. The loops are then as they were.
    """

    def __init__(self, loops: Sequence[Loop], varied: str | None = None) -> None:
        self.loops = list(loops)
        methods = [loop.method for loop in self.loops]
        self._check(methods)
        self.device = self.loops[0].device
        self.template = _Terms(copy.deepcopy(methods[0]), varied)
        self.varied = None
        if varied is not None:
            values = [getattr(m, varied) for m in methods]
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
                raise CannotTogether(f"{varied} is no number")
            dtype = next(methods[0].parameters()).dtype
            self.varied = torch.tensor([float(v) for v in values], device=self.device, dtype=dtype)
        self.buffers = {f"method.{k}": v for k, v in stack_module_state(methods)[1].items()}
        self.feeds = [_Stacked([loop.batches[i] for loop in self.loops]) for i in range(2)]
        stacked = stack_module_state(methods)[0]
        self.parameters = {f"method.{k}": v.detach() for k, v in stacked.items()}
        self.moving = [f"method.{k}" for k, p in methods[0].named_parameters() if p.requires_grad]
        for key in self.moving:
            self.parameters[key].requires_grad_(True)
        self._try()
        c = self.loops[0].run.config
        self.optimiser = optimisers.build(
            c["optimizer"],
            [self.parameters[key] for key in self.moving],
            lr=c["lr"],
            momentum=c["momentum"],
            weight_decay=c["weight_decay"],
        )
        for k, method in enumerate(methods):  # the methods look into the stack: what it learns, they have
            for key, p in method.named_parameters():
                p.data = self.parameters[f"method.{key}"].data[k]

    # -- whether it can be -----------------------------------------------------------------------------------

    def _check(self, methods: list[Method]) -> None:
        first, config = methods[0], self.loops[0].run.config
        name = type(first).__name__
        shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in methods]
        if any(s != shapes[0] for s in shapes):
            raise CannotTogether("their weights differ in shape")
        if type(first).phases is not Method.phases:
            raise CannotTogether(f"{name} has several players")
        if type(first).prepare is not Method.prepare:
            raise CannotTogether(f"{name} makes a pass over the data of its own")
        if len({tuple(loop.factor(i / 100) for i in range(101)) for loop in self.loops}) > 1:
            raise CannotTogether("their learning rates follow different schedules")
        if config["precision"] != "float32":
            raise CannotTogether(f"precision {config['precision']} is not float32")
        for m in first.modules():
            if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats:
                raise CannotTogether(f"{type(m).__name__} keeps running statistics")
            if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0:
                raise CannotTogether("dropout draws random numbers")
        if config["augment"] is not None:
            raise CannotTogether("augmentation draws random numbers")
        if any(not feed.resident for loop in self.loops for feed in loop.feeds):
            raise CannotTogether("the data stream from outside the device")

    def _try(self) -> None:
        """Compare gradients of the pass with those of the single methods, early, in the middle and at the end."""
        samples = [[b.sample() for b in loop.batches] for loop in self.loops]
        stacked = [_stack([pair[i] for pair in samples]) for i in range(2)]
        attributes, buffers = dict(self.template.method.__dict__), _copies(self.buffers)
        try:
            for progress in (0.0, 0.5, 1.0):
                terms = self.terms(*stacked, progress)
                check_terms(self.loops[0].method, {k: v.sum() for k, v in terms.items()})
                leaves = [self.parameters[key] for key in self.moving]
                total = torch.stack(list(terms.values())).sum()
                ours = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
                for k in (0, len(self.loops) - 1):
                    single = copy.deepcopy(self.loops[k].method)
                    before, plain = _copies(dict(single.named_buffers())), _plain(single)
                    total = sum(single.losses(*samples[k], progress).values())
                    if any(not torch.equal(v, before[key]) for key, v in single.named_buffers()):
                        raise CannotTogether(f"{type(single).__name__} changes its buffers as it learns")
                    if _plain(single) != plain:
                        raise CannotTogether(f"{type(single).__name__} changes its attributes as it learns")
                    own = dict(single.named_parameters())
                    mine = [own[key.removeprefix("method.")] for key in self.moving]
                    theirs = torch.autograd.grad(total, mine, allow_unused=True, materialize_grads=True)
                    for a, b in zip(ours, theirs):
                        if not torch.allclose(
                            a[k], b, rtol=TOLERANCE, atol=TOLERANCE * float(b.abs().max() + 1e-6)
                        ):
                            raise CannotTogether("the gradients of the pass differ from those of single runs")
        except CannotTogether:
            raise
        except Exception as error:  # vmap has many ways to say no
            reason = str(error).strip().split("\n")[0]
            raise CannotTogether(f"its losses cannot be vectorised ({reason[:160]})") from error
        finally:  # what a loss writes into its method must not outlive the trial
            self.template.method.__dict__.update(attributes)
            self.buffers.update(buffers)

    # -- going -----------------------------------------------------------------------------------------------

    def terms(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        """Every named loss, one value a run, (K,)."""

        def one(parameters, buffers, value, source, target):
            batches = tuple(
                None if b is None else Batch(*b, *rest) for b, rest in zip((source, target), fixed)
            )
            return functional_call(self.template, (parameters, buffers), (*batches, progress, value))

        pairs = [None if b is None else (b.x, b.y, b.index) for b in (source, target)]
        fixed = [() if b is None else (b.domain, b.group, b.sizes) for b in (source, target)]
        dims = [None if p is None else tuple(None if t is None else 0 for t in p) for p in pairs]
        in_dims = (0, 0, None if self.varied is None else 0, *dims)
        return vmap(one, in_dims=in_dims, randomness="error")(
            self.parameters, self.buffers, self.varied, *pairs
        )

    def advance(self) -> None:
        """One step of every run."""
        lead = self.loops[0]
        progress = lead.progress
        terms = self.terms(*(feed.next() for feed in self.feeds), progress)
        stacked = torch.stack(list(terms.values()))
        for group in self.optimiser.param_groups:
            group["lr"] = lead.lr * lead.factor(progress)
        self.optimiser.zero_grad(set_to_none=True)
        stacked.sum().backward()
        self.optimiser.step()
        names = tuple(terms)
        for k, loop in enumerate(self.loops):
            loop.pending.append((names, stacked.detach()[:, k]))
            loop.run.step += 1

    def go(
        self,
        *,
        on_step: Callable[[Run], None],
        on_snapshot: Callable[[Run], None] | None,
        checkpoints: Sequence[Path | None],
        checkpoint_every: int,
    ) -> None:
        """Train all runs to the last step, or to an interrupt, which leaves each a state to go on from."""
        lead, began = self.loops[0], time.perf_counter()
        runs = [loop.run for loop in self.loops]
        with interrupts_between_steps() as pressed:
            try:
                if 0 in lead.snapshot_steps:
                    self._record(on_snapshot)
                while lead.run.step < lead.steps and not pressed():
                    self.advance()
                    for run in runs:  # a run's share of the pass
                        run.seconds = (time.perf_counter() - began) / len(runs)
                    step = lead.run.step
                    due = step % lead.run.config["log_every"] == 0 or step == lead.steps
                    if due or step in lead.snapshot_steps:
                        self._record(on_snapshot)
                    on_step(lead.run)
                    if checkpoints[0] is not None and step % checkpoint_every == 0 and step < lead.steps:
                        self._save(checkpoints)
            except KeyboardInterrupt:  # from a callback: every run has done the same number of steps
                pass
        self._detach()
        for loop, place in zip(self.loops, checkpoints):
            if not loop.run.finished:
                loop.settle()
                loop.run.state = loop.state()
            if place is not None:
                loop.run.save(place)

    def _record(self, on_snapshot: Callable[[Run], None] | None) -> None:
        for loop in self.loops:
            loop.record(on_snapshot)

    def _save(self, checkpoints: Sequence[Path | None]) -> None:
        self._hand_over()
        for loop, place in zip(self.loops, checkpoints):
            loop.settle()
            loop.run.state = loop.state()
            loop.run.save(place)
            loop.run.state = None
            loop.kept = f"; the last good checkpoint is step {loop.run.step} in {str(place)!r}"

    def _hand_over(self) -> None:
        """Give each loop the state that its own optimiser would have, and its place in the data."""
        for k, loop in enumerate(self.loops):
            own = dict(loop.method.named_parameters())
            (single,) = loop.optimisers.values()
            for key in self.moving:
                stack = self.parameters[key]
                single.state[own[key.removeprefix("method.")]] = {
                    name: value[k].clone()
                    if isinstance(value, Tensor) and value.shape == stack.shape
                    else _copy(value)
                    for name, value in self.optimiser.state[stack].items()
                }
        for feed in self.feeds:
            feed.hand_over()

    def _detach(self) -> None:
        """Let every method own its weights again."""
        self._hand_over()
        for loop in self.loops:
            for p in loop.method.parameters():
                p.data = p.data.clone()


class _Terms(nn.Module):
    """``losses`` as a module's forward, so that weights can be passed in."""

    def __init__(self, method: Method, varied: str | None) -> None:
        super().__init__()
        self.method, self.varied = method, varied

    def forward(self, source, target, progress: float, value: Tensor | None) -> dict[str, Tensor]:
        if self.varied is not None:
            setattr(self.method, self.varied, value)
        return self.method.losses(source, target, progress)


class _Stacked:
    """Batches of K runs as one, (K, b, ...): every run keeps its own permutations, one gather serves all."""

    def __init__(self, feeds: Sequence[Batches | Several | Nothing]) -> None:
        self.whole = feeds[0]
        self.rows = [
            list(column) for column in zip(*(f.feeds for f in feeds))
        ]  # one list a domain, K feeds in it
        self.orders: list[Tensor | None] = [None] * len(self.rows)

    def next(self) -> Batch | None:
        if not self.rows:
            return None
        parts = [self._part(i, feeds) for i, feeds in enumerate(self.rows)]
        role = self.rows[0][0].role
        if len(parts) == 1:
            return Batch(*parts[0], role)
        x, y, index = (torch.cat(column, dim=1) for column in zip(*parts))
        return Batch(x, y, index + self.whole.offset, role, self.whole.group, self.whole.sizes)

    def _part(self, i: int, feeds: list[Batches]) -> tuple[Tensor, Tensor | None, Tensor]:
        first = feeds[0]
        if first.position == first.per_epoch or self.orders[i] is None:
            drawn = []
            for feed in feeds:  # exactly what Batches.next does at the start of an epoch
                feed.epoch += len(feed.order) > 0
                feed.order = torch.randperm(len(feed.x), generator=feed.generator)
                feed.position = 0
                drawn.append(feed.order)
            self.orders[i] = torch.stack(drawn).to(first.device)
        b = first.batch_size
        index = self.orders[i][:, first.position * b : (first.position + 1) * b]
        for feed in feeds:
            feed.position += 1
        flat = index.reshape(-1)
        x = first.x.index_select(0, flat).unflatten(0, index.shape)
        y = None if first.y is None else first.y.index_select(0, flat).view(index.shape)
        return x, y, index

    def hand_over(self) -> None:
        for feeds in self.rows:
            for feed in feeds:
                feed._there = None


def _stack(batches: list[Batch | None]) -> Batch | None:
    first = batches[0]
    if first is None:
        return None
    x, index = (torch.stack([getattr(b, key) for b in batches]) for key in ("x", "index"))
    y = None if first.y is None else torch.stack([b.y for b in batches])
    return Batch(x, y, index, first.domain, first.group, first.sizes)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in tensors.items()}


def _plain(method: Method) -> dict:
    """Its attributes that are numbers, texts or switches."""
    return {
        k: v for k, v in vars(method).items() if isinstance(v, (bool, int, float, str, tuple, type(None)))
    }


def _copy(value):
    return value.clone() if isinstance(value, Tensor) else value
