"""What the parts of DANN must do exactly: the reversal, one step of the game, λ = 0, both schedules."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from moons import turned_moons
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy

import dakit
from dakit import methods
from dakit.domains import Domain
from dakit.methods.method import Batch
from dakit.models import gradient_reversal

SHALLOW = {"name": "mlp", "hidden": (15,), "activation": "sigmoid"}
QUIET = {"precision": "float32", "progress": False}


def batches(seed: int, d: int = 2, n: int = 12) -> tuple[Batch, Batch]:
    g = torch.Generator().manual_seed(seed)
    xs, xt = torch.randn(n, d, generator=g), 1 + torch.randn(n, d, generator=g)
    return Batch(xs, torch.arange(n) % 2, torch.arange(n), 0), Batch(xt, None, torch.arange(n), 1)


def small(**options) -> methods.Method:
    source, _ = batches(seed=9)
    toy = Domain("toy", source.x, source.y, ("a", "b"))
    return methods.build("dann", toy, backbone=SHALLOW, **{"ramp": False, "hidden": 5, **options})


def reversal(seed: int) -> tuple[float, float]:
    """Largest of |R(x) - x|, and of the gradient's distance from -λ g."""
    g = torch.Generator().manual_seed(seed)
    forward, backward = [], []
    for lambda_ in (0.0, 0.5, 2.0):
        x = torch.randn(7, 5, generator=g, requires_grad=True)
        arriving = torch.randn(7, 5, generator=g)
        y = gradient_reversal(x, lambda_)
        y.backward(arriving)
        forward.append((y - x).abs().max().item())
        backward.append((x.grad + lambda_ * arriving).abs().max().item())
    return max(forward), max(backward)


def finite_differences(seed: int) -> float:
    """Gradient of the first layer by one backward pass, less that of L_y - λ L_d by differences in float64."""
    method = small(lambda_=0.7).double()
    source, target = batches(seed)
    source.x, target.x = source.x.double(), target.x.double()
    sum(method.losses(source, target, 0.5).values()).backward()
    weight = next(p for p in method.backbone.parameters() if p.ndim == 2)
    found, step = torch.empty_like(weight), 1e-5

    @torch.no_grad()
    def objective() -> float:
        terms = method.losses(source, target, 0.5)
        return (terms["label"] - 0.7 * terms["domain"]).item()

    with torch.no_grad():
        for i in range(weight.numel()):
            ends = []
            for to in (step, -2 * step, step):
                weight.view(-1)[i] += to
                ends.append(objective())
            found.view(-1)[i] = (ends[0] - ends[1]) / (2 * step)
    return (found - weight.grad).abs().max().item()


def one_step(seed: int, lambda_: float) -> dict[str, float]:
    """A joint SGD step of rate 0.1 beside the two players' own steps, and beside the mistaken one."""
    joint, (source, target) = small(lambda_=lambda_, seed=seed), batches(seed)
    hand, mistaken = copy.deepcopy(joint), copy.deepcopy(joint)

    def parts(m) -> dict[str, list[nn.Parameter]]:
        return {p: list(getattr(m, p).parameters()) for p in ("backbone", "head", "discriminator")}

    def two_losses(m) -> tuple[Tensor, Tensor]:
        fs, ft = m.backbone(source.x), m.backbone(target.x)
        s, t = m.domain_logits(fs), m.domain_logits(ft)
        return cross_entropy(m.head(fs), source.y), bce(s, torch.zeros_like(s)) + bce(t, torch.ones_like(t))

    sum(joint.losses(source, target, 0.5).values()).backward()
    label, domain = two_losses(mistaken)
    (label - lambda_ * domain).backward()
    for model in (joint, mistaken):
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    label, domain = two_losses(hand)
    goals = {"backbone": label - lambda_ * domain, "head": label, "discriminator": domain}
    moves = [
        (p, g)
        for part, goal in goals.items()
        for p, g in zip(parts(hand)[part], torch.autograd.grad(goal, parts(hand)[part], retain_graph=True))
    ]
    with torch.no_grad():
        for parameter, gradient in moves:
            parameter -= 0.1 * gradient

    def gap(a, b, part) -> float:
        return max((x - y).abs().max().item() for x, y in zip(parts(a)[part], parts(b)[part]))

    return {
        "θ_f": gap(joint, hand, "backbone"),
        "θ_y": gap(joint, hand, "head"),
        "θ_d": gap(joint, hand, "discriminator"),
        "θ_d, mistaken": gap(joint, mistaken, "discriminator"),
    }


def path_without_reversal(seed: int) -> tuple[float, float]:
    """Largest gap of backbone and head after 100 steps of λ = 0 and of source_only; how far the latter moved."""
    (x, y), (xt, _) = turned_moons(35, (300, 300), (seed, seed + 100), 0.1)
    source, target = as_domain(x, y), as_domain(xt).unlabeled()
    options = {"steps": 100, "lr": 0.1, "schedule": "constant", "seed": seed, "snapshots": 0, **QUIET}
    ends = []
    for name, extra in (("dann", {"lambda_": 0.0}), ("source_only", {})):
        method = methods.build(name, source, backbone=SHALLOW, seed=seed, **extra)
        start = copy.deepcopy(method.state_dict())
        ends.append(dakit.fit(method, source, target, **options).method.state_dict())
    return tuple(
        max((a[key] - b[key]).abs().max().item() for key in ends[1] if ends[1][key].is_floating_point())
        for a, b in ((ends[0], ends[1]), (start, ends[1]))
    )


def as_domain(x: np.ndarray, y: np.ndarray | None = None) -> Domain:
    labels = torch.zeros(len(x), dtype=torch.long) if y is None else torch.tensor(y)
    return Domain("moons", torch.tensor(x, dtype=torch.float32), labels, ("upper", "lower"))


def exact() -> list[tuple[str, str, float, Callable[[float], bool]]]:
    """What, what it should be, what it is, and the condition; the worst of 3 seeds."""
    forward, backward = (max(v) for v in zip(*(reversal(s) for s in range(3))))
    differences = max(finite_differences(s) for s in range(3))
    steps = [one_step(s, lambda_) for s in range(3) for lambda_ in (0.3, 2.0)]
    gap, went = (max(v) for v in zip(*(path_without_reversal(s) for s in range(3))))
    method = small(ramp=True, lambda_=1.0)
    worst = {key: max(step[key] for step in steps) for key in ("θ_f", "θ_y", "θ_d")}
    mistaken = min(step["θ_d, mistaken"] for step in steps)

    def near(wanted: float) -> Callable[[float], bool]:
        return lambda v: abs(v - wanted) <= 5e-6

    return [
        ("(1) reversal: R(x) - x", "0", forward, lambda v: v == 0),
        ("(1) reversal: gradient + λ g, λ of 0, 0.5 and 2", "0", backward, lambda v: v == 0),
        (
            "(1) gradient of the features, less finite differences",
            "below 1e-8",
            differences,
            lambda v: v < 1e-8,
        ),
        *(
            (f"(2) {key} after a joint step, less the two players'", "below 1e-6", v, lambda v: v < 1e-6)
            for key, v in worst.items()
        ),
        ("(2) θ_d, less that of minimising L_y - λ L_d", "above 1e-3", mistaken, lambda v: v > 1e-3),
        ("(3) λ = 0: θ_f and θ_y after 100 steps, less source_only's", "below 1e-5", gap, lambda v: v < 1e-5),
        ("(3) how far source_only itself went", "above 0.1", went, lambda v: v > 0.1),
        ("(4) λ at the start", "0", method.lambda_at(0.0), lambda v: v == 0),
        ("(4) λ at the end", "0.99991", method.lambda_at(1.0), near(0.99991)),
        ("(4) rate at the start", "0.01", 0.01 * method.lr_factor(0.0), lambda v: v == 0.01),
        ("(4) rate at the end", "0.00166", 0.01 * method.lr_factor(1.0), near(0.00166)),
    ]
