"""Labels of two samples in one numbering."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from dakit.metrics.samples import as_labels


def shared_codes(ys: Any, yt: Any, n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sorted classes of both samples, and the index of each label among them.

    Raises
    ------
    TypeError
        If one sample is labelled by text and the other by numbers.
    ValueError
        If a sample does not have one label per example, labels are missing, or no class occurs in both samples.
    """
    ys, yt = (np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y) for y in (ys, yt))
    as_labels(ys, n, "ys"), as_labels(yt, m, "yt")
    ys, yt = (y.astype(str) if y.dtype.kind == "O" else y for y in (ys, yt))
    texts = [y.dtype.kind in "US" for y in (ys, yt)]
    if texts[0] != texts[1]:
        raise TypeError(
            f"ys and yt must name classes alike, got dtype {ys.dtype} in ys and {yt.dtype} in yt; "
            "convert both to text or both to numbers"
        )
    if len(np.intersect1d(ys, yt)) == 0:
        raise ValueError(
            f"no class occurs in both samples: ys holds {_some(np.unique(ys))}, yt {_some(np.unique(yt))}"
        )
    classes, codes = np.unique(np.concatenate([ys, yt]), return_inverse=True)
    return classes, codes[:n], codes[n:]


def _some(classes: np.ndarray) -> str:
    return ", ".join(map(str, classes[:4].tolist())) + (", ..." if len(classes) > 4 else "")
