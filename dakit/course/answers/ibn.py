"""Exercises of the chapter on IBN: the split layer, the divergence of a layer, and where variant a puts its layers."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def _normed(part, axes):
    if not part.shape[1]:
        return part
    return (part - part.mean(axes, keepdims=True)) / np.sqrt(part.var(axes, keepdims=True) + 1e-5)


def split_norm(x, ratio):
    """Instance norm on the first channels, batch norm on the rest."""
    k = int(x.shape[1] * ratio)
    return np.concatenate([_normed(x[:, :k], (2, 3)), _normed(x[:, k:], (0, 2, 3))], axis=1)


def _halves_exchanged(x, ratio):
    k = int(x.shape[1] * ratio)
    return np.concatenate([_normed(x[:, :k], (0, 2, 3)), _normed(x[:, k:], (2, 3))], axis=1)


def _last_channels(x, ratio):
    k = x.shape[1] - int(x.shape[1] * ratio)
    return np.concatenate([_normed(x[:, :k], (0, 2, 3)), _normed(x[:, k:], (2, 3))], axis=1)


def _channels_together(x, ratio):
    k = int(x.shape[1] * ratio)
    return np.concatenate([_normed(x[:, :k], (1, 2, 3)), _normed(x[:, k:], (0, 2, 3))], axis=1)


def _all_instance(x, ratio):
    return _normed(x, (2, 3))


def _all_batch(x, ratio):
    return _normed(x, (0, 2, 3))


def _not_divided(x, ratio):
    k = int(x.shape[1] * ratio)
    parts = (x[:, :k], (2, 3)), (x[:, k:], (0, 2, 3))
    return np.concatenate([p - p.mean(axes, keepdims=True) for p, axes in parts], axis=1)


def _maps(rng):
    n, c = int(rng.integers(3, 6)), int(rng.integers(4, 9))
    return rng.normal(size=(n, c, 4, 4)) + rng.normal(size=(n, c, 1, 1)), float(rng.choice([0.25, 0.3, 0.75]))


def divergence(xs, xt):
    """Symmetric KL of Gaussians of the channel means, averaged over the channels."""
    (ms, vs), (mt, vt) = ((f.mean(0), f.var(0)) for f in (xs.mean((2, 3)), xt.mean((2, 3))))
    gap = (ms - mt) ** 2
    return float(np.mean((vs + gap) / (2 * vt) + (vt + gap) / (2 * vs) - 1))


def _one_way(xs, xt):
    (ms, vs), (mt, vt) = ((f.mean(0), f.var(0)) for f in (xs.mean((2, 3)), xt.mean((2, 3))))
    return float(np.mean(np.log(vt / vs) / 2 + (vs + (ms - mt) ** 2) / (2 * vt) - 0.5))


def _summed(xs, xt):
    return divergence(xs, xt) * xs.shape[1]


def _pixels_pooled(xs, xt):
    (ms, vs), (mt, vt) = ((x.mean((0, 2, 3)), x.var((0, 2, 3))) for x in (xs, xt))
    gap = (ms - mt) ** 2
    return float(np.mean((vs + gap) / (2 * vt) + (vt + gap) / (2 * vs) - 1))


def _deviation_for_variance(xs, xt):
    (ms, ss), (mt, st) = ((f.mean(0), f.std(0)) for f in (xs.mean((2, 3)), xt.mean((2, 3))))
    gap = (ms - mt) ** 2
    return float(np.mean((ss + gap) / (2 * st) + (st + gap) / (2 * ss) - 1))


def _no_one_half(xs, xt):
    return divergence(xs, xt) + 1


def _two_domains(rng):
    c = int(rng.integers(2, 6))
    xs, xt = (rng.normal(size=(n, c, 3, 3)) + rng.normal(size=(n, c, 1, 1)) for n in (12, 9))
    return xs, rng.uniform(0.5, 2) * xt + rng.normal(size=(c, 1, 1))


def split_in_a(blocks):
    """bn1 of every block, in all stages but the last."""
    return [f"layer{s + 1}.{b}.bn1" for s, count in enumerate(blocks[:-1]) for b in range(count)]


def _last_stage_too(blocks):
    return [f"layer{s + 1}.{b}.bn1" for s, count in enumerate(blocks) for b in range(count)]


def _both_norms(blocks):
    names = [f"layer{s + 1}.{b}" for s, count in enumerate(blocks[:-1]) for b in range(count)]
    return [f"{name}.{norm}" for name in names for norm in ("bn1", "bn2")]


def _last_blocks(blocks):
    return [f"layer{s + 1}.{count - 1}.bn1" for s, count in enumerate(blocks[:-1])]


def _second_norm(blocks):
    return [name.replace("bn1", "bn2") for name in split_in_a(blocks)]


def _from_zero(blocks):
    return [f"layer{s}.{b}.bn1" for s, count in enumerate(blocks[:-1]) for b in range(count)]


EXERCISES = {
    "split_norm": Exercise(
        task="Normalise the first `int(c * ratio)` channels of x (n, c, h, w) by picture and the others by batch.",
        answer=split_norm,
        fresh=_maps,
        mistakes=(
            Mistake(
                _halves_exchanged,
                "The two norms are exchanged: the *first* channels are normalised picture by picture.",
            ),
            Mistake(
                _last_channels,
                "You gave the last channels to the instance norm. The first `int(c * ratio)` of them are meant.",
            ),
            Mistake(
                _channels_together,
                "Your instance part takes one mean over all channels of a picture (that is layer norm). Each channel "
                "needs its own: only the axes of height and width are averaged.",
            ),
            Mistake(_all_instance, "All channels are normalised by picture; the rest should be by batch."),
            Mistake(_all_batch, "All channels are normalised by batch; the first ones should be by picture."),
            Mistake(_not_divided, "The means are gone, but you did not divide by sqrt(variance + 1e-5)."),
        ),
        hints=(
            "Cut x along its second axis at `k = int(c * ratio)` and treat the two parts separately.",
            "Instance norm averages over axes (2, 3), batch norm over axes (0, 2, 3); `keepdims=True` helps.",
            "`(part - mean) / np.sqrt(var + 1e-5)` for each part, then `np.concatenate([...], axis=1)`.",
        ),
        well_done="Split by size, as here, and odd channel numbers and any ratio work.",
        rtol=1e-5,
        atol=1e-7,
    ),
    "divergence": Exercise(
        task="From maps of two domains, return the symmetric KL divergence of channel means, a mean over channels.",
        answer=divergence,
        fresh=_two_domains,
        mistakes=(
            Mistake(_one_way, "That is KL in one direction. Add the other one: both domains count alike."),
            Mistake(_summed, "You summed over the channels; the mean is asked for, so that layers compare."),
            Mistake(
                _pixels_pooled,
                "Your variance is that of all pixels. First average each channel over its positions: one number an "
                "example; its variance over the examples is the Gaussian's.",
            ),
            Mistake(
                _deviation_for_variance,
                "You used standard deviations where the formula has their squares.",
            ),
            Mistake(_no_one_half, "Two domains that are equal must give 0: the two halves are missing."),
        ),
        hints=(
            "`f = x.mean((2, 3))` has shape (n, c). Its mean and variance over axis 0 are the Gaussians.",
            "When both directions are added, the logarithms cancel.",
            "What is left of a channel: `(vs + gap) / (2 vt) + (vt + gap) / (2 vs) - 1`, with gap the squared "
            "difference of the means.",
        ),
        well_done="It does not see the scale of a channel, so layers can be compared.",
        rtol=1e-5,
    ),
    "split_in_a": Exercise(
        task="Return the names of the norm layers that IBN-a splits, for stages with so many blocks.",
        answer=split_in_a,
        fresh=lambda rng: (tuple(int(b) for b in rng.integers(2, 5, size=int(rng.integers(3, 5)))),),
        mistakes=(
            Mistake(
                _last_stage_too, "The last stage is about content: variant a leaves its batch norms whole."
            ),
            Mistake(_both_norms, "Only the first norm of a block is split; the second one stays batch norm."),
            Mistake(_last_blocks, "Variant a changes every block of a stage, not only the last."),
            Mistake(_second_norm, "It is the first norm of the block that is split, `bn1`."),
            Mistake(_from_zero, "Right layers, but stages are counted from 1: the first is `layer1`."),
        ),
        hints=(
            "Two loops: over the stages but the last, and over the blocks of each.",
            "Stages are counted from 1, blocks from 0: `layer1.0.bn1` is the first.",
        ),
        well_done="Early, and inside the residual branch: the identity path keeps what the instance half forgets.",
    ),
}
