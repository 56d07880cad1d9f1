"""A small made-up training for the tests of views: three classes, two domains, four moments."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

CLASSES = ("cat", "dog", "fish")


def training(n: int = 60, d: int = 6, shots: int = 4, seed: int = 0):
    """A run with ``shots`` snapshots in which the domains draw closer, and the labels of its rows."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.eye(3, d)
    ys, yt = np.arange(n) % 3, (np.arange(n + 10) // 2) % 3
    noise_s, noise_t = rng.normal(size=(n, d)), rng.normal(size=(n + 10, d))
    away = np.zeros(d)
    away[-1] = 12
    snapshots = []
    for i in range(shots):
        gap = 1 - i / max(1, shots - 1)
        source = (noise_s + centres[ys]).astype(np.float32)
        target = (noise_t + centres[yt] + gap * away).astype(np.float32)
        snapshots.append(
            SimpleNamespace(
                step=100 * i,
                source_features=source,
                target_features=target,
                source_logits=source @ centres.T,
                target_logits=np.roll(target @ centres.T, 1 if gap > 0.5 else 0, axis=1),
            )
        )
    run = SimpleNamespace(snapshots=snapshots, source_index=np.arange(n), target_index=np.arange(n + 10))
    return run, ys, yt


def recorded(seed: int = 0, steps: int = 30):
    """A run with a history only."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    frame = pd.DataFrame(
        {
            "step": step,
            "progress": step / steps,
            "lr": 0.01,
            "label": 2 / step + rng.random(steps) / 100,
            "source_accuracy": np.where(step % 10 == 0, step / steps, np.nan),
        }
    )
    return SimpleNamespace(history=frame)
