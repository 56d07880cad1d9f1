"""What a DANN step of LeNet size costs: dakit's ``fit`` beside the bare step, what trying out saves, and the peers.

    python benchmarks/step.py [--steps 20] [--rounds 5] [--json]

One thread; numbers are milliseconds of the process's CPU time a step, since wall time on a busy machine says nothing.
Everything runs on the same pictures (1x28x28, 64 from each domain), the same network and the same optimiser (SGD with
momentum), in turns, round by round, and the median over the rounds is printed. The bare step is forward, backward and
optimiser on one fixed, concatenated batch with both heads: no loader, no schedule, no log. dakit's is ``fit`` itself,
the difference of a long and a short run, so that setting up does not count.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F
from torch import nn

from dakit import methods
from dakit.domains.domain import Domain
from dakit.training import fit, precision

BATCH = 64
SHAPE = (1, 28, 28)
BACKBONE = {"name": "lenet", "width": 32, "norm": "none"}
SGD = {"lr": 0.01, "momentum": 0.9}
START = 5  # steps of the short run that is subtracted


def domains(n: int = 1024) -> tuple[Domain, Domain]:
    generator = torch.Generator().manual_seed(0)
    classes = tuple("0123456789")
    y = torch.arange(n) % 10
    x = torch.rand(n, *SHAPE, generator=generator)
    return Domain("source", x, y, classes), Domain("target", 1 - x, y, classes)


def build(seed: int = 0) -> methods.Method:
    return methods.build("dann", domains(10)[0], backbone=BACKBONE, seed=seed)


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


# -- each returns a function: number of steps -> milliseconds a step ---------------------------------------------


def bare(layout: torch.memory_format, dtype: torch.dtype | None) -> Callable[[int], float]:
    source, target = domains(BATCH)
    method = build().to(memory_format=layout)
    optimiser = torch.optim.SGD(method.parameters(), fused=True, **SGD)
    x = torch.cat([source.x, target.x]).contiguous(memory_format=layout)
    where = torch.cat([torch.zeros(BATCH), torch.ones(BATCH)])

    def steps(n: int) -> None:
        for _ in range(n):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                z = method.backbone(x)
            z = z.float()
            label = F.cross_entropy(method.head(z[:BATCH]), source.y)
            domain = F.binary_cross_entropy_with_logits(method.discriminator(z).squeeze(1), where)
            optimiser.zero_grad(set_to_none=True)
            (label + domain).backward()
            optimiser.step()

    return lambda n: cpu_ms(lambda: steps(n)) / n


def dakit(numbers: str, layout: str) -> Callable[[int], float]:
    source, target = domains()

    def train(n: int) -> float:
        options = {"batch_size": BATCH, "snapshots": 0, "progress": False, "log_every": 10, "device": "cpu"}
        method = build()
        return cpu_ms(
            lambda: fit(method, source, target, steps=n, precision=numbers, memory_format=layout, **options)
        )

    return lambda n: (train(n + START) - train(START)) / n


class Classifier(nn.Module):
    """Backbone and head in one, as skada wants it."""

    def __init__(self) -> None:
        super().__init__()
        method = build()
        self.features, self.head = method.backbone, method.head

    def forward(self, x, sample_weight=None):
        return self.head(self.features(x))


def pytorch_adapt() -> Callable[[int], float]:
    from pytorch_adapt.adapters import DANN
    from pytorch_adapt.containers import Models, Optimizers

    method = build()
    discriminator = nn.Sequential(method.discriminator, nn.Flatten(0))
    adapter = DANN(
        models=Models({"G": method.backbone, "C": method.head, "D": discriminator}),
        optimizers=Optimizers((torch.optim.SGD, SGD)),
    )
    source, target = domains(BATCH)
    batch = {
        "src_imgs": source.x,
        "src_labels": source.y,
        "target_imgs": target.x,
        "src_domain": torch.zeros(BATCH),
        "target_domain": torch.ones(BATCH),
    }

    def steps(n: int) -> None:
        for _ in range(n):
            adapter.training_step(batch)

    return lambda n: cpu_ms(lambda: steps(n)) / n


def skada() -> Callable[[int], float]:
    import numpy as np
    from skada.deep import DANN
    from skada.deep.modules import DomainClassifier

    source, target = domains()
    x = torch.cat([source.x, target.x]).numpy()
    y = np.concatenate([source.y.numpy(), np.full(len(target), -1)])
    where = np.concatenate([np.full(len(source), 1), np.full(len(target), -2)])

    def epochs(n: int) -> float:
        network, seen = Classifier(), []
        network.features.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
        net = DANN(
            network,
            layer_name="features",
            reg=1.0,
            domain_classifier=DomainClassifier(num_features=128),
            optimizer=torch.optim.SGD,
            optimizer__lr=SGD["lr"],
            optimizer__momentum=SGD["momentum"],
            batch_size=2 * BATCH,  # of both domains together
            max_epochs=max(1, round(n / (len(source) // BATCH))),
            train_split=None,
            verbose=0,
        )
        spent = cpu_ms(lambda: net.fit(x, y, sample_domain=where))
        return spent / (sum(seen) / (2 * BATCH))  # in steps of the size that the others take

    return epochs


def measure(steps: int, rounds: int) -> tuple[dict[str, float], dict[str, str], dict]:
    """Median milliseconds of every entry, and why an entry is missing."""
    numbers = ["float32"] + ["bf16"] * precision.native_bf16(torch.device("cpu"))
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    dtypes = {"float32": None, "bf16": torch.bfloat16}
    entries, missing = {}, {}
    for n in numbers:
        for name, layout in formats.items():
            entries[f"bare, {n}, {name}"] = bare(layout, dtypes[n])
            entries[f"dakit, {n}, {name}"] = dakit(n, name)
    for peer in (pytorch_adapt, skada):
        try:
            entry = peer()
            entry(1)
            entries[peer.__name__] = entry
        except Exception as error:
            missing[peer.__name__] = f"{type(error).__name__}: {error}".split("\n")[0]
    taken: dict[str, list[float]] = {name: [] for name in entries}
    for round_ in range(rounds + 1):
        for name, entry in entries.items():
            ms = entry(steps)
            if round_:  # the first round warms up
                taken[name].append(ms)
    source, target = domains()
    run = fit(
        build(),
        source,
        target,
        steps=precision.WORTH,
        batch_size=BATCH,
        snapshots=0,
        progress=False,
        device="cpu",
    )
    return {k: statistics.median(v) for k, v in taken.items()}, missing, run.config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="steps of each entry a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    ms, missing, config = measure(options.steps, options.rounds)
    plain = ms["bare, float32, contiguous"]
    chosen = f"dakit, {config['precision']}, {config['memory_format']}"
    ratios = {
        k.removeprefix("dakit, "): ms[k] / ms[k.replace("dakit", "bare")] for k in ms if k.startswith("dakit")
    }
    result = {
        "ms": ms,
        "dakit / bare": ratios,
        "chosen by fit": chosen,
        "speed-up of what was chosen": ms["dakit, float32, contiguous"] / ms[chosen],
        "missing": missing,
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'CPU milliseconds a step':38s}{'ms':>8s}{'/ bare':>8s}")
    for name, value in ms.items():
        print(f"{name:38s}{value:8.2f}{value / plain:8.2f}")
    for name, reason in missing.items():
        print(f"{name:38s}not measured ({reason})")
    print("\nfit over the bare step of the same precision and layout:")
    for name, ratio in ratios.items():
        print(f"  {name:36s}{ratio:8.2f}")
    print(f"\nfit tried and took: {chosen.removeprefix('dakit, ')}, ", end="")
    print(f"{result['speed-up of what was chosen']:.2f} times as fast as float32, contiguous")


if __name__ == "__main__":
    main()
