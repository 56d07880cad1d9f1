import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dakit.methods import MSDA
from dakit.methods.align.msda import denoising_map, hidden
from tests.methods.align.estimator_checks import sklearn_checks
from tests.methods.align.toy_shifts import gains, gaussians


def by_all_masks(x, noise, restored=None, seen=None):
    """Least squares over every corrupted copy there is, each with its probability."""
    n, d = x.shape
    seen = range(d) if seen is None else seen
    inputs, outputs, weights = [], [], []
    for mask in itertools.product([0, 1], repeat=len(seen)):
        inputs.append(np.hstack([x[:, seen] * mask, np.ones((n, 1))]))
        outputs.append(x if restored is None else x[:, restored])
        weights += [np.sqrt(np.prod([noise if bit == 0 else 1 - noise for bit in mask]))] * n
    weights = np.array(weights)[:, None]
    return np.linalg.lstsq(np.concatenate(inputs) * weights, np.concatenate(outputs) * weights)[0].T


def test_by_hand():
    # S = 8 for both features and between them, q = 1/2: Q = [[4, 2], [2, 4]], P = [4, 4], W = P Q^-1 = 2/3.
    w = denoising_map(np.array([[2.0, 2.0], [-2.0, -2.0]]), ridge=0.0)
    np.testing.assert_allclose(w, [[2 / 3, 2 / 3, 0], [2 / 3, 2 / 3, 0]], atol=1e-15)


@pytest.mark.parametrize("noise", [0.2, 0.5, 0.9])
def test_closed_form_is_least_squares_over_all_corruptions(noise):
    x = gaussians(20, d=5)[0]
    np.testing.assert_allclose(denoising_map(x, noise=noise, ridge=0.0), by_all_masks(x, noise), atol=1e-9)
    parts = {"restored": np.array([1, 3]), "seen": np.array([0, 3, 4])}
    np.testing.assert_allclose(
        denoising_map(x, noise=noise, ridge=0.0, **parts), by_all_masks(x, noise, **parts), atol=1e-9
    )


def test_without_noise_nothing_is_to_restore():
    x = gaussians()[0]
    np.testing.assert_allclose(denoising_map(x, noise=0.0, ridge=0.0), np.eye(4, 5), atol=1e-9)


def test_float32_is_near_and_stays_float32():
    x = np.random.default_rng(0).poisson(0.3, size=(80, 30)).astype(np.float32)
    single, double = denoising_map(x), denoising_map(x.astype(float))
    assert single.dtype == np.float32
    assert hidden(x, single).dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-4)


def test_layers_are_stacked_each_on_the_last():
    xs, ys, xt = gaussians()
    model = MSDA(layers=2).fit_domains(xs, ys, xt)
    both = np.concatenate([xs, xt])
    one = np.tanh(np.hstack([both, np.ones((110, 1))]) @ denoising_map(both).T)
    two = np.tanh(np.hstack([one, np.ones((110, 1))]) @ denoising_map(one).T)
    np.testing.assert_allclose(model.transform(both), np.hstack([both, one, two]), atol=1e-12)


def test_pivots_are_the_most_frequent_features_of_both_domains():
    x = np.array([[1, 0, 0, 2.0], [1, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0, 3], [1, 0, 0, 1]])
    model = MSDA(pivots=2, layers=3).fit(x, [0, 1, 1, -1, -1])
    assert model.pivots_.tolist() == [0, 3]
    assert [w.shape for w in model.maps_] == [(2, 5), (2, 3), (2, 3)]
    assert model.transform(x).shape == (5, 4 + 3 * 2)


def test_all_features_as_pivots_is_the_full_map():
    xs, ys, xt = gaussians()
    full = MSDA(layers=2).fit_domains(xs, ys, xt)
    pivots = MSDA(layers=2, pivots=4, random_state=0).fit_domains(xs, ys, xt)
    np.testing.assert_allclose(pivots.transform(xt), full.transform(xt), atol=1e-9)


def test_parts_are_averaged():
    xs, ys, xt = gaussians(d=6)
    model = MSDA(layers=1, pivots=3, random_state=3).fit_domains(xs, ys, xt)
    x, order = np.concatenate([xs, xt]), np.random.RandomState(3).permutation(6)
    guesses = []
    for part in (order[:3], order[3:]):
        w = by_all_masks(x, 0.5, restored=model.pivots_, seen=part)
        guesses.append(np.hstack([x[:, part], np.ones((len(x), 1))]) @ w.T)
    np.testing.assert_allclose(model.transform(x)[:, 6:], np.tanh(np.mean(guesses, axis=0)), atol=1e-6)


def test_order_of_rows_and_features():
    xs, ys, xt = gaussians()
    a = MSDA().fit_domains(xs, ys, xt).transform(xt)
    b = MSDA().fit_domains(xs[::-1], ys[::-1], xt[::-1]).transform(xt)
    np.testing.assert_allclose(a, b, atol=1e-9)
    flipped = MSDA().fit_domains(xs[:, ::-1], ys, xt[:, ::-1]).transform(xt[:, ::-1])
    order = np.concatenate([np.arange(4)[::-1] + 4 * layer for layer in range(6)])
    np.testing.assert_allclose(a, flipped[:, order], atol=1e-9)


def test_a_feature_that_never_occurs_is_never_guessed():
    xs, ys, xt = gaussians()
    xs[:, 2] = xt[:, 2] = 0
    z = MSDA(layers=1).fit_domains(xs, ys, xt).transform(xt)
    assert (z[:, 4 + 2] == 0).all()


def words(seed, n=150):
    """Three words a class in both domains, and five of its own in each; a text has few of them."""
    rng = np.random.default_rng(seed)

    def domain(own):
        y = np.arange(n) % 2
        rates = np.full((n, 26), 0.05)
        for k in (0, 1):
            rates[y == k, 3 * k : 3 * k + 3] = 0.25
            rates[np.ix_(y == k, own[k])] = 0.6
        rates[:, [j for j in range(6, 26) if j not in np.concatenate(own)]] = 0
        return rng.poisson(rates).astype(float), y

    def own(start):
        return np.arange(start, start + 5), np.arange(start + 5, start + 10)

    xs, ys = domain(own(6))
    xt, yt = domain(own(16))
    return xs, ys, xt, yt


def test_it_helps_where_the_domains_have_words_of_their_own_over_seeds():
    gain = gains(MSDA(estimator=LogisticRegression()), words)
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)), gain


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"noise": 1.0}, ValueError, "noise must be less than 1"),
        ({"noise": -0.1}, ValueError, "noise must be a number of at least 0 and at most 1"),
        ({"layers": 0}, ValueError, "layers must be an integer of at least 1"),
        ({"layers": 2.5}, TypeError, "layers must be an integer"),
        ({"pivots": 5}, ValueError, "pivots must be an integer from 1 to 4"),
        ({"ridge": -1}, ValueError, "ridge must be a number of at least 0"),
    ],
)
def test_bad_parameters(options, error, words):
    with pytest.raises(error, match=words):
        MSDA(**options).fit_domains(*gaussians())


def test_a_map_that_is_not_unique():
    xs, ys, xt = gaussians()
    twice = np.hstack([xs, xs]), ys, np.hstack([xt, xt])
    with pytest.raises(ValueError, match="raise ridge"):
        MSDA(noise=0.0, ridge=0.0).fit_domains(*twice)


def test_target_labels_are_not_read():
    xs, ys, xt = gaussians()
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -1], [60, 50])
    a, b = (MSDA().fit(x, np.append(ys, yt), domain) for yt in (np.zeros(50), np.arange(50) % 7 - 1))
    np.testing.assert_array_equal(a.predict(xt), b.predict(xt))
    np.testing.assert_array_equal(a.transform(xt), b.transform(xt))


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(MSDA(layers=2)))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
