"""IRM: the mean of the domains' squared slopes, annealed; it lets a shortcut go that ERM takes."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, coloured, mean_accuracy, takes_the_path_of_erm
from tests.training.toys import QUICK


def small(**hyper):
    return methods.build("irm", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def slopes(method, parts):
    """dR_e/dw at w = 1, by automatic differentiation."""
    found = []
    for part in parts:
        w = torch.ones((), requires_grad=True)
        risk = cross_entropy(w * method.logits(part.x), part.y)
        found += torch.autograd.grad(risk, w, create_graph=True)
    return torch.stack(found)


# -- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 1.0), (0.19, 1.0), (0.2, 7.0), (1.0, 7.0)])
def test_the_losses_and_their_weight_over_progress(progress, weight):
    method = small(lambda_=7.0, anneal=0.2, rescale=False)
    batch = batch_of(SOURCES)
    terms = method.losses(batch, None, progress)
    parts = batch.parts()
    risk = torch.stack([cross_entropy(method.logits(p.x), p.y) for p in parts]).mean()
    assert list(terms) == ["label", "penalty"]
    assert terms["label"].item() == pytest.approx(risk.item(), rel=1e-5)
    expected = weight * slopes(method, parts).square().mean()
    assert terms["penalty"].item() == pytest.approx(expected.item(), rel=1e-3)


def test_the_gradient_is_that_of_a_dummy_classifier_under_autograd():
    method, batch = small(rescale=False), batch_of(SOURCES)
    p = list(method.parameters())
    ours = torch.autograd.grad(method.losses(batch, None, 1.0)["penalty"], p)
    theirs = torch.autograd.grad(100 * slopes(method, batch.parts()).square().mean(), p)
    for a, b in zip(ours, theirs):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def test_rescaling_divides_both_terms_by_a_weight_above_one_only():
    batch = batch_of(SOURCES)
    for lambda_, factor in ((50.0, 50.0), (0.3, 1.0)):
        plain, scaled = (small(lambda_=lambda_, rescale=r).losses(batch, None, 1.0) for r in (False, True))
        for key in plain:
            assert scaled[key].item() == pytest.approx(plain[key].item() / factor, rel=1e-5)


def test_halves_multiply_the_slopes_of_every_second_row():
    method, batch = small(lambda_=1.0, halves=True), batch_of(SOURCES)
    first, second = ([copy.copy(p) for p in batch.parts()] for _ in range(2))
    for a, b in zip(first, second):
        a.x, a.y, b.x, b.y = a.x[::2], a.y[::2], b.x[1::2], b.y[1::2]
    expected = (slopes(method, first) * slopes(method, second)).mean()
    assert method.losses(batch, None, 1.0)["penalty"].item() == pytest.approx(
        expected.item(), rel=1e-3, abs=1e-7
    )


# -- limits -----------------------------------------------------------------------------------------------------


def test_lambda_zero_takes_the_path_of_erm():
    assert takes_the_path_of_erm("irm", lambda_=0.0, anneal=0.0)
    assert not takes_the_path_of_erm("irm", lambda_=5.0, anneal=0.0)


def test_a_domain_penalises_itself_not_the_mean_of_all():
    """Slopes of opposite sign do not cancel: the penalty is taken domain by domain."""
    method = methods.build("irm", SOURCES, backbone="embedding", lambda_=1.0)
    wrong = [SOURCES[0], type(SOURCES[0])("swapped", SOURCES[0].x, 1 - SOURCES[0].y, SOURCES[0].classes)]
    method.head.weight.data.zero_()
    method.head.weight.data[:, 0] = torch.tensor([-1.0, 1.0])
    batch = batch_of(wrong)
    found = slopes(method, batch.parts())
    assert found[0] * found[1] < 0
    assert method.losses(batch, None, 1.0)["penalty"].item() == pytest.approx(
        found.square().mean().item(), rel=1e-4
    )


def test_anneal_one_never_reaches_lambda():
    method = small(anneal=1.0)
    assert method.weight_at(1.0) == 1.0
    assert small(anneal=0.0).weight_at(0.0) == 100.0


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="lambda_ must be a number of at least 0, got -1"):
        small(lambda_=-1)
    with pytest.raises(ValueError, match=r"anneal must be a number of at least 0 and at most 1, got 1\.5"):
        small(anneal=1.5)
    with pytest.raises(ValueError, match="IRM needs at least 2 source domains, got 1"):
        fit("irm", SOURCES[0], None, **QUICK)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_lets_go_of_a_colour_that_erm_follows():
    """The colour predicts 0.9 and 0.8 of the labels, the shape 0.75; in the new domain colours are swapped."""
    sources, unseen = coloured()
    erm, irm = (mean_accuracy(name, sources, unseen, fitting={"steps": 200}) for name in ("erm", "irm"))
    assert erm < 0.5 < irm, (erm, irm)
