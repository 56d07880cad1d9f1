"""Off the shelf: a frozen network's features on tasks that move away from what it was trained on.

    python benchmarks/cards/29.py [--seeds 3] [--json FILE]

A small network is trained on 8 of 10 digits of MNIST and on generated shapes, and frozen. Six tasks by distance: the
same digits in new pictures, the two digits it has not seen (4 and 9, chosen beforehand because they look alike), the
digits of another data set, style and direction of new shapes, pieces of two photographs, and finding an object again.
Competitors share the classifier and the search over C. Where the packages of dakit[features] are installed, an
ImageNet network is set beside itself untrained.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from hog import hog
from tasks_by_distance import RUNGS, TESTS, some, world
from torch.nn.functional import cross_entropy

import dakit
from dakit import models
from dakit.methods import OffTheShelf
from dakit.methods.retrieval import Whitening, mean_average_precision, spatial_distances, unit_rows
from dakit.models.frozen import checksum, frozen_features, untrained
from dakit.models.looks import windows

LABELS = (1, 2, 5, 10, 20, 50)
GATE = 10  # labels a class at which the card judges
CS = (0.1, 1.0, 10.0, 100.0)
RETRIEVAL = "6 objects again"


def train(x: np.ndarray, y: np.ndarray, classes: int, seed: int, steps: int):
    """A network and its head by cross-entropy; all layers learn."""
    torch.manual_seed(seed)
    net = models.build("lenet", (1, 16, 16), width=16, features=128)
    head = torch.nn.Linear(net.out_features, classes)
    optimiser = torch.optim.Adam([*net.parameters(), *head.parameters()], 1e-3)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    generator = torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(steps):
        rows = torch.randint(len(x), (min(64, len(x)),), generator=generator)
        optimiser.zero_grad()
        cross_entropy(head(net(x[rows])), y[rows]).backward()
        optimiser.step()
    for p in net.parameters():
        p.grad = None
    return net.eval(), head.eval()


def classify(network, control, rungs, seed) -> dict:
    """Accuracy by rung, competitor and labels a class; and of the augmented variants at GATE labels."""
    ways = {
        "pixels": lambda x: x.reshape(len(x), -1),
        "HOG": hog,
        "random weights": lambda x: frozen_features(control, x),
        "frozen": lambda x: frozen_features(network, x),
    }
    out = {}
    for rung, ((x, y), (x_test, y_test)) in rungs.items():
        for way, features in ways.items():
            f, f_test = features(x), features(x_test)
            for labels in LABELS:
                rows = some(y, labels, seed)
                model = OffTheShelf(C=CS, folds=3, random_state=0).fit(f[rows], y[rows])
                out[rung, way, labels] = model.score(f_test, y_test)
        for labels in LABELS:
            rows = some(y, labels, seed)
            net, head = train(x[rows], y[rows], int(y.max()) + 1, seed, steps=200)
            with torch.no_grad():
                guess = head(net(torch.from_numpy(x_test))).argmax(1).numpy()
            out[rung, "trained", labels] = float((guess == y_test).mean())
        rows = some(y, GATE, seed)
        for power in (2.0, 1.0):
            model = OffTheShelf(backbone=network, augment=True, power=power, C=CS, folds=3, random_state=0)
            out[rung, f"augmented, power {power:g}", GATE] = model.fit(x[rows], y[rows]).score(x_test, y_test)
    return out


def retrieve(network, control, gallery, other) -> dict:
    """Mean average precision of finding the other drawings of an object by its first."""
    n, views = gallery.shape[:2]
    queries, references = gallery[:, 0], gallery[:, 1:].reshape(-1, 1, 16, 16)
    other = other.reshape(-1, 1, 16, 16)
    right = np.arange(n)[:, None] == np.repeat(np.arange(n), views - 1)

    def score(features, fit_on=None, power=1.0, query_levels=1, levels=1):
        def see(x, h):
            looks = windows(torch.from_numpy(x), h)
            f = features(looks.flatten(0, 1).numpy())
            return f.reshape(*looks.shape[:2], -1)

        q, r = see(queries, query_levels), see(references, levels)
        if fit_on is None:
            q, r = unit_rows(q, power), unit_rows(r, power)
        else:
            whitening = Whitening(n_components=64, power=power).fit(features(fit_on))
            q, r = whitening.transform(q), whitening.transform(r)
        return mean_average_precision(spatial_distances(q, r), right)

    def frozen(x):
        return frozen_features(network, x)

    return {
        "pixels": score(lambda x: x.reshape(len(x), -1)),
        "HOG": score(hog),
        "random weights": score(lambda x: frozen_features(control, x)),
        "frozen": score(frozen),
        "frozen, whitened": score(frozen, other),
        "frozen, whitened, search": score(frozen, other, query_levels=2, levels=3),
        "frozen, whitened, squared, search": score(frozen, other, 2.0, query_levels=2, levels=3),
        "random weights, whitened, search": score(
            lambda x: frozen_features(control, x), other, query_levels=2, levels=3
        ),
        "whitened on the gallery (a leak)": score(frozen, references),
    }


def imagenet(seeds: int) -> dict:
    """Accuracy on emoji of one style at GATE labels a class: trained weights, the same net untrained, pixels."""
    domain = dakit.load("emoji")["noto"]
    x, y = domain.x, domain.y.numpy()
    bundled = dakit.load("emoji_features")["noto"].x.numpy()
    try:
        net = models.build("imagenet", (3, 32, 32), size=96)
    except ImportError as error:
        print(f"\nImageNet network: {error}")
        net = None
    trained = None if net is None else frozen_features(net, x)
    out: dict = {}
    for seed in range(seeds):
        ways = {"pixels": x.flatten(1).numpy(), "bundled features (drawn at 128)": bundled}
        if net is not None:
            twin, plain = untrained(net, seed=seed, x=x[:256]), untrained(net, seed=seed)
            ways |= {
                "untrained": frozen_features(twin, x),
                "untrained, batch statistics not set": frozen_features(plain, x),
                "ImageNet weights": trained,
            }
        rows = some(y, GATE, seed)
        rest = np.setdiff1d(np.arange(len(y)), rows)
        for way, f in ways.items():
            model = OffTheShelf(C=CS, folds=3, random_state=0).fit(f[rows], y[rows])
            out.setdefault(way, []).append(model.score(f[rest], y[rest]))
    return out


def spread(values) -> str:
    values = 100 * np.asarray(values)
    return f"{values.mean():5.1f} ± {values.std(ddof=1) if len(values) > 1 else np.nan:4.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The number of unique classes")  # one label a class is meant
    began = time.process_time()
    runs, found, kept = [], [], []
    for seed in range(options.seeds):
        source, rungs, gallery, other = world(seed)
        network, _ = train(*source, 12, seed, steps=1200)
        control = untrained(network, seed=seed + 100)
        before = checksum(network)
        runs.append(classify(network, control, rungs, seed))
        found.append(retrieve(network, control, gallery, other))
        kept.append(checksum(network) == before and all(p.grad is None for p in network.parameters()))
        print(f"seed {seed}: {time.process_time() - began:.0f} CPU seconds", flush=True)
    report(runs, found, kept, imagenet(options.seeds), options, began)


def report(runs, found, kept, pretrained, options, began) -> None:
    ways = ("pixels", "HOG", "random weights", "trained", "frozen")

    def at(rung, way, labels=GATE):
        return np.array([run[rung, way, labels] for run in runs])

    print(f"\naccuracy (%) on {TESTS} test pictures, mean ± sd over {len(runs)} seeds")
    for rung in RUNGS:
        print(f"\n{rung}\n{'labels a class':16}" + "".join(f"{n:>14}" for n in LABELS))
        for way in ways:
            print(f"{way:16}" + "".join(f"{spread(at(rung, way, n)):>14}" for n in LABELS))
    print(f"\n{RETRIEVAL}: mean average precision (%)")
    for way in found[0]:
        print(f"{way:36}{spread([f[way] for f in found])}")
    print(f"\nemoji, {GATE} labels a class (%)")
    for way, values in pretrained.items():
        print(f"{way:36}{spread(values)}")
    print(f"\nat {GATE} labels a class: expectation, and what was measured (points)")
    verdicts = []
    for rung in RUNGS[1:4]:
        gain = at(rung, "frozen") - at(rung, "random weights")
        verdicts.append((f"{rung}: frozen over random weights", "at least 10", gain, gain.mean() >= 0.10))
    for rung in RUNGS:
        gain = at(rung, "frozen") - at(rung, "HOG")
        verdicts.append((f"{rung}: frozen over HOG", "shrinks along the ladder", gain, None))
    for power in ("2", "1"):
        name = f"augmented, power {power}"
        gains = {rung: at(rung, name) - at(rung, "frozen") for rung in RUNGS}
        verdicts += [
            (f"{rung}: {name} over plain", "at least 0", g, g.mean() >= 0) for rung, g in gains.items()
        ]
        mean = np.mean(list(gains.values()), axis=0)
        verdicts.append((f"mean of rungs: {name} over plain", "at least 0", mean, mean.mean() >= 0))
    for what, expected, gain, holds in verdicts:
        word = "" if holds is None else ("holds" if holds else "does not hold")
        print(f"{what:56}{expected:26}{spread(gain):>14}   {word}")
    print(f"weights unchanged, no gradients: {all(kept)}")
    seconds = time.process_time() - began
    print(f"{seconds:.0f} CPU seconds, one thread")
    if options.json:
        result = {
            "seeds": len(runs),
            "accuracy": {" | ".join(map(str, key)): [run[key] for run in runs] for key in runs[0]},
            "retrieval": {way: [f[way] for f in found] for way in found[0]},
            "emoji": pretrained,
            "expectations": [
                {"what": w, "expected": e, "measured": g.tolist(), "holds": None if h is None else bool(h)}
                for w, e, g, h in verdicts
            ],
            "weights_unchanged": all(kept),
            "cpu_seconds": round(seconds, 1),
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
