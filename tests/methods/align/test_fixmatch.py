"""FixMatch: labels from weak views, learned on strong ones, where the classifier is sure."""

import pytest
import torch
from torch.nn import functional

from dakit import methods
from dakit.methods import augmented
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.align.deep_toys import mean_accuracy, moved_along_the_classes, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, pictures, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    return methods.build("fixmatch", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def test_the_consistency_by_hand():
    method = small(tau=0.9)
    weak = torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.0, 4.0], [0.1, 0.0]])  # 0.953, 0.881, 0.982, 0.525
    strong = torch.tensor([[0.0, 0.0], [9.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    sure = [torch.log(torch.tensor(2.0)), torch.log1p(torch.exp(torch.tensor(1.0)))]
    assert method.consistency(weak, strong).item() == pytest.approx(float(sum(sure)) / 4)
    small_tau = small(tau=0.0).consistency(weak, strong)
    torch.testing.assert_close(small_tau, functional.cross_entropy(strong, weak.argmax(1)))
    assert small(tau=1.0).consistency(weak, strong).item() == 0.0


def test_the_losses_by_loop():
    method = small(tau=0.95, lambda_u=3.0, weak=0.2, strong=0.7)
    method.head.weight.data *= 10  # some predictions are sure, some are not
    source, target = batch_pair()
    torch.manual_seed(5)
    terms = method.losses(source, target, 0.5)
    torch.manual_seed(5)
    weak = augmented.jittered(target.x, 0.2)
    strong = augmented.jittered(target.x, 0.7)
    total, count = 0.0, 0
    for a, b in zip(method.logits(weak).softmax(1), method.logits(strong).log_softmax(1)):
        if a.max() >= 0.95:
            total, count = total - b[a.argmax()].item(), count + 1
    assert 0 < count < 12
    assert list(terms) == ["label", "unlabelled"]
    assert terms["unlabelled"].item() == pytest.approx(3.0 * total / 12, rel=1e-5)
    assert terms["label"].item() == pytest.approx(
        functional.cross_entropy(method.logits(source.x), source.y).item(), rel=1e-5
    )


def test_the_weight_may_grow_over_the_first_half():
    grown = [small(lambda_u=2.0).weight_at(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert grown == pytest.approx([0.0, 1.0, 2.0, 2.0, 2.0])
    assert {small(lambda_u=2.0, ramp=False).weight_at(p) for p in (0.0, 0.3, 1.0)} == {2.0}
    method = small(tau=0.0)
    terms = [method.losses(*batch_pair(), p)["unlabelled"].item() for p in (0.0, 1.0)]
    assert terms[0] == 0.0 < terms[1]


def test_no_gradient_flows_to_the_weak_view():
    method = small(tau=0.0)
    weak, strong = (torch.randn(5, 2, requires_grad=True) for _ in range(2))
    method.consistency(weak, strong).backward()
    assert weak.grad is None
    assert bool(strong.grad.all())


def test_without_its_term_it_takes_the_path_of_source_only():
    plain = weights(fit("source_only", SOURCE, TARGET, **QUICK))
    for options in ({"lambda_u": 0.0}, {"tau": 1.0}):  # probabilities of 1 do not occur so early
        adapted = weights(fit(methods.build("fixmatch", SOURCE, **options), SOURCE, TARGET, **QUICK))
        for key, value in plain.items():
            assert torch.allclose(adapted[key], value, atol=1e-5), (options, key)


def test_without_noise_and_threshold_it_is_pseudo_labelling():
    method = small(tau=0.0, weak=0.0, strong=0.0)
    source, target = batch_pair()
    z = method.logits(target.x)
    expected = functional.cross_entropy(z, z.argmax(1))
    torch.testing.assert_close(method.losses(source, target, 1.0)["unlabelled"], expected)


def test_it_asks_pictures_for_picture_views(monkeypatch):
    source = pictures(16)
    method = methods.build("fixmatch", source, flip=True)
    asked = []
    for name in ("moved", "covered", "recoloured"):
        inner = getattr(augmented, name)

        def spy(x, _inner=inner, _name=name, **k):
            asked.append((_name, *k.values()))
            return _inner(x, **k)

        monkeypatch.setattr(augmented, name, spy)
    method.losses(*batch_pair(8, source), 0.0)
    assert asked == [("moved", True), ("moved", True), ("recoloured",), ("covered",)]


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    make = lambda s: small(s, tau=0.6)  # noqa: E731
    found = [weights(fit(make, SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_an_interrupted_run_draws_on_where_it_stopped():
    def stop(run):
        if run.step >= 8:
            raise KeyboardInterrupt

    make = lambda s: small(s, tau=0.6)  # noqa: E731
    whole = fit(make, SOURCE, TARGET, **QUICK)
    broken = fit(make, SOURCE, TARGET, on_snapshot=stop, **QUICK)
    assert not broken.finished
    assert same(weights(fit(make, SOURCE, TARGET, resume=broken, **QUICK)), weights(whole))


def test_diagnostics_count_the_confident():
    method = small()
    method.head.weight.data.zero_()
    method.head.weight.data[0, 0] = 1.0
    method.head.bias.data.zero_()
    target = torch.zeros(4, 6)
    target[0, 0], target[1, 0], target[2, 0] = 3.0, -3.0, 2.0  # probabilities 0.953, 0.953, 0.881, 0.5
    assert method.diagnostics(torch.zeros(3, 6), target) == {"confident_share": 0.5}


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"tau": 1.2}, "tau must be a number of at least 0 and at most 1, got 1.2"),
        ({"lambda_u": -1}, "lambda_u must be a number of at least 0, got -1"),
        ({"weak": -0.1}, "weak must be a number of at least 0, got -0.1"),
        ({"strong": float("nan")}, "strong must be a number of at least 0, got nan"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


def test_it_beats_source_only_where_the_shift_is_small():
    """A cluster that crosses the border as a whole would be labelled with the other class, and stay so."""
    source, target = moved_along_the_classes(shift=1.0)
    plain, adapted = (
        mean_accuracy(runs(name, source, target), target) for name in ("source_only", "fixmatch")
    )
    assert adapted > plain, (plain, adapted)


def test_one_batch_of_one_example_is_enough():
    source, target = batch_pair(1)
    terms = small().losses(source, Batch(target.x, None, target.index, 1), 0.0)
    assert all(torch.isfinite(v) for v in terms.values())
