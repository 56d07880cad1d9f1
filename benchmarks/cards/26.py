"""IBN-Net: batch norm, IBN-a, IBN-b and instance norm everywhere, where style is noise and where it is content.

    python benchmarks/cards/26.py [--seeds 3] [--steps 300] [--json FILE]

One half of MNIST at 16x16 in colour trains a ResNet-8, the other half judges it, once dressed as the source and once as
the target. (A) Digits on black, nearly grey; in the target every channel of every picture has a gain and an offset of
its own. (B) Five digits in faint and in strong ink on one grey ground, ten classes; in the target a coloured light is
added. The grey of (B) is the mean that the network subtracts, so that the zeros around a picture do not show it how
dark the ground is. (C) is dense, as the paper's tasks are: every pixel of a scene of two digits has a class; training
in the sun, test in the sun and in fog.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from dense_digits import mean_iou, train_dense
from torch import Tensor, nn

import dakit
from dakit import methods, metrics, models
from dakit.domains import Domain
from dakit.models.ibn import InstanceBatchNorm
from dakit.models.resnet import IMAGENET_MEAN

FORMS = {
    "batch norm": ("source_only", {}, {}),
    "IBN-a": ("ibn", {}, {"variant": "a"}),
    "IBN-b": ("ibn", {}, {"variant": "b"}),
    "instance norm everywhere": ("source_only", {"norm": "instance"}, {}),
}
LAYERS = ("stem", "stage 1", "stage 2", "stage 3")


def between(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def style_is_noise(digits: Domain, strong: bool, generator: torch.Generator) -> Domain:
    """(A): gain and offset for each channel of each picture, small or strong."""
    shape = (len(digits), 3, 1, 1)
    gain = between(0.1 if strong else 0.9, 1.0, shape, generator)
    offset = between(0.0, 1.0 if strong else 0.2, shape, generator) * (1 - gain)
    name = "restyled" if strong else "nearly grey"
    return Domain(name, offset + gain * digits.x, digits.y, digits.classes)


def style_is_content(digits: Domain, cast: bool, generator: torch.Generator) -> Domain:
    """(B): the ink, faint or strong, is half of the class; the target has a coloured light."""
    n = len(digits)
    strong = torch.rand(n, generator=generator) < 0.5
    ink = torch.where(strong, 0.3, 0.1).view(n, 1, 1, 1) * between(0.9, 1.1, (n, 1, 1, 1), generator)
    light = between(-0.18, 0.18, (n, 3, 1, 1), generator)
    ground = torch.tensor(IMAGENET_MEAN).view(3, 1, 1) + (light if cast else 0.0)
    classes = tuple(f"{c} {w}" for w in ("faint", "strong") for c in "01234")
    return Domain(
        "coloured light" if cast else "plain", ground + ink * digits.x, digits.y + 5 * strong, classes
    )


def world(name: str, seed: int) -> tuple[Domain, Domain, Domain]:
    """What trains, and the same other digits dressed as the source and as the target."""
    digits = dakit.load("digits")["mnist"]
    dress = style_is_noise if name == "A" else style_is_content
    if name == "B":
        digits = digits.subset(torch.nonzero(digits.y < 5).flatten())
    train, test = digits.split(0.5, seed=seed)

    def dressed(d, changed, stream):
        return dress(d, changed, torch.Generator().manual_seed(3 * seed + stream))

    # One stream for both forms of the test digits: the same of them are in strong ink.
    return dressed(train, False, 0), dressed(test, False, 1), dressed(test, True, 1)


def train(form: str, source: Domain, seed: int, steps: int):
    name, options, hyperparameters = FORMS[form]
    method = methods.build(
        name, source, backbone={"name": "resnet8", **options}, seed=seed, **hyperparameters
    )
    settings = {"precision": "float32", "memory_format": "channels_last", "snapshots": 0, "progress": False}
    return dakit.fit(
        method, source, None, steps=steps, batch_size=64, lr=0.05, schedule="cosine", seed=seed, **settings
    )


@torch.no_grad()
def divergence(run, a: Tensor, b: Tensor) -> list[float]:
    """Divergence of the channel means of two sets of pictures, layer by layer."""
    backbone = run.method.backbone.eval()
    maps = zip(backbone.maps(a), backbone.maps(b))
    return [metrics.channel_divergence(x, y, eps=1e-6) for x, y in maps]


@torch.no_grad()
def layer_properties() -> dict[str, float]:
    """What holds exactly: how far outputs move, largest over 3 seeds."""
    out: dict[str, float] = {}

    def note(name, value, smallest=False):
        pick = min if smallest else max
        out[name] = float(value) if name not in out else pick(out[name], float(value))

    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        x, layer = torch.randn(8, 6, 9, 9, generator=g), InstanceBatchNorm(6)
        restyled = x.clone()
        restyled[0] = between(0.2, 3, (6, 1, 1), g) * x[0] + torch.randn(6, 1, 1, generator=g)
        moved = (layer(restyled) - layer(x)).abs()
        note("(1) instance half moves under gain and offset (0)", moved[:, :3].max())
        note("(1) batch half moves (not 0)", moved[0, 3:].max(), smallest=True)
        pictures = torch.rand(4, 3, 16, 16, generator=g)
        nets = {}
        for name, options in {
            "plain": {},
            "0": {"ibn": "a", "ratio": 0.0},
            "1": {"ibn": "a", "ratio": 1.0},
        }.items():
            torch.manual_seed(seed)
            nets[name] = models.build("resnet8", (3, 16, 16), **options)
        torch.manual_seed(seed)
        by_hand = models.build("resnet8", (3, 16, 16))
        for stage in by_hand.stages[:2]:
            stage[0].bn1 = nn.InstanceNorm2d(stage[0].bn1.num_features, affine=True)
        note(
            "(2) ratio 0 differs from batch norm (0)",
            (nets["0"](pictures) - nets["plain"](pictures)).abs().max(),
        )
        note(
            "(2) ratio 1 differs from instance norm (0)",
            (nets["1"](pictures) - by_hand(pictures)).abs().max(),
        )
        other = torch.cat([x[:1], 3 * torch.randn(7, 6, 9, 9, generator=g)])
        moved = (layer(other)[0] - layer(x)[0]).abs()
        note("(3) training: batch half depends on the batch (not 0)", moved[3:].max(), smallest=True)
        note("(3) training: instance half does (0)", moved[:3].max())
        layer.eval()
        note(
            "(3) evaluation: a picture depends on the batch (0)", (layer(other)[0] - layer(x)[0]).abs().max()
        )
        a = models.build("resnet18", (3, 32, 32), ibn="a")
        count = [sum(p.numel() for p in m.parameters()) for m in (a, models.build("resnet18", (3, 32, 32)))]
        note("(6) parameters of IBN-a less those of batch norm, ResNet-18 (0)", abs(count[0] - count[1]))
    return out


def spread(values) -> str:
    values = 100 * np.asarray(values)
    return f"{values.mean():5.1f} ± {values.std(ddof=1) if len(values) > 1 else np.nan:4.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    accuracy: dict[str, dict[str, dict[str, list[float]]]] = {"A": {}, "B": {}}
    appearance: dict[str, list[list[float]]] = {form: [] for form in FORMS}
    content: dict[str, list[list[float]]] = {form: [] for form in FORMS}
    for name in accuracy:
        for seed in range(options.seeds):
            source, as_source, as_target = world(name, seed)
            for form in FORMS:
                run = train(form, source, seed, options.steps)
                found = accuracy[name].setdefault(form, {"source": [], "target": []})
                for side, test in (("source", as_source), ("target", as_target)):
                    found[side].append(run.evaluate(test).accuracy)
                if name == "A":
                    low = as_source.y < 5
                    appearance[form].append(divergence(run, as_source.x, as_target.x))
                    content[form].append(divergence(run, as_source.x[low], as_source.x[~low]))
            print(f"({name}) seed {seed}: {time.process_time() - began:.0f} CPU seconds", flush=True)
    dense: dict[str, dict[str, list[float]]] = {form: {"source": [], "target": []} for form in FORMS}
    for seed in range(options.seeds):
        for form, (_, plain, hyperparameters) in FORMS.items():
            variant = {"ibn": hyperparameters["variant"]} if hyperparameters else {}
            net = train_dense({**plain, **variant}, seed, options.steps // 2)
            dense[form]["source"].append(mean_iou(net, False, seed))
            dense[form]["target"].append(mean_iou(net, True, seed))
        print(f"(C) seed {seed}: {time.process_time() - began:.0f} CPU seconds", flush=True)
    exact = layer_properties()
    report({**accuracy, "C": dense}, appearance, content, exact, options, began)
    if options.json:
        values = {
            "accuracy": accuracy,
            "dense_mean_iou": dense,
            "appearance_divergence": appearance,
            "content_divergence": content,
            "exact": exact,
            "seeds": options.seeds,
            "steps": options.steps,
        }
        options.json.write_text(json.dumps(values, indent=1))


def report(accuracy, appearance, content, exact, options, began) -> None:
    print(f"\nProperties of layers and networks; in brackets what they should be\n\n{'':70}measured")
    for name, value in exact.items():
        print(f"{name:70}{value:.2g}")
    print(f"\nAccuracy in percent, mean ± sd of {options.seeds} seeds, {options.steps} steps of 64")
    titles = {"A": "(A) style is noise", "B": "(B) style is content", "C": "(C) pixels, mean IoU"}
    for name, title in titles.items():
        print(f"\n{title:28}{'source':>14}{'target':>14}")
        for form, found in accuracy[name].items():
            print(f"{form:28}{spread(found['source']):>14}{spread(found['target']):>14}")

    def less(name, side, a, b):
        return np.subtract(accuracy[name][a][side], accuracy[name][b][side])

    bn, a, all_in = "batch norm", "IBN-a", "instance norm everywhere"
    claims = (
        ("(4) A: IBN-a gains on the target over batch norm", "at least 5", less("A", "target", a, bn)),
        ("(4) A: IBN-a on the source, less batch norm", "at least -1", less("A", "source", a, bn)),
        (
            "(5) B: instance norm everywhere on the source, less BN",
            "at most -5",
            less("B", "source", all_in, bn),
        ),
        ("(5) B: IBN-a on the source, less batch norm", "at least -1", less("B", "source", a, bn)),
        ("B: IBN-a gains on the target over batch norm", "more than 0", less("B", "target", a, bn)),
        (
            "B: IBN-a on the source, less instance norm everywhere",
            "more than 0",
            less("B", "source", a, all_in),
        ),
        ("B: IBN-b on the source, less batch norm", "-", less("B", "source", "IBN-b", bn)),
        ("C: IBN-a gains in fog over batch norm (mean IoU)", "more than 0", less("C", "target", a, bn)),
        ("C: IBN-a in the sun, less batch norm (mean IoU)", "at least -1", less("C", "source", a, bn)),
    )
    print(f"\n{'Points of accuracy, seed by seed':60}{'expected':>14}{'measured':>16}")
    for text, expected, values in claims:
        print(f"{text:60}{expected:>14}{spread(values):>16}")
    for title, values in (
        ("Divergence of appearance by layer in A: the same digits, nearly grey and restyled", appearance),
        ("Divergence of content by layer in A: digits 0 to 4 and 5 to 9, both nearly grey", content),
    ):
        print(f"\n{title}\n{'':28}" + "".join(f"{layer:>18}" for layer in LAYERS))
        for form, rows in values.items():
            mean, sd = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=min(1, len(rows) - 1))
            print(f"{form:28}" + "".join(f"{f'{m:.3g} ± {s:.2g}':>18}" for m, s in zip(mean, sd)))
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
