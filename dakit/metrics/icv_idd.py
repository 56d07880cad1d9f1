"""Intra-class variation and inter-domain dissimilarity: how consistent classes are, how far styles are apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from dakit.metrics.samples import as_labels, as_sample, as_tensor

ENTRIES = 2**16  # numbers in one tile of mixtures: half a MiB, stays in the cache


def idd(
    xs: Any, xt: Any, *, descriptor: str = "intensity", bins: int = 64, log_base: float | None = None
) -> float:
    """Inter-Domain Dissimilarity: Jensen-Shannon divergence between the mean descriptors of two domains.

    ``IDD = D_JS(P_s, P_t) = H((P_s + P_t)/2) - (H(P_s) + H(P_t))/2``, where ``P`` is the mean over a domain of the
    descriptor ``h(x)`` of each example, a vector of probabilities.

    .. warning::
       **What is certain.** The paper measures the dissimilarity of two styles, uses the Jensen-Shannon divergence,
       and draws values between 0 and 0.58 against ImageNet. **What is a reconstruction.** Its descriptor could not be
       checked: no code of the measures was published. That it is a pooled histogram of pixel values, with natural
       logarithms, is inferred from the size of the published numbers. Compare values with one another, computed with
       the same descriptor and bins, and not digit by digit with the paper.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, c, h, w) and (m, c, h, w), or (n, d) and (m, d)
        Images with values in [0, 1] (integers: 0 to 255), 1 or 3 channels; or features for ``descriptor="features"``.
    descriptor : {"intensity", "rgb", "features"}
        Histogram of the brightness of the pixels (luma, for colour); joint histogram of red, green and blue; softmax of
        the features. The histograms do not see where a pixel lies.
    bins : int
        Cells of the histogram. For "rgb" a cube, 64 = 4 x 4 x 4. Small images and many bins bias the divergence
        upwards: keep both fixed in a comparison.
    log_base : float, optional
        Base of the logarithms: None for nats, 2 for bits.

    Returns
    -------
    float in [0, log 2]
        0 for equal means, log 2 (0.693 nats) for descriptors without a common cell.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a histogram is asked for what are not images in [0, 1], the domains differ in channels (or features), or an
        option is out of range.

    References
    ----------
    Luo et al. (2024). Grounding stylistic domain generalization with quantitative domain shift measures and
    synthetic scene images. CVPR workshop on vision dataset understanding; arXiv 2405.15961.
    Lin (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37.

    Examples
    --------
    >>> import numpy as np
    >>> black, white = np.zeros((4, 1, 8, 8)), np.ones((4, 1, 8, 8))
    >>> idd(black, white, log_base=2)
    1.0
    """
    scale = _per_nat(log_base)
    hs, ht = describe(xs, descriptor, bins, "xs"), describe(xt, descriptor, bins, "xt")
    if hs.shape[1] != ht.shape[1]:
        raise ValueError(
            f"both domains must have the same features, got {hs.shape[1]} in xs and {ht.shape[1]} in xt"
        )
    return float(_divergences(hs.mean(0)[None], ht.mean(0)[None])[0, 0]) * scale


def icv(
    x: Any,
    y: Any,
    *,
    descriptor: str = "intensity",
    bins: int = 64,
    log_base: float | None = None,
    stat: str = "var",
) -> float:
    """Intra-Class Variation: how much the examples of one class differ, averaged over the classes of a domain.

    ``ICV = mean over classes c of stat { D_JS(h(x), h(x')) : x, x' in c, x != x' }`` with ``D_JS`` the Jensen-Shannon
    divergence and ``h`` the descriptor of an example, as in :func:`idd`.

    .. warning::
       **What is certain.** The paper measures how consistent the classes of one domain are, and uses the
       Jensen-Shannon divergence. **What is a reconstruction.** Neither the descriptor nor the statistic could be
       checked. ``stat="var"`` is chosen because it alone, among the readings tried, has the size of the published
       values (0.0002 for strokes, 0.01 to 0.04 for photographs); it is not monotone, and is 0 for a class whose
       examples are all equally far apart. ``stat="mean"`` is the plain and monotone reading, about ten times the
       published values. Neither is the paper's confirmed formula.

    Parameters
    ----------
    x : array or tensor of shape (n, c, h, w) or (n, d)
        Images or features, as in :func:`idd`.
    y : array or tensor of shape (n,)
        Labels; any names. Classes with a single example have no pairs and are left out.
    descriptor, bins, log_base
        As in :func:`idd`.
    stat : {"var", "mean"}
        Variance (of all the pairs, denominator their number) or mean of the divergences.

    Returns
    -------
    float, at least 0
        With "mean" at most log 2, with "var" at most (log 2)²/4.

    Raises
    ------
    TypeError, ValueError
        As for :func:`idd`, and if labels are missing or no class has two examples.

    Notes
    -----
    All pairs of a class are visited in blocks: time O(sum of n_c² x cells), memory O(n x cells).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((4, 1, 8, 8))
    >>> x[3] = 1  # class 1 holds a black and a white picture, class 0 two black ones
    >>> icv(x, [0, 0, 1, 1], stat="mean", log_base=2)
    0.5
    """
    if stat not in ("var", "mean"):
        raise ValueError(f"stat must be 'var' or 'mean', got {stat!r}")
    scale = _per_nat(log_base)
    h = describe(x, descriptor, bins, "x")
    y = as_labels(y, len(h))
    found = []
    for c in range(y.max() + 1):
        of_class = h[y == c]
        pairs = len(of_class) * (len(of_class) - 1) // 2
        if pairs:
            total, squares = _pair_sums(of_class)
            mean = total / pairs
            found.append(mean * scale if stat == "mean" else max(0.0, squares / pairs - mean**2) * scale**2)
    if not found:
        raise ValueError("icv compares examples of one class, but no class of y has two examples")
    return float(np.mean(found))


def describe(x: Any, descriptor: str, bins: int, name: str = "x") -> np.ndarray:
    """The descriptor of each example, (n, cells) float64, rows summing to 1."""
    if descriptor == "features":
        z = as_sample(x, name, at_least=1).double()
        return torch.softmax(z, dim=1).cpu().numpy()
    if descriptor not in ("intensity", "rgb"):
        raise ValueError(f"descriptor must be 'intensity', 'rgb' or 'features', got {descriptor!r}")
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}")
    images = _images(x, descriptor, name)
    if descriptor == "intensity":
        return _histograms(images, bins, luma=True)
    side = round(bins ** (1 / 3))
    if side**3 != bins:
        raise ValueError(f"bins of an rgb histogram must be a cube such as 8, 27, 64 or 512, got {bins}")
    return _histograms(images, side, luma=False)


def _images(x: Any, descriptor: str, name: str) -> torch.Tensor:
    """Finite images (n, c, h, w), checked to have 1 or 3 channels and values in [0, 1]."""
    x = x if isinstance(x, torch.Tensor) else np.asarray(x)
    whole = not x.is_floating_point() if isinstance(x, torch.Tensor) else x.dtype.kind in "iu"
    images = as_tensor(x, name)
    allowed = (3,) if descriptor == "rgb" else (1, 3)
    if images.ndim != 4 or images.shape[1] not in allowed:
        raise ValueError(
            f"descriptor {descriptor!r} needs images of shape (n, {' or '.join(map(str, allowed))}, height, width), "
            f"but {name} has shape {tuple(images.shape)}; for other data take descriptor='features'"
        )
    as_sample(images, name, at_least=1)
    if whole:
        images = images / 255
    low, high = float(images.min()), float(images.max())
    # A hair outside is rounding of whatever scaled the images; it falls into the outermost cells.
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(
            f"descriptor {descriptor!r} needs values in [0, 1], but {name} runs from {low:.3g} to {high:.3g}; "
            "rescale it, or undo its normalisation"
        )
    return images


def _histograms(images: torch.Tensor, side: int, *, luma: bool) -> np.ndarray:
    """Share of the pixels of each image in each cell; ``side`` cells along each channel, or along luma."""
    n, channels = images.shape[:2]
    pixels = images.flatten(2)
    cells = side if luma else side**3
    out = np.empty((n, cells))
    step = max(1, ENTRIES // pixels.shape[2])
    for start in range(0, n, step):
        block = pixels[start : start + step].double()
        if luma:
            weights = (1.0,) if channels == 1 else (0.299, 0.587, 0.114)  # Rec. 601
            block = sum(w * block[:, c : c + 1] for c, w in enumerate(weights))
        index = (block * side).long().clamp_(0, side - 1)  # 1.0 belongs to the last cell
        flat = index[:, 0]
        for c in range(1, index.shape[1]):
            flat = flat * side + index[:, c]
        rows = torch.arange(len(flat), device=flat.device)[:, None] * cells
        counts = torch.bincount((flat + rows).flatten(), minlength=len(flat) * cells)
        out[start : start + step] = counts.view(len(flat), cells).cpu().numpy() / pixels.shape[2]
    return out


def _xlogx(p: np.ndarray) -> np.ndarray:
    """``p log p``, 0 at 0. Overwrites nothing."""
    return np.log(np.maximum(p, 1e-300)) * p


def _divergences(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """D_JS in nats between each row of ``p`` (a, k) and each row of ``q`` (b, k): a matrix (a, b).

    With s = p + q, ``D_JS = log 2 - (sum s log s - sum p log p - sum q log q) / 2``: one logarithm per number.
    """
    own = _xlogx(p).sum(1)[:, None] + _xlogx(q).sum(1)
    mixed = np.empty((len(p), len(q)))
    step = max(1, ENTRIES // (len(q) * q.shape[1]))
    for start in range(0, len(p), step):
        s = p[start : start + step, None] + q
        mixed[start : start + step] = _xlogx(s).sum(2)
    return np.clip(math.log(2) - (mixed - own) / 2, 0.0, math.log(2))


def _pair_sums(h: np.ndarray) -> tuple[float, float]:
    """Sum and sum of squares of D_JS over all pairs of different rows, a block of rows at a time."""
    total = squares = 0.0
    step = max(1, int(math.sqrt(ENTRIES / h.shape[1])))
    for i in range(0, len(h), step):
        rows = h[i : i + step]
        inside = _divergences(rows, rows)[np.triu_indices(len(rows), 1)]
        total, squares = total + inside.sum(), squares + np.square(inside).sum()
        for j in range(i + step, len(h), step):
            across = _divergences(rows, h[j : j + step])
            total, squares = total + across.sum(), squares + np.square(across).sum()
    return float(total), float(squares)


def _per_nat(log_base: float | None) -> float:
    """What a value in nats is multiplied by to be in the unit of ``log_base``."""
    if log_base is None:
        return 1.0
    if not (log_base > 1 and math.isfinite(log_base)):
        raise ValueError(f"log_base must be greater than 1, or None for natural logarithms, got {log_base}")
    return 1 / math.log(log_base)
