"""TCA, JDA and BDA as their papers write them, with (n+m, n+m) matrices and a general eigenvalue solver."""

import numpy as np
from scipy.linalg import eig
from sklearn.neighbors import KNeighborsClassifier


def mmd_matrix(ys, pseudo, m, mu=0.5, weighted=False):
    """M before its norm: (1 - μ) C M_0 + μ Σ M_c, entry by entry."""
    n, labels = len(ys), np.unique(ys)
    domain = np.repeat([0, 1], [n, m])
    size = np.array([n, m])
    m0 = np.array([[(1 if a == b else -1) / (size[a] * size[b]) for b in domain] for a in domain])
    if pseudo is None:
        return m0
    total = (1 - mu) * len(labels) * m0
    label = np.concatenate([ys, pseudo])
    for c in labels:
        count = np.array([(ys == c).sum(), (pseudo == c).sum()])
        share = count / size if weighted else np.ones(2)
        for i in range(n + m):
            for j in range(n + m):
                if label[i] == label[j] == c:
                    a, b = domain[i], domain[j]
                    sign = 1 if a == b else -1
                    total[i, j] += mu * sign * np.sqrt(share[a] * share[b]) / (count[a] * count[b])
    return total


def embedding(k, m_matrix, components, lambda_, *, unit=True):
    """K A (n+m, components) for a kernel matrix, up to the signs of its columns."""
    n = len(k)
    m_matrix = m_matrix / np.linalg.norm(m_matrix)
    h = np.eye(n) - np.ones((n, n)) / n
    values, a = eig(np.linalg.solve(k @ m_matrix @ k + lambda_ * np.eye(n), k @ h @ k))
    a = a[:, np.argsort(-values.real)[:components]].real
    a /= np.linalg.norm(a, axis=0) if unit else np.sqrt(np.diag(a.T @ k @ h @ k @ a))
    return k @ a


def rows_of_length_one(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def jda(xs, ys, xt, *, components, lambda_, iterations, mu=0.5, weighted=False):
    """Pseudo-labels after every iteration."""
    x = rows_of_length_one(np.concatenate([xs, xt]))
    pseudo, history = None, []
    for _ in range(iterations):
        m_matrix = mmd_matrix(ys, pseudo, len(xt), mu, weighted)
        z = rows_of_length_one(embedding(x @ x.T, m_matrix, components, lambda_))
        pseudo = KNeighborsClassifier(1).fit(z[: len(xs)], ys).predict(z[len(xs) :])
        history.append(pseudo)
    return history
