"""Unbiased MMD² with the mean of five Gaussian kernels, by other libraries."""

from __future__ import annotations

from entries.case import Case, entry


@entry(
    library="scikit-learn", seconds=lambda c: 1.5e-7 * c.n**2 * (1 + c.d / 500), mib=lambda c: 1.2e-5 * c.n**2
)
def sklearn_mmd(case: Case):
    """scikit-learn's distances once per pair of samples, then one exponential per bandwidth."""
    import numpy as np
    from sklearn.metrics.pairwise import euclidean_distances

    xs, xt = case.arrays()

    def mean(a, b):
        distances = euclidean_distances(a, b, squared=True)
        total = 0.0
        for s in case.bandwidths:
            k = np.exp(distances / np.float32(-s))
            if a is b:
                np.fill_diagonal(k, 0)
            total += k.sum(dtype=np.float64)
        return total / len(case.bandwidths) / (len(a) * (len(b) - (a is b)))

    return lambda: mean(xs, xs) + mean(xt, xt) - 2 * mean(xs, xt)


@entry(
    library="pykeops",
    seconds=lambda c: (2.5e-9 if c.d <= 100 else 1e-8) * c.n**2 * c.d,
    on_device=True,
    note="formula written by hand",
)
def keops_mmd(case: Case):
    from pykeops.torch import LazyTensor

    xs, xt = case.tensors()
    scales = case.bandwidths

    def total(a, b):
        distances = ((LazyTensor(a[:, None, :]) - LazyTensor(b[None, :, :])) ** 2).sum(-1)
        k = sum((distances * (-1 / s)).exp() for s in scales)
        return float(k.sum(1).double().sum()) / len(scales)

    def run():
        n, m = len(xs), len(xt)
        within = (total(xs, xs) - n) / (n * (n - 1)) + (total(xt, xt) - m) / (m * (m - 1))
        return within - 2 * total(xs, xt) / (n * m)

    return run


def _sigmas(case: Case):
    """Standard deviations s of exp(-D/(2 s²)) for the case's bandwidths."""
    return [(b / 2) ** 0.5 for b in case.bandwidths]


@entry(library="alibi-detect", seconds=lambda c: 1.6e-7 * c.n**2, mib=lambda c: 5e-5 * c.n**2, on_device=True)
def alibi_mmd(case: Case):
    import torch
    from alibi_detect.utils.pytorch import GaussianRBF, mmd2

    xs, xt = case.tensors()
    kernel = GaussianRBF(sigma=torch.tensor(_sigmas(case), device=case.device))

    def run():
        with torch.no_grad():
            return float(mmd2(xs, xt, kernel))

    return run


@entry(
    library="torchdrift",
    seconds=lambda c: 2.7e-7 * c.n**2,
    mib=lambda c: 6.2e-5 * c.n**2,
    on_device=True,
    note="keeps the diagonal: 1/(n-1) + 1/(m-1) too high, which is subtracted in the comparison",
    expected=lambda c, value: value + 2 / (c.n - 1),
)
def torchdrift_mmd(case: Case):
    from torchdrift.detectors.mmd import kernel_mmd

    xs, xt = case.tensors()
    return lambda: float(kernel_mmd(xs, xt, n_perm=None, kernel=five_kernels(case)))


def five_kernels(case: Case):
    """A kernel of a matrix of distances (not squared), which is what TorchDrift hands it."""
    import torch

    return lambda distances: sum(torch.exp(distances**2 / -s) for s in case.bandwidths) / len(case.bandwidths)


@entry(
    library="pytorch-adapt", seconds=lambda c: 1.5e-7 * c.n**2, mib=lambda c: 5.8e-5 * c.n**2, on_device=True
)
def pytorch_adapt_mmd(case: Case):
    import torch
    from pytorch_adapt.layers import MMDLoss

    xs, xt = case.tensors()
    # The scales multiply -1/bandwidth.
    scales = torch.tensor([1 / b for b in case.bandwidths])
    loss = MMDLoss(kernel_scales=scales, mmd_type="quadratic", bandwidth=1.0)

    def run():
        with torch.no_grad():
            return float(loss(xs, xt))

    return run


@entry(
    library="geomloss",
    seconds=lambda c: 1.5e-7 * c.n**2,
    mib=lambda c: 5e-5 * c.n**2,
    on_device=True,
    note="half of the biased MMD²",
    expected=None,
)
def geomloss_mmd(case: Case):
    import torch
    from geomloss import SamplesLoss

    xs, xt = case.tensors()
    losses = [SamplesLoss("gaussian", blur=s, backend="tensorized") for s in _sigmas(case)]

    def run():
        with torch.no_grad():
            return float(sum(loss(xs, xt) for loss in losses)) / len(losses)

    return run
