"""Does calibration survive the shift? A table before and after temperature scaling on the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit.metrics.calibration import brier, ece
from dakit.metrics.logit_scaling import log_softmax, mean_nll, temperature_scaling
from dakit.metrics.probabilities import as_class_indices, as_logits

if TYPE_CHECKING:
    import pandas as pd


def calibration_under_shift(
    logits_s: Any,
    ys: Any,
    logits_t: Any,
    yt: Any,
    *,
    bins: int = 15,
    classes: Sequence[Any] | None = None,
) -> pd.DataFrame:
    """Calibration on source and target, before and after temperature scaling that has seen source labels alone.

    Target labels serve the evaluation only. A temperature fitted on the source repairs the source; under shift the
    target usually stays too sure of itself.

    Parameters
    ----------
    logits_s, logits_t : array or tensor of shape (n, k) and (m, k)
        Held-out source examples, and target examples.
    ys, yt : array of shape (n,) and (m,)
    bins, classes
        As for :func:`ece` and :func:`temperature_scaling`.

    Returns
    -------
    pandas.DataFrame
        Rows (domain, scaling): source and target, each ``raw`` and ``scaled``. Columns ``accuracy``, ``confidence``
        (its mean), ``nll``, ``brier``, ``ece`` and ``temperature``.

    Warns
    -----
    UserWarning
        As for :func:`temperature_scaling`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`temperature_scaling`.

    References
    ----------
    Ovadia et al. (2019). Can you trust your model's uncertainty? NeurIPS.

    Examples
    --------
    >>> logits = [[2.0, 0.0]] * 4
    >>> table = calibration_under_shift(logits, [0, 0, 0, 1], logits, [0, 1, 1, 1])
    >>> table["ece"].round(2).tolist()
    [0.13, 0.0, 0.63, 0.5]
    """
    import pandas as pd

    logits_s = as_logits(logits_s, "logits_s")
    logits_t = as_logits(logits_t, "logits_t", classes=logits_s.shape[1])
    ys = as_class_indices(ys, *logits_s.shape, "ys", classes=classes)
    yt = as_class_indices(yt, *logits_t.shape, "yt", classes=classes)
    temperature = temperature_scaling(logits_s, ys).temperature
    rows = {}
    for domain, logits, y in (("source", logits_s, ys), ("target", logits_t, yt)):
        for name, t in (("raw", 1.0), ("scaled", temperature)):
            probs = np.exp(log_softmax(logits / t))
            rows[domain, name] = {
                "accuracy": float((logits.argmax(1) == y).mean()),
                "confidence": float(probs.max(1).mean()),
                "nll": mean_nll(logits / t, y),
                "brier": brier(probs, y),
                "ece": ece(probs, y, bins=bins),
                "temperature": t,
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.names = ["domain", "scaling"]
    return table
