"""dakit beside pytorch-adapt and skada: the same task, network, optimiser and budget; accuracy and cost of a step.

    python benchmarks/peers.py [--steps 400] [--seeds 3] [--methods dann,dan,mcc,cdan] [--tasks mlp,cnn] [--json FILE]

Needs the libraries in .venv-peers (`make bench-peers` installs them; what does not install is left out and said).
Task: digits, optdigits to MNIST at 16x16 pixels, accuracy on a half of MNIST that no training saw. `mlp` is 256-64-64,
`cnn` has the size of LeNet. SGD, momentum 0.9, learning rate 0.01, no schedule, 64 examples of each domain a step. Each
library runs its own loss and its own defaults, in a process of its own with one thread. Milliseconds are CPU time of
the process a step, loaders included, set-up excluded (a long run minus a short one). Nothing is selected: last step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import fmean, stdev

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
LIBRARIES = ("dakit", "pytorch-adapt", "skada")
SHORT = 40  # steps of the run that is subtracted
SETTINGS = {"lr": 0.01, "momentum": 0.9}


# -- in a process of its own: one training ---------------------------------------------------------------------------


def networks(task: str):
    """Backbone, head and discriminator, as dakit builds them: mlp 256-64-64, or LeNet with 32 and 48 maps."""
    from torch import nn

    if task == "mlp":
        d = 64
        body = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, d), nn.ReLU())
    else:
        d = 128
        body = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(48 * 16, d), nn.ReLU(),
        )  # fmt: skip
    return body, nn.Linear(d, 10), nn.Sequential(nn.Linear(d, 100), nn.ReLU(), nn.Linear(100, 1)), d


def with_dakit(task: str, method: str, data: dict, steps: int, seed: int):
    import torch

    from dakit import Domain, fit, methods

    shape = (-1, 256) if task == "mlp" else (-1, 1, 16, 16)
    classes = tuple("0123456789")
    xs, xt, xe = (torch.from_numpy(data[k]).reshape(shape) for k in ("xs", "xt", "xe"))
    source = Domain("optdigits", xs, torch.from_numpy(data["ys"]), classes)
    target = Domain("mnist", xt)
    body = {"name": "mlp", "hidden": (64, 64)}
    if task == "cnn":
        body = {"name": "lenet", "width": 32, "features": 128, "norm": "none"}
    made = methods.build(method, source, backbone=body, seed=seed)
    options = {"schedule": "constant", "optimizer": "sgd", "snapshots": 0, "progress": False, **SETTINGS}
    run = fit(made, source, target, steps=steps, batch_size=64, seed=seed, **options)
    return run.logits(xe).argmax(axis=1)


def with_pytorch_adapt(task: str, method: str, data: dict, steps: int, seed: int):
    import torch
    from pytorch_adapt.hooks import AlignerPlusCHook, CDANHook, ClassifierHook, DANNHook, MCCHook
    from pytorch_adapt.layers import RandomizedDotProduct

    torch.manual_seed(seed)
    body, head, disc, d = networks(task)

    def sgd(*modules):
        return torch.optim.SGD([p for m in modules for p in m.parameters()], **SETTINGS)

    models = {"G": body, "C": head, "D": torch.nn.Sequential(disc, torch.nn.Flatten(0))}
    if method == "dann":
        hook = DANNHook([sgd(body, head, disc)])
    elif method == "cdan":
        width = disc[0].out_features
        models["feature_combiner"] = RandomizedDotProduct([d, 10], d * 10 if d * 10 <= 4096 else 4096)
        size = d * 10
        models["D"] = disc = torch.nn.Sequential(
            torch.nn.Linear(size, width), torch.nn.ReLU(), torch.nn.Linear(width, 1), torch.nn.Flatten(0)
        )
        hook = CDANHook(d_opts=[sgd(disc)], g_opts=[sgd(body, head)])
    elif method == "dan":
        hook = AlignerPlusCHook([sgd(body, head)])
    else:
        hook = ClassifierHook([sgd(body, head)], post=[MCCHook()])
    shape = (-1, 256) if task == "mlp" else (-1, 1, 16, 16)
    xs, xt, xe = (torch.from_numpy(data[k]).reshape(shape) for k in ("xs", "xt", "xe"))
    ys = torch.from_numpy(data["ys"])
    zeros, ones = torch.zeros(64), torch.ones(64)

    def batches(n: int):
        while True:
            yield from torch.randperm(n).split(64)[: n // 64]

    for i, (a, b) in enumerate(zip(batches(len(xs)), batches(len(xt)))):
        if i == steps:
            break
        hook(
            {
                **models, "src_imgs": xs[a], "src_labels": ys[a], "target_imgs": xt[b],
                "src_domain": zeros, "target_domain": ones,
            }
        )  # fmt: skip
    with torch.no_grad():
        return head(body.eval()(xe)).argmax(dim=1).numpy()


class Enough(Exception):
    """The budget is used up."""


def with_skada(task: str, method: str, data: dict, steps: int, seed: int):
    import numpy as np
    import torch
    from skada.deep import CDAN, DAN, DANN, MCC

    torch.manual_seed(seed)
    body, head, disc, d = networks(task)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = body, head

        def forward(self, x, sample_weight=None):
            return self.head(self.body(x))

    done = 0
    make = {"dann": DANN, "cdan": CDAN, "dan": DAN, "mcc": MCC}[method]
    extra = {}
    if method == "dann":
        extra = {"domain_classifier": torch.nn.Sequential(disc, torch.nn.Sigmoid(), torch.nn.Flatten(0))}
    elif method == "cdan":
        extra = {"num_features": d, "n_classes": 10}
    net = make(
        Net(), layer_name="body", batch_size=128, max_epochs=10_000, train_split=None, verbose=0,
        optimizer=torch.optim.SGD, optimizer__momentum=SETTINGS["momentum"], lr=SETTINGS["lr"], **extra,
    )  # fmt: skip
    step = type(net).train_step

    def counted(self, *args, **kwargs):
        nonlocal done
        if done == steps:
            raise Enough
        done += 1
        return step(self, *args, **kwargs)

    type(net).train_step = counted
    shape = (-1, 256) if task == "mlp" else (-1, 1, 16, 16)
    xs, xt, xe = (data[k].reshape(shape) for k in ("xs", "xt", "xe"))
    x = np.concatenate([xs, xt])
    y = np.concatenate([data["ys"], np.full(len(xt), -1)])
    domain = np.concatenate([np.ones(len(xs)), -2 * np.ones(len(xt))]).astype(int)
    try:
        with contextlib.suppress(Enough):
            net.fit(x, y, sample_domain=domain)
    finally:
        type(net).train_step = step
    with torch.no_grad():
        return net.module_.base_module_.eval()(torch.from_numpy(xe)).argmax(dim=1).numpy()


RUN = {"dakit": with_dakit, "pytorch-adapt": with_pytorch_adapt, "skada": with_skada}


def worker(library: str, task: str, method: str, steps: int, seeds: int, file: str) -> None:
    import numpy as np
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data = dict(np.load(file))
    run = RUN[library]
    accuracies, times = [], []
    run(task, method, data, SHORT, 0)  # imports and first calls
    for seed in range(seeds):
        a = time.process_time()
        run(task, method, data, SHORT, seed)
        b = time.process_time()
        predicted = run(task, method, data, steps, seed)
        c = time.process_time()
        accuracies.append(float((predicted == data["ye"]).mean()))
        times.append(1000 * ((c - b) - (b - a)) / (steps - SHORT))
    print(json.dumps({"accuracy": accuracies, "ms": min(times)}))


# -- the comparison --------------------------------------------------------------------------------------------------


def write_data(file: Path) -> None:
    import numpy as np

    import dakit

    digits = dakit.load("digits")
    source = digits["optdigits"]
    seen, judge = digits["mnist"].split(0.5, seed=0, stratify=False)
    flat = {k: d.x.flatten(1).numpy() - 0.5 for k, d in (("xs", source), ("xt", seen), ("xe", judge))}
    np.savez(file, **flat, ys=source.y.numpy(), ye=judge.y.numpy())


def ask(library: str, task: str, method: str, steps: int, seeds: int, file: Path) -> dict:
    python = sys.executable if library == "dakit" else str(PEERS)
    words = [python, __file__, "--worker", library, task, method, str(steps), str(seeds), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        library, task, method, steps, seeds, file = sys.argv[2:]
        worker(library, task, method, int(steps), int(seeds), file)
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default="dann,dan,mcc,cdan")
    parser.add_argument("--tasks", default="mlp,cnn")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    print(
        "| task | method | library | accuracy | ms a step | times dakit's |\n| --- | --- | --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digits.npz"
        write_data(file)
        for task in args.tasks.split(","):
            for method in args.methods.split(","):
                ours = None
                for library in LIBRARIES:
                    if library != "dakit" and not PEERS.is_file():
                        answer = {"error": ".venv-peers is missing; `make bench-peers` makes it"}
                    else:
                        answer = ask(library, task, method, args.steps, args.seeds, file)
                    rows.append({"task": task, "method": method, "library": library, **answer})
                    if "error" in answer:
                        print(
                            f"| {task} | {method} | {library} | left out: {answer['error']} | | |", flush=True
                        )
                        continue
                    ours = ours or answer["ms"]
                    a = [100 * v for v in answer["accuracy"]]
                    spread = f" ± {stdev(a):.1f}" if len(a) > 1 else ""
                    print(
                        f"| {task} | {method} | {library} | {fmean(a):.1f}{spread} | {answer['ms']:.2f} | "
                        f"{answer['ms'] / ours:.2f} |",
                        flush=True,
                    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
