"""Which entries are set beside each other, at which sizes, and what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from entries.case import Case


@dataclass(frozen=True)
class Section:
    """One task.

    Attributes
    ----------
    ours : str
        The entry that the others are compared with in time.
    exact : str
        The entry that they are compared with in value; ``ours`` where it was not run.
    tolerance, relative : float
        Largest difference of a value from the exact one: absolute, or in parts of it.
    wanted : tuple of float
        How many times as fast dakit should be, one for each case (the last for those that remain); 0 where nothing is.
    rival : str
        The entry that ``wanted`` is about; the best peer where it is empty.
    """

    title: str
    ours: str
    others: tuple[str, ...]
    cases: tuple[Case, ...]
    quick: tuple[Case, ...]
    exact: str = ""
    tolerance: float = 0.0
    relative: float = 0.0
    wanted: tuple[float, ...] = (0.0,)
    rival: str = ""
    repeats: int = 5

    def goal(self, case: Case) -> float:
        """What is wanted at the size of ``case``; 0 where nothing is."""
        sizes = [(c.n, c.d) for c in self.cases]
        if (case.n, case.d) not in sizes:
            return 0.0
        return self.wanted[min(sizes.index((case.n, case.d)), len(self.wanted) - 1)]


def _cases(*sizes: tuple[int, ...]) -> tuple[Case, ...]:
    return tuple(Case(*size) for size in sizes)


SECTIONS = {
    "mmd": Section(
        "Unbiased MMD², mean of five Gaussian kernels",
        "dakit_mmd",
        (
            "dakit_mmd_float64",
            "sklearn_mmd",
            "keops_mmd",
            "alibi_mmd",
            "torchdrift_mmd",
            "pytorch_adapt_mmd",
            "geomloss_mmd",
        ),
        _cases((1000, 64), (5000, 64), (10_000, 64), (1000, 512), (5000, 512), (20_000, 64), (100_000, 64)),
        _cases((500, 64), (1000, 64)),
        exact="dakit_mmd_float64",
        tolerance=1e-6,  # the kernels lie between 0 and 1
        wanted=(6.0, 20.0, 50.0, 2.5, 7.0, 0.0),
    ),
    "test": Section(
        "Permutation test with the MMD²",
        "dakit_mmd_test",
        ("matrix_test", "alibi_test", "alibi_keops_test", "torchdrift_test", "hyppo_test", "frouros_test"),
        _cases((1000, 64, 200), (5000, 64, 200), (1000, 512, 200)),
        _cases((300, 64, 50)),
        tolerance=1e-6,
        wanted=(100.0, 0.0),
    ),
    "sliced": Section(
        "Sliced Wasserstein distance",
        "dakit_sliced_wasserstein",
        ("pot_sliced", "pot_sliced_torch"),
        _cases((5000, 64, 100), (5000, 64, 1000)),
        _cases((1000, 64, 100)),
        relative=1e-4,
        wanted=(10.0,),
    ),
    "energy": Section(
        "Energy distance",
        "dakit_energy_distance",
        ("cdist_energy", "dcor_energy", "geomloss_energy"),
        _cases((1000, 64), (5000, 64)),
        _cases((1000, 64)),
        tolerance=1e-5,
        wanted=(50.0,),
        rival="dcor_energy",
    ),
    "frechet": Section(
        "Fréchet distance between Gaussians, covariances included",
        "dakit_frechet_distance",
        ("sqrtm_frechet", "pot_frechet", "covariances"),
        _cases((1000, 512), (5000, 512), (5000, 2048)),
        _cases((500, 128)),
        relative=1e-7,
        wanted=(5.0,),
        rival="sqrtm_frechet",
        repeats=3,
    ),
    "estimate": Section(
        "Estimates of the MMD² (draws: seeds)",
        "dakit_mmd",
        (
            "dakit_estimate_exact",
            "dakit_estimate_rff",
            "dakit_estimate_block",
            "dakit_estimate_subsample",
            "dakit_estimate_linear",
        ),
        _cases(
            (50_000, 64, 8),
        ),
        _cases((2000, 64, 4)),
    ),
}
