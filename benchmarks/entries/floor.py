"""The cheapest way known to do the work of an MMD, at the measured rates of this machine; printed as JSON.

    python -m entries.floor D DRAWS

The pairwise product at the rate of tiles of 512 x 512, plus one exponential per pair at the fastest rate that torch or
numpy reach on a tile in the cache; for a test, also the product with the labels of all permutations.
"""

from __future__ import annotations

import json
import sys
import time

from entries.case import Case

SIDE = 512


def rates(d: int, draws: int) -> dict:
    import numpy as np
    import torch

    torch.set_num_threads(1)
    a, b, out = torch.randn(SIDE, d), torch.randn(SIDE, d), torch.empty(SIDE, SIDE)
    labels, columns = torch.rand(SIDE, max(1, draws)), torch.empty(SIDE, max(1, draws))
    x = -5 * torch.rand(SIDE, SIDE)
    forms = {
        "torch.exp": lambda: torch.exp(x, out=out),
        "torch.exp2": lambda: torch.exp2(x, out=out),
        "numpy.exp": lambda: np.exp(x.numpy(), out=out.numpy()),
        "numpy.exp2": lambda: np.exp2(x.numpy(), out=out.numpy()),
    }

    def per_second(call, amount):
        call()
        times = []
        for _ in range(5):
            start = time.process_time()
            for _ in range(20):
                call()
            times.append(time.process_time() - start)
        return amount * 20 / min(times)

    return {
        "gemm": per_second(lambda: torch.mm(a, b.T, out=out), 2 * d * SIDE**2),
        "label_gemm": per_second(lambda: torch.mm(out, labels, out=columns), 2 * max(1, draws) * SIDE**2),
        "exp": {name: per_second(form, SIDE**2) for name, form in forms.items()},
    }


def seconds(case: Case, speed: dict) -> float:
    pairs = 2 * case.n**2  # the tiles on and above the diagonal of the pooled 2 n x 2 n matrix
    each = 2 * case.d / speed["gemm"] + 1 / max(speed["exp"].values())
    return pairs * (each + 2 * case.draws / speed["label_gemm"])


if __name__ == "__main__":
    print(json.dumps(rates(*(int(a) for a in sys.argv[1:]))))
