"""Mixup between domains: blends by hand, who meets whom, and the limits without blending."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, takes_the_path_of_erm
from tests.training.toys import QUICK, same, weights


def small(**hyper):
    return methods.build("mixup", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def fixed(method, order, blend):
    """Every draw is this one."""
    method.draw = lambda m: (order[:m], blend[:m])
    return method


def test_the_loss_by_hand():
    """Order 2, 0, 1: pairs (2, 0), (0, 1) and (1, 2)."""
    method, batch = fixed(small(), [2, 0, 1], [0.9, 0.5, 0.2]), batch_of(SOURCES)
    parts, expected = batch.parts(), 0.0
    for (i, j), w in zip([(2, 0), (0, 1), (1, 2)], [0.9, 0.5, 0.2]):
        for row in range(12):
            z = method.logits((w * parts[i].x[row] + (1 - w) * parts[j].x[row])[None])
            log_p = torch.log_softmax(z, dim=1)[0]
            expected -= (w * log_p[parts[i].y[row]] + (1 - w) * log_p[parts[j].y[row]]).item() / 36
    terms = method.losses(batch, None, 0.5)
    assert list(terms) == ["label"]
    assert terms["label"].item() == pytest.approx(expected, rel=1e-5)


def test_labels_blend_as_a_soft_label_would():
    """The blended cross-entropy is the cross-entropy to the blended one-hot labels."""
    method, batch = fixed(small(), [0, 1], [0.3, 0.3]), batch_of(SOURCES[:2])
    a, b = batch.parts()
    total = 0.0
    for p, q in ((a, b), (b, a)):
        soft = 0.3 * torch.eye(2)[p.y] + 0.7 * torch.eye(2)[q.y]
        total += cross_entropy(method.logits(0.3 * p.x + 0.7 * q.x), soft).item() / 2
    assert method.losses(batch, None, 0.5)["label"].item() == pytest.approx(total, rel=1e-5)


def test_a_draw_is_a_cycle_through_all_domains_with_weights_of_a_beta_distribution():
    method = small(alpha=0.2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = [method.draw(4) for _ in range(2000)]
    assert all(sorted(order) == [0, 1, 2, 3] for order, _ in draws)
    assert len({tuple(order) for order, _ in draws}) == 24
    drawn = torch.tensor([w for _, w in draws]).flatten()
    # Beta(α, α): mean 1/2, variance 1 / (4 (2 α + 1)); 8000 draws, 4 standard errors of each.
    assert drawn.mean().item() == pytest.approx(0.5, abs=4 * (1 / 5.6 / 8000) ** 0.5)
    assert drawn.var().item() == pytest.approx(1 / 5.6, abs=0.01)


def test_domains_of_different_size_meet_in_the_rows_that_both_have():
    method = fixed(small(), [0, 1], [1.0, 1.0])
    few = SOURCES[1].subset(slice(5))
    batch = batch_of([SOURCES[0], few])
    assert batch.sizes == (12, 5)
    a, b = batch.parts()
    expected = cross_entropy(method.logits(a.x[:5]), a.y[:5]) + cross_entropy(method.logits(b.x), b.y)
    assert method.losses(batch, None, 0.5)["label"].item() == pytest.approx(expected.item() / 2, rel=1e-5)


def test_without_blending_it_takes_the_path_of_erm():
    assert takes_the_path_of_erm("mixup", alpha=0.0)
    assert not takes_the_path_of_erm("mixup", alpha=2.0)


def test_one_domain_meets_only_itself_row_by_row_and_is_erm():
    method, batch = small(alpha=2.0), batch_of(SOURCES[:1])
    expected = cross_entropy(method.logits(batch.x), batch.y)
    assert method.losses(batch, None, 0.5)["label"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_seed_repeats_the_blends():
    runs = [weights(fit("mixup", SOURCES, None, seed=s, **QUICK)) for s in (2, 2, 3)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="alpha must be a number of at least 0, got -1"):
        small(alpha=-1)
    with pytest.raises(ValueError, match="Mixup needs at least 2 source domains, got 1"):
        fit("mixup", SOURCES[0], None, **QUICK)


def test_it_is_less_sure_between_the_domains_than_erm():
    """Blends of a left and a right example lie in the middle, with half a label each: not sure ones."""
    middle = torch.zeros(200, 4)
    middle[:, 3] = torch.linspace(-2, 1, 200)  # from domain to domain
    middle[:, 0] = 0.7 * torch.tensor([-1.0, 1.0]).repeat(100)
    sure = {}
    for name, hyper in (("erm", {}), ("mixup", {"alpha": 1.0})):
        runs = fit(
            lambda s: methods.build(name, SOURCES, seed=s, **hyper),  # noqa: B023
            SOURCES,
            None,
            seeds=3,
            **{**QUICK, "steps": 150, "snapshots": 0},
        )
        with torch.no_grad():
            sure[name] = sum(r.method.logits(middle).softmax(1).amax(1).mean().item() for r in runs) / 3
    assert sure["mixup"] < sure["erm"], sure
