"""Exercises of the chapter on DANN: the reversal, how its weight grows, and what a domain loss proves."""

import math

import numpy as np
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


def least_loss(p, q):
    """Domain loss, in nats, of the best discriminator for shares p (source) and q (target)."""
    says_target = q / (p + q)
    return -(p * np.log(1 - says_target)).sum() - (q * np.log(says_target)).sum()


def _one_half(p, q):
    return 2 * math.log(2)


def _mean_of_two(p, q):
    return least_loss(p, q) / 2


def _turned(p, q):
    says_target = p / (p + q)
    return -(p * np.log(1 - says_target)).sum() - (q * np.log(says_target)).sum()


def _share_alone(p, q):
    return -(p * np.log(1 - q)).sum() - (q * np.log(q)).sum()


def _source_alone(p, q):
    return -(p * np.log(p / (p + q))).sum()


def _target_alone(p, q):
    return -(q * np.log(q / (p + q))).sum()


def _in_bits(p, q):
    return least_loss(p, q) / math.log(2)


def _gap(p, q):
    return 2 * math.log(2) - least_loss(p, q)


def _shares(rng):
    k = int(rng.integers(3, 7))
    p, q = rng.dirichlet(np.ones(k), 2) * 0.95 + 0.05 / k
    return p, q


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
    "least_loss": Exercise(
        task="From the shares p (source) and q (target) of each feature value, return the smallest domain loss that a "
        "discriminator can reach: the mean over the source plus the mean over the target, in nats.",
        answer=least_loss,
        fresh=_shares,
        mistakes=(
            Mistake(
                _one_half,
                "2 ln 2 is what a discriminator pays that always says one half. It is the best one only if p = q.",
            ),
            Mistake(
                _mean_of_two,
                "You took the mean of the two terms, which is ln 2 at chance. DANN's domain loss is their sum.",
            ),
            Mistake(
                _turned,
                "The two domains are exchanged: your discriminator says the wrong one, and pays more than 2 ln 2.",
            ),
            Mistake(
                _share_alone,
                'You say "target" with probability q. But q is the share of the value within the target; how much '
                "of what has this value is target depends on p as well.",
            ),
            Mistake(_source_alone, "That is the term of the source. The target's is missing."),
            Mistake(_target_alone, "That is the term of the target. The source's is missing."),
            Mistake(_in_bits, "Your loss is in bits. Take the natural logarithm."),
            Mistake(
                _gap,
                "That is how far the best discriminator stays below 2 ln 2. The loss itself is asked for.",
            ),
        ),
        hints=(
            'Each value can be answered on its own. If the discriminator says "target" with probability d there, '
            "this value adds `-p * log(1 - d) - q * log(d)` to the loss.",
            "Set the derivative in d to zero: p / (1 - d) = q / d. So d = q / (p + q).",
            "Put d back: `-(p * np.log(1 - d)).sum() - (q * np.log(d)).sum()`.",
        ),
        well_done="It is 2 ln 2 only if p = q, and no discriminator lies below it. So a loss under 2 ln 2 shows that p "
        "and q differ; a loss of 2 ln 2 may only show that this discriminator is not the best.",
    ),
}
