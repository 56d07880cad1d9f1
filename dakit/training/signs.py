"""Numbers of one snapshot that say how a training is doing: the health columns of the history."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dakit.training.run import Snapshot


def columns(snapshot: "Snapshot") -> dict[str, float]:
    """The health columns of the history.

    Returns
    -------
    dict
        ``source_spread``, ``target_spread``: root mean variance of the features. ``effective_rank``: exp of the entropy
        of the pooled features' normalised singular values (Roy and Vetterli 2007), 1 when all lie on a line.
        ``target_entropy``: mean entropy of the target predictions in units of log k, 0 sure to 1 undecided.
        ``target_balance``: half the L1 distance of the mean predictions on target and source, 0 alike to 1 disjoint.
        Where one domain is missing, only the other's spread and the rank.
    """
    fs, ft = snapshot.source_features, snapshot.target_features
    if not len(fs) or not len(ft):
        return _of_one(fs, ft)
    ps, pt = softmax(snapshot.source_logits), softmax(snapshot.target_logits)
    entropy = -(pt * np.log(np.clip(pt, 1e-12, None))).sum(axis=1).mean() / math.log(pt.shape[1])
    return {
        "source_spread": float(np.sqrt(fs.var(axis=0).mean())),
        "target_spread": float(np.sqrt(ft.var(axis=0).mean())),
        "effective_rank": effective_rank(np.concatenate([_some(fs), _some(ft)])),
        "target_entropy": float(entropy),
        "target_balance": float(np.abs(ps.mean(axis=0) - pt.mean(axis=0)).sum() / 2),
    }


def _of_one(fs: np.ndarray, ft: np.ndarray) -> dict[str, float]:
    """What can be said where only one domain was given."""
    spreads = {
        f"{side}_spread": float(np.sqrt(f.var(axis=0).mean()))
        for side, f in (("source", fs), ("target", ft))
        if len(f)
    }
    return {**spreads, "effective_rank": effective_rank(_some(np.concatenate([fs, ft])))}


def _some(x: np.ndarray, most: int = 256) -> np.ndarray:
    return x[:: math.ceil(len(x) / most)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of probabilities from rows of logits."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def effective_rank(x: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values of centred rows, between 1 and min(n, d); 0 for a point.

    Examples
    --------
    >>> round(effective_rank(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])), 6)
    2.0
    """
    from dakit.metrics import rankme

    return rankme(x, centred=True) if np.isfinite(x).all() else float("nan")
