import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

from dakit import models
from dakit.methods import OffTheShelf
from dakit.models.frozen import checksum, frozen_features, untrained
from dakit.models.looks import sixteen_views
from tests.methods.align.estimator_checks import sklearn_checks


def features(n=60, d=8, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + 2 * np.eye(d)[y], y


def pictures(n=24, seed=0):
    """Bright on the left or on the right, in noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = 0.4 * rng.random((n, 1, 16, 16))
    x[y == 0, :, :8] += 0.4
    x[y == 1, :, 8:] += 0.4
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return models.build("lenet", (1, 16, 16), width=4, features=12, norm="batch")


def test_by_hand():
    model = OffTheShelf().fit([[3.0, 4.0], [6.0, 8.0], [4.0, -3.0], [8.0, -6.0]], [0, 0, 1, 1])
    np.testing.assert_allclose(model.transform([[30.0, 40.0]]), [[0.6, 0.8]])
    # Two opposite classes at (0.6, 0.8) and (0.8, -0.6): the scores are equal and opposite.
    a, b = model.decision_function([[3.0, 4.0], [4.0, -3.0]])
    assert a == pytest.approx(-b, abs=1e-3)
    assert model.predict([[0.3, 0.4], [400.0, -300.0]]).tolist() == [0, 1]


def test_against_scikit_learns_pipeline():
    x, y = features()
    model = OffTheShelf(C=10.0).fit(x, y)
    reference = make_pipeline(Normalizer(), LinearSVC(C=10.0, max_iter=20_000)).fit(x, y)
    np.testing.assert_allclose(model.decision_function(x), reference.decision_function(x), atol=1e-3)
    np.testing.assert_array_equal(model.predict(x), reference.predict(x))


def test_one_machine_for_each_class_against_the_rest():
    x, y = features()
    model = OffTheShelf().fit(x, y)
    for c in range(3):
        single = OffTheShelf().fit(x, (y == c).astype(int))
        np.testing.assert_allclose(single.decision_function(x), model.decision_function(x)[:, c], atol=1e-3)


def test_the_network_stays_as_it_is(net):
    """Acceptance 1: same weights and buffers before and after, and no gradient anywhere."""
    x, y = pictures()
    net.train()
    before, modes = checksum(net), [m.training for m in net.modules()]
    for augment in (False, True):
        model = OffTheShelf(backbone=net, augment=augment, C=[0.1, 10.0]).fit(x, y)
        model.predict(x)
    assert checksum(net) == before
    assert all(p.grad is None for p in net.parameters())
    assert [m.training for m in net.modules()] == modes
    assert all(p.requires_grad for p in net.parameters())  # left as they came


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
def test_rows_have_length_one_and_scale_does_not_matter(power):
    """Acceptance 2."""
    x, y = features()
    model = OffTheShelf(power=power).fit(x, y)
    np.testing.assert_allclose(np.linalg.norm(model.transform(x), axis=1), 1)
    for c in (1e-12, 0.3, 1e12):
        np.testing.assert_array_equal(model.predict(c * x), model.predict(x))
        np.testing.assert_array_equal(OffTheShelf(power=power).fit(c * x, y).predict(x), model.predict(x))
    each = np.exp(np.random.default_rng(1).normal(size=(len(x), 1)))  # even one factor a row
    np.testing.assert_array_equal(model.predict(each * x), model.predict(x))


def test_signed_power_keeps_signs_and_zeros():
    model = OffTheShelf(power=2).fit(*features(d=3))
    z = model.transform([[-1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(z, [np.array([-1, 4, 0]) / np.sqrt(17), [0, 0, 0]])


def test_the_rows_of_pictures_are_the_networks_features(net):
    x, y = pictures()
    f = frozen_features(net, x)
    by_hand = OffTheShelf().fit(f, y)
    model = OffTheShelf(backbone=net).fit(x, y)
    np.testing.assert_allclose(model.transform(x), by_hand.transform(f), atol=1e-6)
    assert model.n_features_in_ == 12
    flat = x.reshape(len(x), -1)
    np.testing.assert_array_equal(OffTheShelf(backbone=net).fit(flat, y).predict(flat), model.predict(x))
    np.testing.assert_allclose(
        OffTheShelf(backbone=net, batch_size=5).fit(torch.from_numpy(x), y).transform(x),
        model.transform(x),
        atol=1e-6,
    )


def test_a_layer_by_name(net):
    x, y = pictures()
    model = OffTheShelf(backbone=net, layer="maps.4").fit(x, y)  # 4 maps of 8 x 8, averaged
    assert model.n_features_in_ == 4
    with torch.no_grad():
        maps = net.eval().maps[:5](torch.from_numpy(x)).mean((2, 3)).double().numpy()
    np.testing.assert_allclose(
        model.transform(x), maps / np.linalg.norm(maps, axis=1, keepdims=True), atol=1e-6
    )
    with pytest.raises(ValueError, match=r"no layer 'fc7'; it has maps, maps\.0"):
        OffTheShelf(backbone=net, layer="fc7").fit(x, y)


def test_augmented_sums_the_scores_of_sixteen_views(net):
    x, y = pictures()
    model = OffTheShelf(backbone=net, augment=True, C=1.0).fit(x, y)
    views = sixteen_views(torch.from_numpy(x))
    f = np.stack([frozen_features(net, views[:, v]) for v in range(16)], axis=1)
    p = np.sign(f) * np.abs(f) ** 2
    u = p / np.linalg.norm(p, axis=2, keepdims=True)
    reference = LinearSVC(C=1.0, max_iter=20_000).fit(u.reshape(-1, 12), np.repeat(y, 16))
    scores = sum(reference.decision_function(u[:, v]) for v in range(16))
    np.testing.assert_allclose(model.decision_function(x), scores, atol=1e-2)
    np.testing.assert_array_equal(model.predict(x), (scores > 0).astype(int))
    mirrored = np.ascontiguousarray(x[..., ::-1])
    np.testing.assert_allclose(model.decision_function(mirrored), model.decision_function(x), atol=1e-3)


def test_the_search_over_c_is_grid_search():
    x, y = features(n=90, seed=3)
    grid = [0.01, 1.0, 100.0]
    model = OffTheShelf(C=grid, folds=3, random_state=0).fit(x, y)
    seed = np.random.RandomState(0).randint(2**31)
    reference = GridSearchCV(
        make_pipeline(Normalizer(), LinearSVC(max_iter=20_000)),
        {"linearsvc__C": grid},
        cv=StratifiedKFold(3, shuffle=True, random_state=seed),
    ).fit(x, y)
    assert reference.best_params_["linearsvc__C"] == model.C_
    np.testing.assert_array_equal(model.predict(x), reference.predict(x))
    assert OffTheShelf(C=grid).fit(x[:3], y[:3]).C_ == 0.01  # one row a class: nothing to validate on
    with pytest.raises(ValueError, match="KNeighborsClassifier has no parameter C to search over"):
        OffTheShelf(C=grid, estimator=KNeighborsClassifier(1)).fit(x, y)


def test_unlabelled_rows_change_nothing():
    x, y = features()
    other = np.random.default_rng(9).normal(size=(20, 8)) + 5
    alone = OffTheShelf().fit(x, y).predict(other)
    np.testing.assert_array_equal(OffTheShelf().fit_domains(x, y, other).predict(other), alone)
    assert len(OffTheShelf().fit_transform(x, y)) == 60


def test_another_classifier():
    x, y = features()
    model = OffTheShelf(estimator=LogisticRegression(), C=[0.1, 1.0]).fit(x, y)
    np.testing.assert_allclose(model.predict_proba(x).sum(1), 1)
    assert not hasattr(OffTheShelf(estimator=KNeighborsClassifier(1)).fit(x, y), "decision_function")


def test_domains_of_pictures_and_clones(net):
    x, y = pictures()
    a = clone(OffTheShelf(backbone=net)).fit_domains(x[:12], y[:12], x[12:])
    np.testing.assert_array_equal(
        a.predict(x[12:]), OffTheShelf(backbone=net).fit(x[:12], y[:12]).predict(x[12:])
    )


def bars(n, kinds, rng):
    """One short bar anywhere: level 0, upright 1, falling 2, rising 3. Two kinds, in turns."""
    y = np.arange(n) % 2
    x = 0.3 * rng.random((n, 1, 16, 16))
    steps = {0: (0, 1), 1: (1, 0), 2: (1, 1), 3: (-1, 1)}
    for picture, label in zip(x, y):
        down, across = steps[kinds[label]]
        row, column = rng.integers(3, 13, 2)
        for t in range(-3, 4):
            picture[0, np.clip(row + t * down, 0, 15), np.clip(column + t * across, 0, 15)] = 1
    return x.astype(np.float32), y


def test_a_network_from_another_task_helps_over_seeds():
    """Trained on level and upright bars, frozen, it tells falling from rising ones by 8 labels a class.

    It must beat raw pixels, for which the place of the bar is in the way, on every seed; and itself untrained, which is
    a strong control, on the mean.
    """
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        network = models.build("lenet", (1, 16, 16), width=8, features=24)
        head = torch.nn.Linear(24, 2)
        batches = [map(torch.from_numpy, bars(64, (0, 1), rng)) for _ in range(60)]
        optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], 0.01)
        for x, y in batches:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(head(network(x)), y).backward()
            optimiser.step()
        few, labels = bars(16, (2, 3), rng)
        new, right = bars(300, (2, 3), rng)
        raw = OffTheShelf().fit(few.reshape(16, -1), labels).score(new.reshape(300, -1), right)
        control = OffTheShelf(backbone=untrained(network, seed=seed)).fit(few, labels).score(new, right)
        frozen = OffTheShelf(backbone=network).fit(few, labels).score(new, right)
        assert frozen > raw
        gains.append(frozen - control)
    assert np.mean(gains) > 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"C": 0.0}, "C must be a number of more than 0"),
        ({"C": []}, "C must be a number or a sequence of numbers"),
        ({"C": [1.0, -1.0]}, "C must be a number of more than 0"),
        ({"power": 0}, "power must be a number of more than 0"),
        ({"folds": 1, "C": [1.0, 2.0]}, "folds must be an integer of at least 2"),
        ({"augment": True}, "augment and layer need backbone"),
        ({"layer": "fc"}, "augment and layer need backbone"),
    ],
)
def test_bad_parameters(parameters, words):
    with pytest.raises(ValueError, match=words):
        OffTheShelf(**parameters).fit(*features())


def test_bad_pictures(net):
    x, y = pictures()
    model = OffTheShelf(backbone=net)
    with pytest.raises(
        ValueError, match=r"X holds pictures \(n, channels, height, width\), got shape \(24, 7\)"
    ):
        model.fit(x.reshape(24, -1)[:, :7], y)
    with pytest.raises(TypeError, match=r"floats in \[0, 1\], got torch.uint8; divide"):
        model.fit((x * 255).astype(np.uint8), y)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(np.full_like(x, np.nan), y)
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        OffTheShelf(backbone=net, batch_size=0).fit(x, y)
    with pytest.raises(ValueError, match="needs a classifier with decision_function"):
        OffTheShelf(backbone=net, augment=True, estimator=KNeighborsClassifier(1)).fit(x, y)
    with pytest.raises(ValueError, match="each domain needs at least 2 rows, got 1 of source"):
        OffTheShelf().fit([[1.0, 2.0], [0.0, 1.0]], [0, 1], sample_domain=[1, -1])
    with pytest.raises(ValueError, match=r"both domains need shape .* with one d"):
        model.fit_domains(x, y, x[..., :8])


@pytest.mark.parametrize(("estimator", "check"), sklearn_checks(OffTheShelf()))
def test_scikit_learns_checks(estimator, check):
    check(estimator)
