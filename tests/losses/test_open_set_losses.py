"""The boundary of the unknown class, entropy separation and neighbourhood entropy."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from dakit.losses import entropy, entropy_separation, neighbourhood_entropy, unknown_boundary


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# -- unknown_boundary -------------------------------------------------------------------------------------------


def test_boundary_by_hand():
    # Two known classes and the unknown one: p_u = 2 / (1 + 1 + 2) and 6 / (1 + 1 + 6).
    z = torch.tensor([[0, 0, math.log(2)], [0, 0, math.log(6)]])
    expected = -(0.5 * math.log(0.5) + 0.5 * math.log(0.5) + 0.5 * math.log(0.75) + 0.5 * math.log(0.25)) / 2
    assert float(unknown_boundary(z)) == pytest.approx(expected)
    one_sided = -(math.log(0.5) + math.log(0.75)) / 2
    assert float(unknown_boundary(z, t=1.0)) == pytest.approx(one_sided)
    assert float(unknown_boundary(z, t=0.0)) == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 1.0])
def test_boundary_against_a_loop(t):
    z = 3 * random(9, 5)
    total = 0.0
    for row in z:
        p = float(row.softmax(0)[-1])
        total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    assert float(unknown_boundary(z, t=t)) == pytest.approx(total / 9)


def test_the_boundary_is_lowest_where_the_unknown_class_has_probability_t():
    for t in (0.3, 0.5, 0.8):
        at_t = torch.tensor([[0.0, 0.0, math.log(2 * t / (1 - t))]])
        assert float(unknown_boundary(at_t, t=t)) == pytest.approx(
            -t * math.log(t) - (1 - t) * math.log(1 - t)
        )
        for step in (-0.5, 0.5):
            assert unknown_boundary(at_t + torch.tensor([0, 0, step]), t=t) > unknown_boundary(at_t, t=t)


def test_boundary_asks_nothing_of_the_known_classes_among_themselves_and_no_common_shift():
    z = random(6, 4)
    order = torch.tensor([2, 0, 1, 3])
    torch.testing.assert_close(unknown_boundary(z[:, order]), unknown_boundary(z))
    torch.testing.assert_close(unknown_boundary(z + 7), unknown_boundary(z))


def test_boundary_gradients_also_of_extreme_scores():
    z = random(4, 3).requires_grad_()
    assert gradcheck(lambda x: unknown_boundary(x, t=0.4), (z,))
    extreme = torch.tensor([[0.0, 0.0, 1e4], [0.0, 1e4, 0.0]], requires_grad=True)
    unknown_boundary(extreme).backward()
    torch.testing.assert_close(extreme.grad[:, 2], torch.tensor([0.25, -0.25]))


# -- entropy_separation -----------------------------------------------------------------------------------------


def with_entropy(p: float, k: int = 4) -> list[float]:
    """Logits of a prediction with probability p of the first class, the others alike."""
    return [math.log(p)] + [math.log((1 - p) / (k - 1))] * (k - 1)


def h(p: float, k: int = 4) -> float:
    return -p * math.log(p) - (1 - p) * math.log((1 - p) / (k - 1))


def test_separation_by_hand():
    z = torch.tensor([with_entropy(0.25), with_entropy(0.75), with_entropy(0.999)])
    rho = math.log(2)
    assert abs(h(0.75) - rho) < 0.5 < min(h(0.25) - rho, rho - h(0.999))  # the second row is left alone
    expected = -((h(0.25) - rho) + (rho - h(0.999))) / 3
    assert float(entropy_separation(z)) == pytest.approx(expected, rel=1e-5)
    assert float(entropy_separation(z, margin=0.0)) == pytest.approx(
        expected - abs(h(0.75) - rho) / 3, rel=1e-5
    )
    assert float(entropy_separation(z, margin=5.0)) == 0
    assert float(entropy_separation(z, threshold=0.0, margin=0)) == pytest.approx(
        -float(entropy(z)), rel=1e-5
    )


def test_separation_pushes_either_side_outwards_and_the_middle_not_at_all():
    z = torch.tensor([with_entropy(0.3), with_entropy(0.75), with_entropy(0.99)], requires_grad=True)
    entropy_separation(z).backward()
    moved = (z - 1.0 * z.grad).detach()
    before, after = ([float(entropy(x[None])) for x in rows] for rows in (z.detach(), moved))
    assert after[0] > before[0]
    assert not z.grad[1].any()
    assert after[2] < before[2]


def test_two_classes_leave_nothing_to_separate():
    assert not entropy_separation(10 * random(50, 2)).any()
    assert entropy_separation(10 * random(50, 4)) < 0


def test_separation_gradients():
    z = (3 * random(6, 5)).requires_grad_()
    assert gradcheck(entropy_separation, (z,))
    sure = torch.tensor([[1e4, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -torch.inf]], requires_grad=True)
    entropy_separation(sure).backward()
    assert sure.grad.isfinite().all()


# -- neighbourhood_entropy --------------------------------------------------------------------------------------


def test_neighbourhood_against_a_loop():
    f, anchors = normalize(random(5, 3), dim=1), normalize(random(9, 3, seed=1), dim=1)
    own = torch.tensor([4, 0, 8, 2, 2])
    for excluded in (own, None):
        total = 0.0
        for i in range(5):
            keep = [j for j in range(9) if excluded is None or j != int(own[i])]
            e = [math.exp(float(f[i] @ anchors[j]) / 0.3) for j in keep]
            total -= sum(x / sum(e) * math.log(x / sum(e)) for x in e)
        assert float(neighbourhood_entropy(f, anchors, own=excluded, temperature=0.3)) == pytest.approx(
            total / 5
        )


def test_a_twin_makes_the_neighbourhood_sure_but_oneself_does_not():
    x = torch.eye(4)
    own = torch.arange(4)
    assert float(neighbourhood_entropy(x, x, own=own)) == pytest.approx(math.log(3), rel=1e-5)
    assert float(neighbourhood_entropy(x, torch.cat([x, x]), own=own)) < 1e-4
    assert float(neighbourhood_entropy(x, x)) < 1e-4


def test_neighbourhood_invariances():
    f, anchors = normalize(random(5, 3), dim=1), normalize(random(9, 3, seed=1), dim=1)
    value = neighbourhood_entropy(f, anchors)
    turn = torch.linalg.qr(random(3, 3, seed=2))[0]
    torch.testing.assert_close(neighbourhood_entropy(f @ turn, anchors @ turn), value)
    torch.testing.assert_close(neighbourhood_entropy(f.flip(0), anchors.flip(0)), value)
    hot = neighbourhood_entropy(f, anchors, temperature=1e6)
    assert float(hot) == pytest.approx(math.log(9), rel=1e-6)


def test_neighbourhood_gradients_with_the_own_row_left_out():
    f, anchors = (normalize(random(n, 3, seed=n), dim=1).requires_grad_() for n in (4, 6))
    own = torch.tensor([0, 1, 2, 3])
    assert gradcheck(lambda a, b: neighbourhood_entropy(a, b, own=own, temperature=0.5), (f, anchors))


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: unknown_boundary(torch.zeros(3, 1)), r"at least one row and 2 columns, got \(3, 1\)"),
        (lambda: unknown_boundary(torch.zeros(0, 3)), r"got \(0, 3\)"),
        (lambda: unknown_boundary(torch.zeros(2, 3), t=1.2), r"t must lie in \[0, 1\], got 1.2"),
        (lambda: unknown_boundary(torch.zeros(2, 3), t=math.nan), "t must lie"),
        (lambda: entropy_separation(torch.zeros(3)), r"logits must have shape \(n, k\)"),
        (lambda: entropy_separation(torch.zeros(3, 2), margin=-1), "margin must be at least 0, got -1"),
        (lambda: neighbourhood_entropy(torch.zeros(3, 2), torch.zeros(4, 3)), "must have the same width"),
        (lambda: neighbourhood_entropy(torch.zeros(0, 2), torch.zeros(4, 2)), "features must have shape"),
        (lambda: neighbourhood_entropy(torch.zeros(3, 2), torch.zeros(0, 2)), "anchors must have shape"),
        (
            lambda: neighbourhood_entropy(torch.zeros(3, 2), torch.zeros(4, 2), temperature=0),
            "temperature must be positive, got 0",
        ),
        (
            lambda: neighbourhood_entropy(torch.zeros(3, 2), torch.zeros(4, 2), own=torch.zeros(2).long()),
            r"own must name one row of anchors for each of 3 examples, got \(2,\)",
        ),
        (
            lambda: neighbourhood_entropy(torch.zeros(1, 2), torch.zeros(1, 2), own=torch.zeros(1).long()),
            "needs an anchor beside its own",
        ),
    ],
)
def test_bad_input_is_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
