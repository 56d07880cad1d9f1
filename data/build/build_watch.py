"""Build ``watch.npz``: windows of a smartwatch's accelerometer and gyroscope during seven shoulder exercises.

Recordings at 50 Hz are cut into windows of 128 samples (2.56 s) that do not overlap; the mean of two neighbouring
samples then leaves 64 steps at 25 Hz.

    python data/build/build_watch.py --cache CACHE [--check]
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from packages import command_line, finish, member, pypi

PACKAGE = ("seglearn", "1.2.5")
SAMPLES, STEPS = 128, 64  # of a window: as recorded, and as shipped
# Labels of the recordings, in their order, and what they stand for.
EXERCISES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
CHANNELS = ["ax", "ay", "az", "wx", "wy", "wz"]


def windows(recording: np.ndarray) -> np.ndarray:
    """(samples, channels) to (windows, channels, STEPS); what is left over at the end is dropped."""
    count = len(recording) // SAMPLES
    cut = recording[: count * SAMPLES].reshape(count, STEPS, SAMPLES // STEPS, recording.shape[1])
    return cut.mean(2).transpose(0, 2, 1)


def arrays_of(data: Mapping) -> dict[str, np.ndarray]:
    """Windows in order of subject, exercise, side and time."""
    if list(data["y_labels"]) != list(EXERCISES) or list(data["X_labels"]) != CHANNELS:
        raise ValueError(f"unexpected labels: {data['y_labels']}, {data['X_labels']}")
    subject, y, side = (np.asarray(data[key]).astype(int) for key in ("subject", "y", "side"))
    subjects = np.unique(subject)
    x, columns = [], []
    for recording, i in enumerate(np.lexsort([side, y, subject])):
        x.append(windows(np.asarray(data["X"][i], np.float64)))
        facts = (y[i], np.searchsorted(subjects, subject[i]), side[i], recording)
        columns += [(*facts, at) for at in range(len(x[-1]))]
    label, domain, right, recording, window = np.array(columns).T
    return {
        "x": np.concatenate(x).astype(np.float16),
        "y": label.astype(np.uint8),
        "domain": domain.astype(np.uint8),
        "classes": np.array(list(EXERCISES.values())),
        "domains": np.array([f"subject-{s:02d}" for s in subjects]),
        "features": np.array(CHANNELS),
        "meta_side": np.where(right == 1, "right", "left"),
        "meta_recording": recording.astype(np.uint8),
        "meta_window": window.astype(np.uint8),
    }


def main() -> None:
    options = command_line("Build watch.npz.")
    packed = member(pypi(*PACKAGE, options.cache), "seglearn/data/watch_dataset.npy")
    # The package keeps its recordings as a pickled dictionary; this version of it was looked at.
    data = np.load(io.BytesIO(packed), allow_pickle=True).item()
    finish({"watch": arrays_of(data)}, options)


if __name__ == "__main__":
    main()
