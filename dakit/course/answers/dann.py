"""Exercises of the chapter on DANN: the reversal, and how its weight grows."""

import math

import torch

from dakit.course.exercises import Exercise, Mistake


def reverse(x, lambda_):
    """x forward, -lambda_ times the gradient backward."""

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, gradient):
            return -lambda_ * gradient

    return Reverse.apply(x)


def _negated_forward(x, lambda_):
    return -lambda_ * x


def _not_reversed(x, lambda_):
    return x.detach() + lambda_ * (x - x.detach())


def _no_lambda(x, lambda_):
    return x.detach() - (x - x.detach())


def _nothing(x, lambda_):
    return x


def _cut(x, lambda_):
    return x.detach()


def forward_and_gradient(answer, x, upstream, lambda_):
    """What comes out of the layer, and what reaches its input when ``upstream`` arrives from above."""
    x = torch.tensor(x, requires_grad=True)
    out = answer(x, lambda_)
    if not isinstance(out, torch.Tensor):
        return out
    if not out.requires_grad:
        return out, torch.zeros_like(x)
    out.backward(torch.tensor(upstream))
    return out, x.grad


def _layer_inputs(rng):
    shape = (int(rng.integers(2, 5)), 3)
    return rng.normal(size=shape), rng.normal(size=shape), float(rng.uniform(0.2, 3))


def lambda_at(progress):
    """2 / (1 + exp(-10 p)) - 1."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def _from_one(progress):
    return 2 / (1 + math.exp(-10 * progress))


def _sigmoid(progress):
    return 1 / (1 + math.exp(-10 * progress))


def _falling(progress):
    return 2 / (1 + math.exp(10 * progress)) - 1


def _straight(progress):
    return progress


def _slow(progress):
    return 2 / (1 + math.exp(-progress)) - 1


EXERCISES = {
    "reverse": Exercise(
        task="Return `x` unchanged, and send `-lambda_` times the gradient back through it.",
        answer=reverse,
        fresh=_layer_inputs,
        ask=forward_and_gradient,
        mistakes=(
            Mistake(
                _negated_forward,
                "The gradient is right, but so is the forward pass turned: you multiply `x` itself by `-lambda_`. "
                "The discriminator has to see the true features; only the way back is reversed.",
            ),
            Mistake(
                _not_reversed, "Forward is right. Backward you scale by `lambda_` but do not turn the sign."
            ),
            Mistake(
                _no_lambda,
                "Forward is right, and the sign is turned. But `lambda_` never enters the gradient.",
            ),
            Mistake(
                _nothing, "That is the identity, both ways: the features would *help* the discriminator."
            ),
            Mistake(
                _cut,
                "`detach` lets no gradient through: the discriminator would learn, and the features would never hear "
                "of it.",
            ),
        ),
        hints=(
            "Two things that plain arithmetic cannot separate: what goes forward and what comes back. Either write a "
            "`torch.autograd.Function`, or combine `x` and `x.detach()`.",
            "With a Function: `forward` returns `x.view_as(x)`, `backward` receives the gradient from above.",
            "Without one: in `a * x + b * x.detach()` only `a` counts backward, and `a + b` counts forward. "
            "You need `a = -lambda_` and `a + b = 1`.",
        ),
        well_done="This one line is all that tells DANN from training a domain classifier on the side.",
        rtol=1e-6,
        atol=1e-9,
    ),
    "lambda_at": Exercise(
        task="The weight of the reversed gradient at progress p between 0 and 1: `2 / (1 + exp(-10 p)) - 1`.",
        answer=lambda_at,
        fresh=lambda rng: (float(rng.uniform(0.01, 0.99)),),
        mistakes=(
            Mistake(
                _from_one, "That starts at 1 and ends at 2. At p = 0 the reversal must be off: subtract 1."
            ),
            Mistake(
                _sigmoid,
                "The plain sigmoid starts at one half. Stretch it to end at 1 and let it begin at 0.",
            ),
            Mistake(
                _falling,
                "The sign in the exponent is turned, so the weight falls to -1: a negative weight on a reversal "
                "reverses it once more, and the features would help the discriminator.",
            ),
            Mistake(
                _straight,
                "A straight ramp is a fair idea, but not this one: it is 0.5 where the paper's is 0.987.",
            ),
            Mistake(_slow, "The factor 10 in the exponent is missing: yours reaches 0.46 at the end, not 1."),
        ),
        hints=(
            "Check the two ends: at p = 0 it is 2/2 - 1 = 0, at p = 1 nearly 2/1 - 1 = 1.",
            "`math.exp(-10 * progress)` is the only transcendental part.",
        ),
        well_done="Nearly 1 after a third of training: the discriminator gets a head start, but a short one.",
    ),
}
