"""Permutation tests with the MMD, by other libraries."""

from __future__ import annotations

from entries.case import Case, entry
from entries.mmds import _sigmas, five_kernels


@entry(seconds=lambda c: 1e-7 * c.n**2, mib=lambda c: 6e-5 * c.n**2, peer=False, library="numpy, untiled")
def matrix_test(case: Case):
    """The kernel matrix in memory and its product with the labels of all permutations: dakit's idea, untiled."""
    import numpy as np
    from sklearn.metrics.pairwise import euclidean_distances

    xs, xt = case.arrays()
    n = case.n

    def run():
        distances = euclidean_distances(np.concatenate([xs, xt]), squared=True)
        k = np.zeros_like(distances)
        for s in case.bandwidths:
            k += np.exp(distances / np.float32(-s))
        k /= len(case.bandwidths)
        np.fill_diagonal(k, 0)
        rng = np.random.default_rng(0)
        labels = np.repeat(np.float32([1, 0]), n)
        z = np.stack([labels, *(rng.permutation(labels) for _ in range(case.draws))], axis=1)
        kz = k @ z
        sxx, sxy = (kz * z).sum(0, dtype=np.float64), (kz * (1 - z)).sum(0, dtype=np.float64)
        syy = k.sum(dtype=np.float64) - sxx - 2 * sxy
        return ((sxx + syy) / (n * (n - 1)) - 2 * sxy / n**2)[0]

    return run


@entry(
    library="alibi-detect",
    seconds=lambda c: 2e-8 * c.n**2 * c.draws,
    mib=lambda c: 2e-3 * c.n**2,
    on_device=True,
    note="p can be 0",
)
def alibi_test(case: Case):
    import numpy as np
    from alibi_detect.cd.pytorch.mmd import MMDDriftTorch

    xs, xt = case.arrays()

    def run():
        detector = MMDDriftTorch(
            xs, sigma=np.float32(_sigmas(case)), n_permutations=case.draws, device=case.device
        )
        return detector.score(xt)[1]

    return run


@entry(
    library="alibi-detect",
    seconds=lambda c: 1.7e-7 * c.n**2 * c.draws * max(1, c.d / 64),
    on_device=True,
    fewer_draws=(5, 20),
    note="KeOps; a new kernel for every permutation; p can be 0",
)
def alibi_keops_test(case: Case):
    import numpy as np
    from alibi_detect.cd.keops.mmd import MMDDriftKeops

    xs, xt = case.arrays()

    def run():
        detector = MMDDriftKeops(
            xs, sigma=np.float32(_sigmas(case)), n_permutations=case.draws, device=case.device
        )
        return detector.score(xt)[1]

    return run


@entry(
    library="torchdrift",
    seconds=lambda c: 1.8e-8 * c.n**2 * c.draws,
    mib=lambda c: 2e-3 * c.n**2,
    on_device=True,
    note="keeps the diagonal, as above; p can be 0",
    expected=lambda c, value: value + 2 / (c.n - 1),
)
def torchdrift_test(case: Case):
    from torchdrift.detectors.mmd import kernel_mmd

    xs, xt = case.tensors()
    return lambda: float(kernel_mmd(xs, xt, n_perm=case.draws, kernel=five_kernels(case))[0])


@entry(
    library="hyppo",
    seconds=lambda c: 3e-7 * c.n**2 * c.draws,
    mib=lambda c: 3e-4 * c.n**2,
    fewer_draws=(3, 10),
    note="a scaled HSIC, not comparable in value",
    expected=None,
)
def hyppo_test(case: Case):
    import numpy as np
    from hyppo.ksample import MMD
    from sklearn.metrics.pairwise import euclidean_distances

    def kernel(x):
        distances = euclidean_distances(x, squared=True)
        return sum(np.exp(distances / -s) for s in case.bandwidths) / len(case.bandwidths)

    xs, xt = (x.astype(np.float64) for x in case.arrays())
    test = MMD(compute_kernel=kernel)
    return lambda: test.test(xs, xt, reps=case.draws, auto=False, random_state=0)[0]


@entry(
    library="frouros",
    seconds=lambda c: 3.3e-7 * c.n**2 * c.draws * max(1, c.d / 64),
    fewer_draws=(3, 10),
    note="a new kernel for every permutation",
)
def frouros_test(case: Case):
    import numpy as np
    from frouros.callbacks import PermutationTestDistanceBased
    from frouros.detectors.data_drift import MMD
    from scipy.spatial.distance import cdist

    xs, xt = case.arrays()

    def kernel(X, Y):
        distances = cdist(X, Y, "sqeuclidean")
        return sum(np.exp(distances / -s) for s in case.bandwidths) / len(case.bandwidths)

    # Its pool hands the kernel to another process by name.
    kernel.__module__, kernel.__qualname__ = __name__, "frouros_kernel"
    globals()["frouros_kernel"] = kernel

    def run():
        permutations = PermutationTestDistanceBased(
            num_permutations=case.draws, num_jobs=1, method="conservative", random_state=0, name="p"
        )
        detector = MMD(kernel=kernel, callbacks=permutations)
        detector.fit(X=xs)
        return detector.compare(X=xt)[0].distance

    return run
