"""A task of a certain size, and the data that every entry of it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MULTIPLES = (0.25, 0.5, 1, 2, 4)


@dataclass(frozen=True)
class Case:
    """n examples of d features in each sample.

    Attributes
    ----------
    draws : int
        Permutations, projections or seeds, where the task has any.
    """

    n: int
    d: int
    draws: int = 0
    device: str = "cpu"

    def __str__(self) -> str:
        return f"n = m = {self.n:,}, d = {self.d}"

    def arrays(self) -> tuple[Any, Any]:
        """Two float32 samples that differ a little."""
        import numpy as np

        rng = np.random.default_rng(0)
        xs = rng.standard_normal((self.n, self.d), dtype=np.float32)
        xt = rng.standard_normal((self.n, self.d), dtype=np.float32)
        xt *= np.float32(1.02)
        xt += np.float32(0.02)
        return xs, xt

    def tensors(self) -> tuple[Any, Any]:
        """The same samples on the device."""
        import torch

        return tuple(torch.from_numpy(x).to(self.device) for x in self.arrays())

    @property
    def bandwidths(self) -> list[float]:
        """Scales b of exp(-|x - y|²/b); 2 d is the expected squared distance."""
        return [2 * self.d * r for r in MULTIPLES]


@dataclass(frozen=True)
class Entry:
    """A library at a task.

    Attributes
    ----------
    make
        From a case to the function of no arguments that does the work and returns its number.
    library
        Whose work it is, "" for dakit itself.
    seconds, mib
        From a case to what it will roughly take on one core, by which hopelessly long runs are skipped.
    on_device
        Whether it also runs on a GPU.
    note
        Where its definition differs from dakit's.
    expected
        From a case to the value that this definition should give where dakit's gives ``v``: None where the two
        cannot be compared.
    fewer_draws
        (few, more): it is measured at these numbers of draws and the line through them is read off at the case's.
    peer
        Whether it counts as another library in the ratio; False for a plain form of our own.
    """

    make: Callable[[Case], Callable[[], float]]
    library: str = ""
    seconds: Callable[[Case], float] = lambda case: 0.0
    mib: Callable[[Case], float] = lambda case: 0.0
    on_device: bool = False
    note: str = ""
    expected: Callable[[Case, float], float] | None = lambda case, value: value
    fewer_draws: tuple[int, int] | None = None
    peer: bool = True


ENTRIES: dict[str, Entry] = {}


def entry(**about: Any) -> Callable[[Callable], Callable]:
    """Register a function under its name."""

    def register(make: Callable) -> Callable:
        ENTRIES[make.__name__] = Entry(make, **about)
        return make

    return register
