"""How tightly target examples gather in the space of predictions or features: scores without labels."""

from __future__ import annotations

import math
from typing import Any

import torch

from dakit.metrics.pairwise import blocks, exact_float32
from dakit.metrics.samples import as_labels, as_sample
from dakit.metrics.silhouettes import mean_silhouette

INDICES = ("silhouette", "calinski_harabasz", "davies_bouldin")


def snd(z: Any, *, temperature: float = 0.05, block: int = 1024) -> float:
    """Soft neighbourhood density: mean entropy of each example's distribution over neighbours. Higher is better.

    ``SND = mean_i H(q_i)``, ``q_ij = exp(s_ij / temperature) / sum_{l != i} exp(s_il / temperature)`` with ``s`` the
    cosine similarity and j ranging over the other examples. High where every example has many equally near neighbours:
    few dense clusters. Collapse onto one point reaches the best value, so that it is safe only beside a source accuracy
    that has not fallen.

    Parameters
    ----------
    z : array or tensor of shape (n, k) or (n, d)
        Predicted probabilities of the target, as in the paper, or features. Rows are brought to unit length.
    temperature : float
    block : int
        Rows of the similarity matrix in memory at once; does not change the result beyond rounding.

    Returns
    -------
    float in [0, log(n - 1)]
        In nats. It grows with n: compare at equal n only.

    Raises
    ------
    TypeError
        If ``z`` is not numeric.
    ValueError
        If there are fewer than 3 examples, a row is zero or not finite, or ``temperature`` is not positive.

    Notes
    -----
    Exact: O(n² d) time, O(n (d + block)) memory.

    References
    ----------
    Saito, Kim, Teterwak, Sclaroff, Darrell, Saenko (2021). Tune it the right way: unsupervised validation of domain
    adaptation via soft neighborhood density. ICCV.

    Examples
    --------
    >>> round(snd([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), 4)  # two equal neighbours each: log 2
    0.6931
    """
    z = as_sample(z, "z", at_least=3)
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be a positive number, got {temperature}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    largest = z.abs().amax(1, keepdim=True)
    if bool((largest == 0).any()):
        raise ValueError(
            f"{int((largest == 0).sum())} rows of z are zero and have no direction; drop them first"
        )
    z = z.double() / largest.double()  # first by the largest entry: squares of tiny values would vanish
    z /= torch.linalg.vector_norm(z, dim=1, keepdim=True)
    total = 0.0
    with exact_float32():
        for at in blocks(len(z), tile=block):
            s = (z[at] @ z.T) / temperature
            s.diagonal(at.start).fill_(-math.inf)
            total += float(torch.special.entr(torch.softmax(s, dim=1)).sum())
    return min(max(0.0, total / len(z)), math.log(len(z) - 1))


def cluster_score(
    z: Any, labels: Any, *, index: str = "silhouette", max_points: int = 2000, seed: int = 0
) -> float:
    """How well pseudo-labels describe clusters of the target's features. Higher is better.

    Parameters
    ----------
    z : array or tensor of shape (n, d)
        Features of the target.
    labels : array or tensor of shape (n,)
        Pseudo-labels: the predicted classes.
    index : {"silhouette", "calinski_harabasz", "davies_bouldin"}
        Mean silhouette, in [-1, 1]; ratio of the scatter between to that within clusters, each over its degrees of
        freedom, at least 0 and without upper limit; Davies-Bouldin index with its sign changed, at most 0.
    max_points : int
        The silhouette looks at all pairs; beyond this number of examples it takes a random sample of them.
    seed : int
        Which sample.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the features are not finite numbers, fewer than two classes are predicted (there are no clusters to compare),
        every example is alone in its class, all points of each cluster are equal (silhouette excepted), or an option is
        unknown.

    References
    ----------
    Rousseeuw (1987). Silhouettes. J. Comput. Appl. Math. 20. Caliński, Harabasz (1974). A dendrite method for cluster
    analysis. Commun. Stat. 3. Davies, Bouldin (1979). A cluster separation measure. IEEE TPAMI 1.

    Examples
    --------
    >>> round(cluster_score([[0.0], [0.0], [4.0], [4.0]], [0, 0, 1, 1]), 3)
    1.0
    """
    if index not in INDICES:
        raise ValueError(f"index must be one of {', '.join(map(repr, INDICES))}, got {index!r}")
    z = as_sample(z, "z", at_least=3)
    labels = as_labels(labels, len(z), "labels")
    _check_clusters(int(labels.max()) + 1, len(labels))
    if index == "silhouette":
        return mean_silhouette(z, labels, max_points=max_points, seed=seed)
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    z = z.double()
    z = z - z.mean(0)  # not in place: it may be the caller's
    scale = float(z.abs().max())
    if scale > 0:
        z = (z / scale).cpu().numpy()  # both indices are free of the scale, their squares are not
        spread = max(float(z[labels == c].std(axis=0).max()) for c in range(labels.max() + 1))
    if scale == 0 or spread < 1e-12:
        raise ValueError(f"each cluster is a single point, so {index} is undefined; use index='silhouette'")
    if index == "calinski_harabasz":
        return float(calinski_harabasz_score(z, labels))
    return -float(davies_bouldin_score(z, labels))


def _check_clusters(k: int, n: int) -> None:
    if k < 2:
        raise ValueError("all examples have one pseudo-label, so there are no clusters to compare")
    if k >= n:
        raise ValueError(
            f"each of the {n} examples has a pseudo-label of its own; clusters need two examples"
        )
