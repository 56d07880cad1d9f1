"""Batches of one domain, or of several, without end.

Small domains live on the device as tensors, and a batch is an ``index_select``; larger ones stay where they are and
stream through a ``DataLoader``. Both hand out the same batches in the same order: one permutation an epoch from the
domain's own generator.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from dakit.training.augment import Augment


class Batches:
    """Endless batches of a domain.

    Parameters
    ----------
    domain : Domain
    batch_size : int
        Clipped to the size of the domain.
    role : int
        0 for the source, 1 for the target: the ``domain`` of the batches.
    seed : int
        Of the generator that shuffles and augments.
    device : torch.device
    augment : callable or None
        ``(x, generator) -> x``.
    resident_bytes : int
        Largest ``x`` that is put on the device; anything larger streams.

    Notes
    -----
    An epoch holds ``len(domain) // batch_size`` batches of one size; the few examples left over wait for the next
    permutation.
    """

    def __init__(
        self,
        domain: Domain,
        batch_size: int,
        *,
        role: int,
        seed: int,
        device: torch.device,
        augment: Augment | None = None,
        resident_bytes: int = 2**31,
    ) -> None:
        self.batch_size = min(batch_size, len(domain))
        self.per_epoch = len(domain) // self.batch_size
        self.role, self.device, self.augment = role, device, augment
        self.channels_last = False
        self.generator = torch.Generator().manual_seed(seed)
        self.resident = domain.x.nbytes <= resident_bytes
        self.y = None if domain.y is None else domain.y.to(device)
        self.x = domain.x.to(device).contiguous() if self.resident else domain.x
        self.epoch = 0
        self.position = 0  # batches of this epoch already handed out
        self.order = torch.empty(0, dtype=torch.int64)
        self._there: Tensor | None = None  # the order on the device
        self._stream: Iterator[Tensor] | None = None

    def to_channels_last(self) -> None:
        """Hand out pictures in channels-last memory order from now on."""
        self.channels_last = True
        if self.resident:  # stored like this, a gathered batch needs no copy to be channels-last
            self.x = self.x.permute(0, 2, 3, 1).contiguous()

    def next(self) -> Batch:
        """The next batch; a new permutation is drawn when the last one is used up."""
        if self.position == self.per_epoch or len(self.order) == 0:
            self.epoch += len(self.order) > 0
            self.order = torch.randperm(len(self.x), generator=self.generator)
            self.position, self._stream, self._there = 0, None, None
        if self._there is None:
            self._there = self.order.to(self.device)  # one copy an epoch, not one a step
        b = self.batch_size
        index = self._there[self.position * b : (self.position + 1) * b]
        x = self._resident(index) if self.resident else self._streamed()
        self.position += 1
        if self.augment is not None:
            x = self.augment(x, self.generator)
        return Batch(x, None if self.y is None else self.y.index_select(0, index), index, self.role)

    def _resident(self, index: Tensor) -> Tensor:
        x = self.x.index_select(0, index)
        return x.permute(0, 3, 1, 2) if self.channels_last else x

    def _streamed(self) -> Tensor:
        if self._stream is None:
            self._stream = iter(_loader(self.x, self.order, self.batch_size, self.position, self.device))
        x = next(self._stream).to(self.device, non_blocking=True)
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x

    def sample(self) -> Batch:
        """The first rows as a batch, without touching the generator; for trying out a step."""
        index = torch.arange(self.batch_size, device=self.device)
        x = self._resident(index) if self.resident else self.x[: self.batch_size].to(self.device)
        return Batch(x, None if self.y is None else self.y[: self.batch_size], index, self.role)

    # -- what resuming needs --------------------------------------------------------------------------------

    @property
    def feeds(self) -> list["Batches"]:
        """What :meth:`mark` and :meth:`rewind` have to be asked of."""
        return [self]

    def mark(self) -> tuple[Tensor, Tensor, int, int]:
        """Where in the sequence of batches this stands."""
        return self.generator.get_state(), self.order, self.position, self.epoch

    def rewind(self, mark: tuple[Tensor, Tensor, int, int]) -> None:
        """Go (back) to where :meth:`mark` was taken."""
        state, self.order, self.position, self.epoch = mark
        self.generator.set_state(state)
        self._there, self._stream = None, None


class Nothing:
    """Stands for the batches of a domain that a method does not use."""

    batch_size, per_epoch, position = 0, 0, 0
    feeds: Sequence[Batches] = ()

    def next(self) -> None:
        return None

    def sample(self) -> None:
        return None

    def to_channels_last(self) -> None:
        pass


class Several:
    """Batches of several source domains, joined: ``batch_size`` examples of each, in the order of the domains.

    Parameters
    ----------
    feeds : sequence of Batches
        One a domain, all on one device.
    sizes : sequence of int
        Lengths of the domains: the ``index`` of a batch counts rows of the pooled domain.
    """

    def __init__(self, feeds: Sequence[Batches], sizes: Sequence[int]) -> None:
        self.feeds = list(feeds)
        first = self.feeds[0]
        self.sizes = tuple(b.batch_size for b in self.feeds)
        self.batch_size = sum(self.sizes)
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        repeats = torch.tensor(self.sizes)
        self.group = torch.arange(len(self.feeds)).repeat_interleave(repeats).to(first.device)
        self.offset = torch.tensor(starts).repeat_interleave(repeats).to(first.device)
        # The largest domain decides what an epoch is; the smaller ones begin anew in the meantime.
        self.lead = max(self.feeds, key=lambda b: b.per_epoch)

    @property
    def per_epoch(self) -> int:
        return self.lead.per_epoch

    @property
    def position(self) -> int:
        return self.lead.position

    def to_channels_last(self) -> None:
        for b in self.feeds:
            b.to_channels_last()

    def next(self) -> Batch:
        """The next batch of every domain."""
        return self._joined([b.next() for b in self.feeds])

    def sample(self) -> Batch:
        """The first rows of every domain, without touching a generator."""
        return self._joined([b.sample() for b in self.feeds])

    def _joined(self, parts: list[Batch]) -> Batch:
        x, y, index = (torch.cat([getattr(p, key) for p in parts]) for key in ("x", "y", "index"))
        return Batch(x, y, index + self.offset, parts[0].domain, self.group, self.sizes)


class _Rows(torch.utils.data.Dataset):
    """Rows of a tensor, fetched a whole batch at a time."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]

    def __getitems__(self, index: list[int]) -> Tensor:
        return self.x[torch.as_tensor(index)]


def _loader(x: Tensor, order: Tensor, batch_size: int, start: int, device: torch.device) -> Any:
    rows = order[start * batch_size :]
    chunks = [c.tolist() for c in rows.split(batch_size) if len(c) == batch_size]
    return torch.utils.data.DataLoader(
        _Rows(x), batch_sampler=chunks, collate_fn=lambda batch: batch, pin_memory=device.type == "cuda"
    )
