"""Adaptive feature norm: both variants, the detached norm, and what they reach."""

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.training import fit
from tests.methods.align.deep_toys import dimmed, mean_accuracy, moved_along_the_classes, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, same, weights

SOURCE, TARGET = blobs(), blobs(shift=2.0, seed=1)


def afn(**options):
    return methods.build(
        "afn", SOURCE, backbone={"name": "mlp", "hidden": (6,), "activation": "tanh"}, **options
    )


def test_both_terms_by_loops():
    source, target = batch_pair()
    hard, stepwise = (
        afn(variant="hard", lambda_=0.7, radius=3.0),
        afn(variant="stepwise", lambda_=0.7, step=0.5),
    )
    fs, ft = (hard.features(b.x).detach().numpy() for b in (source, target))
    means = [np.mean([np.sqrt(np.sum(row**2)) for row in f]) for f in (fs, ft)]
    terms = hard.losses(source, target, 0.5)
    assert list(terms) == ["label", "norm"]
    assert terms["norm"].item() == pytest.approx(0.7 * sum((m - 3.0) ** 2 for m in means), rel=1e-5)
    assert stepwise.losses(source, target, 0.5)["norm"].item() == pytest.approx(0.7 * 0.25, rel=1e-5)
    label = -torch.log_softmax(hard.logits(source.x), dim=1)[torch.arange(12), source.y].mean()
    assert torch.allclose(terms["label"], label, atol=1e-6)


def test_the_weights_feel_the_step_against_a_frozen_copy():
    """The paper's form: norms of a copy with the last parameters are the mark, and only the present ones move."""
    method = afn(variant="stepwise", lambda_=0.7, step=0.5)
    source, target = batch_pair()
    method.losses(source, target, 0.5)["norm"].backward()
    with torch.no_grad():
        marks = [afn().features(b.x).norm(dim=1) + 0.5 for b in (source, target)]
    other = afn()  # equal seeds: equal weights
    squares = torch.cat(
        [(other.features(b.x).norm(dim=1) - r).square() for b, r in zip((source, target), marks)]
    )
    (0.7 * squares.sum() / 24).backward()
    weight, expected = (m.backbone.layers[1].weight.grad for m in (method, other))
    assert torch.allclose(weight, expected, atol=1e-7)
    assert weight.abs().sum() > 0


def test_a_step_lengthens_features_and_the_hard_variant_also_shortens_them():
    source, target = batch_pair()

    def change(**options):
        method = afn(lambda_=1.0, **options)
        before = method.diagnostics(method.features(source.x), method.features(target.x))
        method.losses(source, target, 0.5)["norm"].backward()
        torch.optim.SGD(method.parameters(), lr=0.01).step()
        after = method.diagnostics(method.features(source.x), method.features(target.x))
        return [after[k] - before[k] for k in ("source_norm", "target_norm")]

    assert min(change(variant="stepwise")) > 0
    assert min(change(variant="hard", radius=25.0)) > 0
    assert max(change(variant="hard", radius=0.1)) < 0


@pytest.mark.parametrize("variant", ["stepwise", "hard"])
def test_lambda_zero_is_source_only(variant):
    adapted = fit(methods.build("afn", SOURCE, lambda_=0.0, variant=variant), SOURCE, TARGET, **QUICK)
    for k, v in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(weights(adapted)[k], v, atol=1e-5), k


@pytest.mark.parametrize("variant", ["stepwise", "hard"])
def test_both_domains_feel_it_and_the_head_does_not(variant):
    source, target = batch_pair()
    method = afn(variant=variant)
    source.x, target.x = (b.x.detach().requires_grad_() for b in (source, target))
    method.losses(source, target, 1.0)["norm"].backward()
    assert source.x.grad.abs().sum() > 0
    assert target.x.grad.abs().sum() > 0
    assert method.head.weight.grad is None


def test_diagnostics_are_the_mean_norms():
    source, target = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 2.0]])
    assert afn().diagnostics(source, target) == {"source_norm": 3.0, "target_norm": 2.0}


def test_bad_hyperparameters_are_told():
    for options, words in (
        ({"variant": "soft"}, "afn has variant='hard' or variant='stepwise', not 'soft'"),
        ({"lambda_": -1.0}, "afn needs a finite lambda_ of at least 0, got -1.0"),
        ({"step": 0.0}, "step must be a positive, finite number, got 0.0"),
        ({"radius": float("nan")}, "radius must be a positive, finite number, got nan"),
    ):
        with pytest.raises(ValueError, match=words):
            afn(**options)


@pytest.mark.parametrize("variant", ["stepwise", "hard"])
def test_short_target_features_catch_up_and_the_source_is_learned_over_seeds(variant):
    """A gain in target accuracy is not asserted, for there was none beyond the spread.

    Measured here with five seeds, batch normalisation and lr=0.05: source_only 0.87, stepwise 0.88, hard 0.86.
    """
    source, target = dimmed()
    plain = runs("source_only", source, target, norm="batch")
    adapted = runs("afn", source, target, norm="batch", variant=variant)

    def mean_norms(run):
        last = run.snapshots[-1]
        return np.array(
            [np.linalg.norm(f, axis=1).mean() for f in (last.source_features, last.target_features)]
        )

    before, after = (np.array([mean_norms(r) for r in group]) for group in (plain, adapted))
    assert (after > before.max(axis=0)).all()
    ratio = {"before": before[:, 0] / before[:, 1], "after": after[:, 0] / after[:, 1]}
    assert abs(ratio["after"] - 1).max() < abs(ratio["before"] - 1).min(), ratio
    if variant == "hard":
        assert after == pytest.approx(25.0, rel=0.1)
    assert mean_accuracy(adapted, source) > 0.9


def test_without_normalisation_the_stepwise_norms_run_away():
    source, target = moved_along_the_classes()
    norms = [
        np.linalg.norm(r.snapshots[-1].source_features, axis=1).mean()
        for r in runs("afn", source, target, variant="stepwise", lambda_=0.01)
    ]
    assert min(norms) > 25, norms  # source_only ends at about 5


def test_equal_seeds_give_equal_bits():
    assert same(*(weights(fit("afn", SOURCE, TARGET, seed=2, **QUICK)) for _ in range(2)))
