"""Sliced Wasserstein, energy and Fréchet distances by other libraries."""

from __future__ import annotations

from entries.case import Case, entry


def _directions(case: Case):
    """The directions that dakit draws at seed 0, (d, projections)."""
    import numpy as np

    drawn = np.random.default_rng(0).standard_normal((case.draws, case.d))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).T


@entry(library="POT", seconds=lambda c: 6e-7 * c.n * c.draws, note="given dakit's directions")
def pot_sliced(case: Case):
    import ot

    xs, xt = case.arrays()
    directions = _directions(case).astype(xs.dtype)
    return lambda: ot.sliced_wasserstein_distance(xs, xt, projections=directions)


@entry(
    library="POT",
    seconds=lambda c: 8e-7 * c.n * c.draws,
    on_device=True,
    note="torch backend, given dakit's directions",
)
def pot_sliced_torch(case: Case):
    import ot
    import torch

    xs, xt = case.tensors()
    directions = torch.from_numpy(_directions(case)).to(xs)
    return lambda: float(ot.sliced_wasserstein_distance(xs, xt, projections=directions))


@entry(library="dcor", seconds=lambda c: 9e-7 * c.n**2, mib=lambda c: 2.6e-4 * c.n**2)
def dcor_energy(case: Case):
    import dcor

    xs, xt = case.arrays()
    return lambda: float(dcor.energy_distance(xs, xt))


@entry(
    library="geomloss",
    seconds=lambda c: 5e-8 * c.n**2,
    mib=lambda c: 2e-5 * c.n**2,
    on_device=True,
    note="half of the energy distance, doubled in the comparison",
    expected=lambda c, value: value / 2,
)
def geomloss_energy(case: Case):
    import torch
    from geomloss import SamplesLoss

    xs, xt = case.tensors()
    loss = SamplesLoss("energy", backend="tensorized")

    def run():
        with torch.no_grad():
            return float(loss(xs, xt))

    return run


@entry(library="torch.cdist, three times", peer=False, on_device=True, mib=lambda c: 4e-6 * c.n**2)
def cdist_energy(case: Case):
    import torch

    xs, xt = case.tensors()
    return lambda: float(
        2 * torch.cdist(xs, xt).mean(dtype=torch.float64)
        - torch.cdist(xs, xs).mean(dtype=torch.float64)
        - torch.cdist(xt, xt).mean(dtype=torch.float64)
    )


@entry(library="scipy", seconds=lambda c: 2e-9 * c.d**3)
def sqrtm_frechet(case: Case):
    """The usual formula, with scipy's matrix square root."""
    import numpy as np
    from scipy.linalg import sqrtm

    xs, xt = case.arrays()

    def run():
        cs, ct = np.cov(xs.T), np.cov(xt.T)
        gap = np.square(xs.mean(0, dtype="f8") - xt.mean(0, dtype="f8")).sum()
        return gap + np.trace(cs + ct - 2 * sqrtm(cs @ ct).real)

    return run


@entry(library="POT", seconds=lambda c: 1e-9 * c.d**3)
def pot_frechet(case: Case):
    """Its roots of matrices come from eigenvectors."""
    import numpy as np
    from ot.gaussian import bures_wasserstein_distance

    xs, xt = case.arrays()

    def run():
        means = (x.mean(0, dtype="f8") for x in (xs, xt))
        return float(bures_wasserstein_distance(*means, np.cov(xs.T), np.cov(xt.T))) ** 2

    return run


@entry(
    library="numpy", peer=False, note="the two covariances alone, which every form has to make", expected=None
)
def covariances(case: Case):
    import numpy as np

    xs, xt = case.arrays()
    return lambda: float(np.cov(xs.T).trace() + np.cov(xt.T).trace())
