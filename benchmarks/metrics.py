"""How fast the shift metrics are, beside what one would otherwise write and beside what the machine allows.

    python benchmarks/metrics.py [--sizes 1000x64 5000x64 1000x512] [--repeats 5] [--json]

Every entry runs in a process of its own with ONE thread. Times are CPU seconds of that process (what the call would
take alone on one core, whatever else the machine does), the smallest of the repeats after a first call; memory is the
growth of the process's peak during the first call. All entries of a size see the same data.

The floor of an MMD is the cheapest way known to do its work: the pairwise product at this machine's measured rate plus
one exponential per pair at the fastest rate that torch or numpy reach on a tile in the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
MULTIPLES = (0.25, 0.5, 1, 2, 4)
PERMUTATIONS = 200


def data(n: int, d: int):
    """Two samples that differ a little, in float32, and five bandwidths for them."""
    import numpy as np

    rng = np.random.default_rng(0)
    xs = rng.standard_normal((n, d), dtype=np.float32)
    xt = rng.standard_normal((n, d), dtype=np.float32) * np.float32(1.02) + np.float32(0.02)
    return xs, xt, [2 * d * r for r in MULTIPLES]  # 2 d is the expected squared distance


# -- the entries: each returns a function of no arguments that does the work and returns a number


def dakit_mmd(n, d):
    from dakit.metrics import mmd

    xs, xt, bandwidths = data(n, d)
    return lambda: mmd(xs, xt, bandwidths=bandwidths)


def dakit_mmd_float64(n, d):
    from dakit.metrics import mmd

    xs, xt, bandwidths = data(n, d)
    xs, xt = xs.astype("f8"), xt.astype("f8")
    return lambda: mmd(xs, xt, bandwidths=bandwidths)


def sklearn_mmd(n, d):
    """scikit-learn's distances once per pair of samples, then one exponential per bandwidth."""
    import numpy as np
    from sklearn.metrics.pairwise import euclidean_distances

    xs, xt, bandwidths = data(n, d)

    def mean(a, b):
        distances = euclidean_distances(a, b, squared=True)
        total = 0.0
        for s in bandwidths:
            k = np.exp(distances / np.float32(-s))
            if a is b:
                np.fill_diagonal(k, 0)
            total += k.sum(dtype=np.float64)
        return total / len(bandwidths) / (len(a) * (len(b) - (a is b)))

    return lambda: mean(xs, xs) + mean(xt, xt) - 2 * mean(xs, xt)


def dakit_test(n, d):
    from dakit.metrics import mmd_test

    xs, xt, bandwidths = data(n, d)
    return lambda: mmd_test(xs, xt, bandwidths=bandwidths, permutations=PERMUTATIONS).statistic


def matrix_test(n, d):
    """The kernel matrix in memory and its product with the labels of all permutations: the same idea, untiled."""
    import numpy as np
    from sklearn.metrics.pairwise import euclidean_distances

    xs, xt, bandwidths = data(n, d)

    def run():
        distances = euclidean_distances(np.concatenate([xs, xt]), squared=True)
        k = np.zeros_like(distances)
        for s in bandwidths:
            k += np.exp(distances / np.float32(-s))
        k /= len(bandwidths)
        np.fill_diagonal(k, 0)
        rng = np.random.default_rng(0)
        labels = np.repeat(np.float32([1, 0]), n)
        z = np.stack([labels, *(rng.permutation(labels) for _ in range(PERMUTATIONS))], axis=1)
        kz = k @ z
        sxx, sxy = (kz * z).sum(0, dtype=np.float64), (kz * (1 - z)).sum(0, dtype=np.float64)
        syy = k.sum(dtype=np.float64) - sxx - 2 * sxy
        return ((sxx + syy) / (n * (n - 1)) - 2 * sxy / n**2)[0]

    return run


def dakit_frechet(n, d):
    from dakit.metrics import frechet_distance

    xs, xt, _ = data(n, d)
    return lambda: frechet_distance(xs, xt)


def sqrtm_frechet(n, d):
    """The usual formula, with scipy's matrix square root."""
    import numpy as np
    from scipy.linalg import sqrtm

    xs, xt, _ = data(n, d)

    def run():
        cs, ct = np.cov(xs.T), np.cov(xt.T)
        gap = np.square(xs.mean(0, dtype="f8") - xt.mean(0, dtype="f8")).sum()
        return gap + np.trace(cs + ct - 2 * sqrtm(cs @ ct).real)

    return run


ENTRIES = {
    f.__name__: f
    for f in (
        dakit_mmd,
        dakit_mmd_float64,
        sklearn_mmd,
        dakit_test,
        matrix_test,
        dakit_frechet,
        sqrtm_frechet,
    )
}
PAIRS = [  # ours, beside what, and from which size on the other is not tried
    ("dakit_mmd", "sklearn_mmd", 12_000),
    ("dakit_test", "matrix_test", 6_000),
    ("dakit_frechet", "sqrtm_frechet", 12_000),
]


# -- measuring


def cpu_seconds(call, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def peak_mib(reset: bool = False) -> float | None:
    """Peak memory of this process, since the last reset; None where the system does not tell."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        return None


def work(name: str, n: int, d: int, repeats: int) -> dict:
    import torch

    torch.set_num_threads(1)
    ENTRIES[name](40, min(d, 30))()  # imports and first-time set-up are not what is measured
    call = ENTRIES[name](n, d)
    before = peak_mib(reset=True)
    value = float(call())
    peak = None if before is None else peak_mib() - before
    return {"seconds": cpu_seconds(call, repeats), "peak_mib": peak, "value": value}


def rates(d: int, repeats: int) -> dict:
    """What one core does: multiply-adds of a product and exponentials, both on tiles of 512 x 512, per second."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    a, b, out = torch.randn(512, d), torch.randn(512, d), torch.empty(512, 512)
    labels, columns = torch.rand(512, PERMUTATIONS), torch.empty(512, PERMUTATIONS)
    x = -5 * torch.rand(512, 512)
    forms = {
        "torch.exp": lambda: torch.exp(x, out=out),
        "torch.exp2": lambda: torch.exp2(x, out=out),
        "numpy.exp": lambda: np.exp(x.numpy(), out=out.numpy()),
        "numpy.exp2": lambda: np.exp2(x.numpy(), out=out.numpy()),
    }

    def per_second(call, amount):
        call()
        return amount * 20 / cpu_seconds(lambda: [call() for _ in range(20)], repeats)

    return {
        "gemm": per_second(lambda: torch.mm(a, b.T, out=out), 2 * d * 512**2),
        "label_gemm": per_second(lambda: torch.mm(out, labels, out=columns), 2 * PERMUTATIONS * 512**2),
        "exp": {name: per_second(form, 512**2) for name, form in forms.items()},
    }


def in_own_process(*arguments: str) -> dict:
    environment = os.environ | ONE_THREAD
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def measure(n: int, d: int, repeats: int) -> dict:
    speed = in_own_process("--rates", str(d), "--repeats", str(repeats))
    pairs = 2 * n**2  # both triangles' worth of a symmetric pooled matrix of 2n points
    floor = pairs * (2 * d / speed["gemm"] + 1 / max(speed["exp"].values()))
    row = {
        "n": n,
        "d": d,
        "rates": speed,
        "floor_mmd": floor,
        "floor_test": floor + pairs * 2 * PERMUTATIONS / speed["label_gemm"],
        "entries": {},
    }
    wanted = [name for ours, peer, limit in PAIRS for name in ((ours, peer) if n < limit else (ours,))]
    for name in [*wanted, "dakit_mmd_float64"]:
        row["entries"][name] = in_own_process("--entry", name, str(n), str(d), "--repeats", str(repeats))
    return row


def show(row: dict) -> None:
    entries, exps = row["entries"], row["rates"]["exp"]
    fastest = max(exps, key=exps.get)
    print(f"\nn = m = {row['n']}, d = {row['d']}: ", end="")
    print(f"product {row['rates']['gemm'] / 1e9:.0f} GF/s, {fastest} {exps[fastest] / 1e9:.1f} G/s")
    print(f"  {'':20}{'CPU s':>10}{'peak MiB':>10}")
    for name, e in entries.items():
        print(
            f"  {name:20}{e['seconds']:10.4f}" + ("" if e["peak_mib"] is None else f"{e['peak_mib']:10.0f}")
        )
    for ours, peer, _ in PAIRS:
        if peer in entries:
            print(f"  {peer} / {ours}: {entries[peer]['seconds'] / entries[ours]['seconds']:.1f}x")
    exact, single = entries["dakit_mmd_float64"]["value"], entries["dakit_mmd"]["value"]
    print(f"  share of the floor: mmd {row['floor_mmd'] / entries['dakit_mmd']['seconds']:.0%}", end="")
    print(f", permutation test {row['floor_test'] / entries['dakit_test']['seconds']:.0%}")
    print(
        f"  float32 against float64: {single:.8g} and {exact:.8g}, relative difference {abs(single / exact - 1):.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", nargs="+", default=["1000x64", "5000x64", "1000x512"], help="n x d, for example 5000x64"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--entry", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--rates", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.entry:
        name, n, d = options.entry
        print(json.dumps(work(name, int(n), int(d), options.repeats)))
        return
    if options.rates:
        print(json.dumps(rates(options.rates, options.repeats)))
        return
    import numpy
    import sklearn
    import torch

    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "sklearn": sklearn.__version__,
    }
    rows = []
    if not options.json:
        print(
            f"{machine}; {', '.join(f'{k} {v}' for k, v in versions.items())}; one thread, {PERMUTATIONS} permutations"
        )
    for size in options.sizes:
        n, d = (int(part) for part in size.lower().split("x"))
        rows.append(measure(n, d, options.repeats))
        if not options.json:
            show(rows[-1])
    if options.json:
        print(
            json.dumps(
                {"machine": machine, "versions": versions, "permutations": PERMUTATIONS, "rows": rows},
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
