"""Algorithm 1 of the DANN paper: one hidden layer, one example of each domain a step, compiled.

    hidden     h(x) = sigmoid(W x + b)                    (50)
    label      softmax(V h + c)                           (2)
    domain     o(h) = sigmoid(u h + e), 1 for the source  (1)

A step takes the next source example and a random target example and descends the label loss while the domain loss,
weighted with λ, is descended by (u, e) and ascended by (W, b). λ = 0 is a plain network. After each pass the label
error on held-out source examples is taken; training stops when it has not fallen for half as long again as it took to
reach its minimum (30 passes at least), and the weights of the best pass are kept; without held-out examples all passes
are made. Target labels play no part.

Two forms of the same arithmetic. :func:`on_sparse_rows` touches only the columns of W in which an example is not 0.
:func:`on_inner_products` is for long, dense rows: all that is ever added to W are multiples of training rows, so
W x = W_0 x + Σ_j a_j <x_j, x>, and a step needs inner products alone.

Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17 (2016), Algorithm 1 and section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

HIDDEN = 50
PASSES = 200
PATIENCE = 30


@njit(cache=True)
def _step(zs, zt, y, b, v, c, u, e, lambda_, rate):
    """One update of all but W. ``zs`` and ``zt`` (W x of both examples) are replaced by the change of W x's factor."""
    hs = 1 / (1 + np.exp(-(zs + b)))
    scores = v @ hs + c
    error = np.exp(scores - scores.max())
    error /= error.sum()
    error[y] -= 1
    to_s = (v.T @ error) * hs * (1 - hs)
    to_b = to_s.copy()
    if lambda_ > 0:
        ht = 1 / (1 + np.exp(-(zt + b)))
        os = 1 / (1 + np.exp(-(u @ hs + e[0])))
        ot = 1 / (1 + np.exp(-(u @ ht + e[0])))
        to_s += lambda_ * (1 - os) * u * hs * (1 - hs)
        to_t = -lambda_ * ot * u * ht * (1 - ht)
        to_b = to_s + to_t
        u += rate * lambda_ * ((1 - os) * hs - ot * ht)
        e[0] += rate * lambda_ * ((1 - os) - ot)
        zt[:] = -rate * to_t
    for k in range(len(error)):
        v[k] -= rate * error[k] * hs
    c -= rate * error
    b -= rate * to_b
    zs[:] = -rate * to_s


@njit(cache=True)
def _pass_over_rows(wt, sparse_s, sparse_t, ys, drawn, b, v, c, u, e, lambda_, rate):
    values_s, columns_s, starts_s = sparse_s
    values_t, columns_t, starts_t = sparse_t
    hidden = wt.shape[1]
    zs, zt = np.empty(hidden), np.empty(hidden)
    for i in range(len(ys)):
        zs[:] = 0
        zt[:] = 0
        for k in range(starts_s[i], starts_s[i + 1]):
            zs += values_s[k] * wt[columns_s[k]]
        if lambda_ > 0:
            j = drawn[i]
            for k in range(starts_t[j], starts_t[j + 1]):
                zt += values_t[k] * wt[columns_t[k]]
        _step(zs, zt, ys[i], b, v, c, u, e, lambda_, rate)
        for k in range(starts_s[i], starts_s[i + 1]):
            wt[columns_s[k]] += values_s[k] * zs
        if lambda_ > 0:
            for k in range(starts_t[j], starts_t[j + 1]):
                wt[columns_t[k]] += values_t[k] * zt


@njit(cache=True, fastmath=True)
def _sum_of_two(a, row_s, row_t, zs, zt):
    """Adds Σ_j row[j] a[j] for two rows in one sweep over ``a``."""
    for j in range(len(a)):
        for h in range(a.shape[1]):
            zs[h] += row_s[j] * a[j, h]
            zt[h] += row_t[j] * a[j, h]


@njit(cache=True)
def _pass_over_products(a, start, products, n, ys, drawn, b, v, c, u, e, lambda_, rate):
    hidden = a.shape[1]
    zs, zt = np.empty(hidden), np.empty(hidden)
    for i in range(len(ys)):
        j = n + drawn[i] if lambda_ > 0 else i
        zs[:] = start[i]
        zt[:] = start[j]
        if lambda_ > 0:
            _sum_of_two(a, products[i], products[j], zs, zt)
        else:
            zs += products[i, :n] @ a[:n]
        _step(zs, zt, ys[i], b, v, c, u, e, lambda_, rate)
        a[i] += zs
        if lambda_ > 0:
            a[j] += zt


def on_sparse_rows(
    xs: Any,
    ys: np.ndarray,
    xt: Any,
    xv: Any = None,
    yv: np.ndarray | None = None,
    *,
    lambda_: float,
    rate: float,
    seed: int,
    width: int = HIDDEN,
    passes: int | None = None,
) -> Callable[[Any], np.ndarray]:
    """Train on scipy's CSR matrices; returns the function that predicts."""
    rng = np.random.RandomState(seed)  # the generator of the authors' code, in its order
    wt = np.ascontiguousarray(_initial(rng, width, xs.shape[1]).T)
    sparse = [(x.data.astype(float), x.indices.astype(np.int64), x.indptr.astype(np.int64)) for x in (xs, xt)]

    def one_pass(rest, drawn):
        _pass_over_rows(wt, *sparse, ys, drawn, *rest, lambda_, rate)

    best, (b, v, c, _, _) = _train(
        rng, one_pass, lambda: xv @ wt, wt, ys, yv, xt.shape[0], lambda_, width, passes
    )
    return lambda x: _labels(x @ best, b, v, c)


def on_inner_products(
    x: np.ndarray, n: int, ys: np.ndarray, m: int, yv: np.ndarray, *, lambda_: float, rate: float, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Train on dense rows ``x``: n source, m target, then the held-out source; returns the function that predicts."""
    rng = np.random.RandomState(seed)
    w = _initial(rng, HIDDEN, x.shape[1]).astype(x.dtype)
    start = (x @ w.T).astype(float)
    products = (x @ x[: n + m].T).astype(float)
    a = np.zeros((n + m, HIDDEN))

    def one_pass(rest, drawn):
        _pass_over_products(a, start, products, n, ys, drawn, *rest, lambda_, rate)

    best, (b, v, c, _, _) = _train(
        rng, one_pass, lambda: start[n + m :] + products[n + m :] @ a, a, ys, yv, m, lambda_
    )
    weights = w.T + x[: n + m].T @ best.astype(x.dtype)
    return lambda x: _labels((x @ weights).astype(float), b, v, c)


def _initial(rng: np.random.RandomState, rows: int, columns: int) -> np.ndarray:
    return np.sqrt(6 / (rows + columns)) * (2 * rng.rand(rows, columns) - 1)


def _labels(z: np.ndarray, b: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
    return ((1 / (1 + np.exp(-(z + b)))) @ v.T + c).argmax(1)


def _train(rng, one_pass, held_out, first_layer, ys, yv, m, lambda_, width=HIDDEN, passes=None):
    """Passes until the held-out error has stopped to fall; first layer and the rest as they were at its minimum."""
    v = np.ascontiguousarray(_initial(rng, 2, width))
    rest = (np.zeros(width), v, np.zeros(2), np.zeros(width), np.zeros(1))
    least, go_on_until, best = 2.0, PATIENCE, None
    for t in range(PASSES if passes is None else passes):
        drawn = rng.randint(m, size=len(ys)) if lambda_ > 0 else np.zeros(0, dtype=np.int64)
        one_pass(rest, drawn)
        if yv is None:
            continue
        error = float(np.mean(_labels(held_out(), *rest[:3]) != yv))
        if error <= least:
            least, go_on_until = error, max(go_on_until, int(1.5 * t))
            best = first_layer.copy(), tuple(part.copy() for part in rest)
        elif t > go_on_until:
            break
    return (first_layer, rest) if best is None else best
