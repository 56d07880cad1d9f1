"""GDCAN: attention by domain, its gate, the correction on the target's side alone, and what all of it reaches."""

import math

import numpy as np
import pytest
import torch

from dakit import losses, methods
from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from dakit.models.domain_attention import gate_statistic
from dakit.training import fit
from tests.losses.test_linear_mmd_loss import by_loops, invariance_by_loops
from tests.methods.align.deep_toys import LEARN, mean_accuracy, moved_along_the_classes, runs
from tests.training.toys import QUICK, blobs, pictures, same, weights

SOURCE = pictures(24)
SMALL = {"name": "se_cnn", "widths": (4, 8), "reduction": 2}


def gdcan(source=SOURCE, backbone=SMALL, **options):
    """Adapting from the first step on, unless said otherwise."""
    return methods.build("gdcan", source, backbone=backbone, **{"pretrain": 0.0, **options})


def batch_pair(n: int = 24, source=SOURCE, seed: int = 1):
    """Source and target of another brightness, which the channel means show."""
    index = torch.arange(n)
    target = 1 - pictures(n, seed=seed).x if source is SOURCE else source.x[:n] + 1
    return Batch(source.x[:n], source.y[:n], index, 0), Batch(target, None, index, 1)


def in_different_places(method, scale=0.5):
    """All parts that start at zero or as copies, moved away from there; norms frozen, their outputs off zero."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in method.named_parameters():
            if "correction" in name or ".a1." in name or "bn2.bias" in name:
                p.add_(scale * torch.randn(p.shape, generator=g))
    method.begin_to_adapt()
    return method


def plain_network(backbone, x, first):
    """A residual network with squeeze and excitation, written out; ``first(block)`` gives the layer for each row."""
    h = torch.relu(backbone.stem[1](backbone.stem[0]((x - 0.5) / 0.25)))
    for block in backbone.blocks:
        y = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(h)))))
        squeezed = first(block.attention, y.mean(dim=(2, 3)))
        y = y * torch.sigmoid(block.attention.a2(torch.relu(squeezed)))[:, :, None, None]
        h = torch.relu(y + (h if block.shortcut is None else block.shortcut(h)))
    return h.mean(dim=(2, 3))


# -- acceptance 1: the two ends of the threshold ------------------------------------------------------------------


def test_eta_infinite_is_a_plain_network_with_attention():
    method = in_different_places(gdcan(eta=math.inf))
    source, target = batch_pair()
    both = torch.cat([source.x, target.x])
    expected = plain_network(method.backbone, both, lambda layer, g: layer.a0(g))
    assert (method.plain_features(both, len(source)) - expected).abs().max() == 0
    with method.on("target"):
        assert (method.plain_features(both) - expected).abs().max() == 0
    method.losses(source, target, 1.0)
    assert all(layer.opened == 0 for layer in method.attention_layers())


@pytest.mark.parametrize("options", [{"eta": -1.0}, {"eta": -math.inf}, {"eta": 0.0}, {"variant": "dcan"}])
def test_eta_minus_one_is_dcan(options):
    method = in_different_places(gdcan(**options))
    source, target = batch_pair()
    n, both = len(source), torch.cat([source.x, target.x])
    rows = torch.arange(2 * n)[:, None] < n
    expected = plain_network(
        method.backbone, both, lambda layer, g: torch.where(rows, layer.a0(g), layer.a1(g))
    )
    assert (method.plain_features(both, n) - expected).abs().max() == 0
    assert (expected - plain_network(method.backbone, both, lambda layer, g: layer.a0(g)))[n:].abs().max() > 0
    assert all(layer.open_share == 1 for layer in method.attention_layers())


def test_dcan_trains_to_the_same_bits_under_both_names():
    target = Domain("inverted", 1 - SOURCE.x, SOURCE.y, SOURCE.classes)
    one, other = (
        weights(fit(gdcan(pretrain=0.3, **o), SOURCE, target, **{**QUICK, "steps": 8}))
        for o in ({"eta": -1.0}, {"variant": "dcan", "eta": 0.7})
    )
    assert same(one, other)


# -- acceptance 2: the gate ---------------------------------------------------------------------------------------


def halves():
    """Channel means of two domains whose ratios of mean to deviation are 0.7021 and 0.7129."""
    z = torch.randn(64, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = (z - z.mean()) / z.std()
    return z + 0.7021, z.flip(0) + 0.7129


def test_the_gate_in_numbers():
    gs, gt = halves()
    assert gate_statistic(gs, gs) == 0
    assert gate_statistic(gs, gt).item() == pytest.approx(0.0151, abs=6e-5)  # tanh(0.0108 / 0.7129)
    assert gate_statistic(gs, 3 * gt).item() == pytest.approx(0.0151, abs=6e-5)
    moved = gate_statistic(gs, gt + 1).item()
    assert moved == pytest.approx(math.tanh(1 - 0.7021 / 1.7129), abs=1e-4)
    assert round(moved, 2) == 0.53 > methods.GDCAN.__init__.__kwdefaults__["eta"]


def test_the_gate_divides_by_the_absolute_value():
    gs, gt = halves()
    far = gate_statistic(
        gs, -gt / 10
    ).item()  # rho_t = -0.7129: as it stands in the code of the paper, p = -0.96
    assert far == pytest.approx(math.tanh((0.7021 + 0.7129) / 0.7129), abs=1e-3)
    farther = gate_statistic(gs + 1, 0.4 - gt).item()  # p = -0.99 with the sign
    assert farther > 0.99


def test_the_gate_of_each_block_follows_each_batch():
    method = in_different_places(gdcan())
    source, target = batch_pair()
    alike = Batch(source.x, None, target.index, 1)
    layers = method.attention_layers()
    assert len(layers) == len(method.backbone.blocks) == 2
    method.losses(source, alike, 1.0)
    assert all(layer.last == 0 and layer.opened == 0 for layer in layers)
    method.losses(source, target, 1.0)
    assert any(layer.last >= 0.2 for layer in layers)
    assert all(layer.opened == (layer.last >= 0.2) for layer in layers)
    assert sum(k.endswith("attention.p") for k in method.state_dict()) == 2  # saved with the weights


# -- acceptance 3: isolated paths ---------------------------------------------------------------------------------


def gradients_of(loss, layer):
    loss.backward()
    sizes = [
        sum(p.grad.abs().sum().item() for p in part.parameters()) for part in (layer.a0, layer.a1, layer.a2)
    ]
    return np.array(sizes)


@pytest.mark.parametrize("block", [0, 1])
def test_each_domain_moves_its_own_path(block):
    source, target = batch_pair()
    n = len(source)
    for part, (own, other) in (("target", (1, 0)), ("source", (0, 1))):
        method = in_different_places(gdcan(eta=-1.0))
        f = method.plain_features(torch.cat([source.x, target.x]), n)
        loss = losses.entropy(method.head(f[n:] if part == "target" else f[:n]))
        sizes = gradients_of(loss, method.attention_layers()[block])
        assert sizes[other] == 0
        assert sizes[own] > 0
        assert sizes[2] > 0
    method = in_different_places(gdcan(eta=math.inf))
    f = method.plain_features(torch.cat([source.x, target.x]), n)
    sizes = gradients_of(losses.entropy(method.head(f[n:])), method.attention_layers()[block])
    assert sizes[1] == 0
    assert sizes[0] > 0


# -- acceptance 4: the correction ---------------------------------------------------------------------------------


def terms_by_loops(method, source, target, kept):
    """All terms, from explicit loops, on features of separate passes."""
    k = method.num_classes
    with method.on("source"):
        fs = method.features(source.x)
        o = method.head(fs)
    f_hat, s_hat = (z + method.correction(z) for z in (method.plain_features(target.x), fs))
    o_hat, os_hat = (method.head(z) for z in (f_hat, s_hat))
    p, p_hat = torch.softmax(o, 1), torch.softmax(o_hat, 1)
    one = {"kernels": 1, "bandwidth": 1.68}
    fs, f_hat, s_hat, o, os_hat = (z.detach().double() for z in (fs, f_hat, s_hat, o, os_hat))
    return {
        "label": -torch.log(p)[torch.arange(len(source)), source.y].mean().item(),
        "mmd_features": method.alpha * by_loops(fs, f_hat),
        "mmd_predictions": method.alpha * by_loops(p.detach().double(), p_hat.detach().double(), **one),
        "source_invariance": method.alpha
        * (
            invariance_by_loops(fs, s_hat, source.y, kept)
            + invariance_by_loops(o, os_hat, source.y, kept, **one)
        ),
        "entropy": method.beta * -(p_hat * torch.log(p_hat)).sum(1).mean().item(),
        "k": k,
    }


def test_all_terms_are_those_of_explicit_loops():
    method = in_different_places(gdcan(alpha=0.7, beta=0.3, eta=-1.0))
    for layer in method.attention_layers():
        layer.p.fill_(1.0)  # the same path outside of joint batches (any p would do with this eta)
    source, target = batch_pair()
    state = torch.get_rng_state()
    terms = method.losses(source, target, 1.0)
    torch.set_rng_state(state)
    kept = torch.rand(2, len(source)) < 0.8 / 2
    expected = terms_by_loops(method, source, target, kept)
    assert list(terms) == ["label", "mmd_features", "mmd_predictions", "source_invariance", "entropy"]
    for name, value in terms.items():
        assert value.item() == pytest.approx(expected[name], rel=2e-4, abs=2e-5), name


def test_without_a_correction_it_is_dan_with_entropy():
    method = gdcan(rho=0.0)
    method.begin_to_adapt()
    source, target = batch_pair()
    terms = method.losses(source, target, 1.0)
    n = len(source)
    f = method.plain_features(torch.cat([source.x, target.x]), n)
    o = torch.nn.functional.linear(f, method.head.weight, method.head.bias)
    p = torch.softmax(o, dim=1)
    expected = losses.cross_entropy(o[:n], source.y) + 0.1 * losses.entropy(o[n:])
    expected = expected + 1.5 * losses.linear_mmd(f[:n], f[n:])
    expected = expected + 1.5 * losses.linear_mmd(p[:n], p[n:], kernels=1, bandwidth=1.68)
    assert torch.allclose(sum(terms.values()), expected, atol=1e-6)


def test_at_no_correction_the_invariance_term_moves_the_output_layer_alone():
    method = gdcan()
    source, target = batch_pair()
    torch.manual_seed(0)
    method.losses(source, target, 1.0)["source_invariance"].backward()
    for block in (method.correction, method.head.correction):
        inner, _, outer = block
        assert all(
            (p.grad == 0).all() for p in inner.parameters()
        )  # first order in the correction, no further
        assert outer.bias.grad.abs().sum() > 0


def test_only_target_features_are_corrected():
    method = in_different_places(gdcan())
    source, target = batch_pair()
    with method.on("source"):
        plain, o = method.features(source.x), method.logits(source.x)
        assert torch.equal(plain, method.plain_features(source.x))
        assert torch.allclose(o, torch.nn.functional.linear(plain, method.head.weight, method.head.bias))
    f = method.plain_features(target.x)
    assert torch.equal(method.features(target.x), f + method.correction(f))
    o_hat = torch.nn.functional.linear(method.features(target.x), method.head.weight, method.head.bias)
    assert torch.allclose(method.logits(target.x), o_hat + method.head.correction(o_hat), atol=1e-6)
    moved = method.losses(source, target, 1.0)
    with torch.no_grad():
        method.correction[2].bias.add_(1.0)
    again = method.losses(source, target, 1.0)
    assert torch.equal(moved["label"], again["label"])
    assert not torch.equal(moved["mmd_features"], again["mmd_features"])


def correction_sizes(run, source, target):
    """||Δ_1(f)|| / ||f|| on the source and on the target."""
    sizes = []
    for side, domain in (("source", source), ("target", target)):
        with torch.no_grad(), run.method.on(side):
            f = run.method.plain_features(domain.x)
            sizes.append((run.method.correction(f).norm(dim=1).mean() / f.norm(dim=1).mean()).item())
    return sizes


def test_the_trained_correction_is_larger_on_the_target():
    """With features that stay apart (none are learned here) only Δ_1 can bring the domains together.

    Measured with three seeds: 0.19, 0.31, 0.20 on the source and 0.68, 0.89, 0.70 on the target; without the
    source-invariance term (ρ = 0) 0.82, 1.25, 0.90 and 0.81, 0.91, 0.72.
    """
    source, target = blobs(300), blobs(300, shift=4.0, seed=1)

    def sizes(**options):
        def make(seed):
            return gdcan(source, "embedding", seed=seed, pretrain=1 / 3, hidden=16, **options)

        return [
            correction_sizes(r, source, target)
            for r in fit(make, source, target, seeds=3, **{**LEARN, "steps": 100, "batch_size": 32})
        ]

    kept, free = np.array(sizes()), np.array(sizes(rho=0.0))
    assert (kept[:, 0] > 0).all()
    assert (kept[:, 0] < kept[:, 1]).all()
    assert (kept[:, 0] < free[:, 0]).all()
    assert (kept[:, 0] / kept[:, 1]).mean() < (free[:, 0] / free[:, 1]).mean()


def test_the_invariance_term_moves_the_correction_or_all():
    source, target = batch_pair()
    values = []
    for moves, felt in (("correction", False), ("all", True)):
        method = in_different_places(gdcan(moves=moves))
        torch.manual_seed(0)
        value = method.losses(source, target, 1.0)["source_invariance"]
        value.backward()
        others = {k: p.grad for k, p in method.named_parameters() if "correction" not in k}
        assert any(g is not None and g.abs().sum() > 0 for g in others.values()) is felt
        assert all(p.grad.abs().sum() > 0 for p in method.correction.parameters())
        values.append(value.item())
    assert values[0] == pytest.approx(values[1], rel=1e-5)  # the same number, another gradient


def test_subsets_come_from_the_whole_batch_and_have_the_size_they_should(monkeypatch):
    seen = []
    monkeypatch.setattr(
        losses, "source_invariance", lambda f, g, y, kept, **o: seen.append(kept) or f.sum() * 0
    )
    method = gdcan()
    for _ in range(50):
        method.losses(*batch_pair(), 1.0)
    kept = torch.stack(seen[::2]).float()  # 50 steps, 2 classes, 24 rows
    assert torch.equal(
        torch.stack(seen[::2]), torch.stack(seen[1::2])
    )  # features and logits of the same rows
    assert kept.mean().item() == pytest.approx(0.4, abs=0.03)
    assert kept.mean(dim=(0, 1)).min() > 0.2


# -- stages, side, state ------------------------------------------------------------------------------------------


def test_the_first_stage_is_source_only_and_sees_no_target():
    source, target = batch_pair()
    target.x = torch.full_like(target.x, float("nan"))
    method = gdcan(pretrain=0.5)
    terms = method.losses(source, target, 0.4)
    assert list(terms) == ["label"]
    plain = methods.build("source_only", SOURCE, backbone=SMALL)
    assert torch.equal(terms["label"], plain.losses(source, target, 0.4)["label"])
    data = (SOURCE, Domain("inverted", 1 - SOURCE.x, None, SOURCE.classes))
    never = weights(fit(gdcan(pretrain=1.0, anneal=False), *data, **QUICK))
    plain = methods.build("source_only", SOURCE, backbone=SMALL)
    for k, v in weights(fit(plain, *data, **QUICK)).items():
        assert torch.allclose(never[k], v, atol=1e-6), k


def test_the_second_stage_copies_once_and_freezes_the_norms():
    method = gdcan(pretrain=0.5)
    source, target = batch_pair()
    layer = method.attention_layers()[0]
    with torch.no_grad():
        layer.a0.weight.add_(1.0)
    method.losses(source, target, 0.6)
    assert torch.equal(layer.a1.weight, layer.a0.weight)
    before = method.backbone.stem[1].running_mean.clone()
    with torch.no_grad():
        layer.a1.weight.add_(1.0)
    method.train().losses(source, target, 0.7)
    assert not torch.equal(layer.a1.weight, layer.a0.weight)
    assert torch.equal(method.backbone.stem[1].running_mean, before)


def test_other_backbones_get_one_attention_layer_on_their_features():
    flat = blobs()
    method = gdcan(flat, {"name": "mlp", "hidden": (8,)}, eta=-1.0)
    assert method.attention_layers() == [method.attention]
    with torch.no_grad():
        method.attention.a1.weight.normal_()
    for side, first in (("source", method.attention.a0), ("target", method.attention.a1)):
        f = method.backbone(flat.x)
        with method.on(side):
            w = torch.sigmoid(method.attention.a2(torch.relu(first(f))))
            assert torch.allclose(method.plain_features(flat.x), w * f, atol=1e-6)


def test_several_sources_are_mixed_before_neighbours_are_compared():
    first, second = blobs(seed=0), blobs(shift=3.0, seed=1, name="others")
    run = fit("gdcan", [first, second], blobs(seed=2).unlabeled(), **QUICK)
    assert np.isfinite(run.history["mmd_features"].iloc[-1])


def test_an_interrupted_run_goes_on_to_the_same_bits():
    target = Domain("inverted", 1 - SOURCE.x, None, SOURCE.classes)

    def stop(run):
        if run.step >= 13 and run.state is None:
            raise KeyboardInterrupt

    options = {**QUICK, "snapshots": 21}
    whole = fit(gdcan(pretrain=0.3), SOURCE, target, **options)
    part = fit(gdcan(pretrain=0.3), SOURCE, target, on_snapshot=stop, **options)
    assert not part.finished
    assert same(weights(whole), weights(fit(gdcan(pretrain=0.3), SOURCE, target, resume=part, **options)))


def test_bad_hyperparameters_are_told():
    for options, words in (
        ({"alpha": -1.0}, "alpha must be a number of at least 0"),
        ({"beta": math.nan}, "beta must be"),
        ({"rho": -0.1}, "rho must be"),
        ({"eta": math.nan}, "eta must be a number, or inf to share always, got nan"),
        ({"eta": True}, "eta must be a number"),
        ({"pretrain": 1.5}, "pretrain must be a number of at least 0 and at most 1"),
        ({"adapt_lr": -1.0}, "adapt_lr must be"),
        ({"moves": "some"}, "moves must be one of 'correction', 'all', got 'some'"),
        ({"variant": "dan"}, "variant must be one of 'gdcan', 'dcan', got 'dan'"),
        ({"hidden": 0}, "hidden must be an integer of at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            gdcan(**options)


def test_it_learns_over_seeds():
    """Measured with three seeds: target accuracy 0.89 against 0.76 for source_only."""
    source, target = moved_along_the_classes()
    plain, adapted = runs("source_only", source, target), runs("gdcan", source, target)
    assert mean_accuracy(adapted, target) > mean_accuracy(plain, target)
