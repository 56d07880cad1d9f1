"""Channel attention by domain: the layer, its gate, and the network that has it in every block."""

import json
import math
from itertools import pairwise

import pytest
import torch

from dakit import methods, models
from dakit.models.domain_attention import DomainAttention, gate_statistic
from tests.training.toys import pictures


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_layer_by_hand():
    layer = DomainAttention(2, reduction=2)
    with torch.no_grad():
        for part, weight in ((layer.a0, [[1.0, 0.0]]), (layer.a1, [[0.0, 1.0]]), (layer.a2, [[1.0], [2.0]])):
            part.weight.copy_(torch.tensor(weight))
            part.bias.zero_()
    x = torch.stack([torch.full((1, 2), 1.0), torch.full((1, 2), 3.0)])[
        None
    ]  # one picture, channel means 1 and 3

    def s(v):
        return 1 / (1 + math.exp(-v))

    layer.eta = -1
    for side, z in (("source", 1.0), ("target", 3.0)):
        layer.side = side
        out = layer(x)[0, :, 0, 0]
        assert out.tolist() == pytest.approx([s(z), 3 * s(2 * z)], rel=1e-6)
    assert torch.equal(layer(x.mean(dim=(2, 3))), layer(x)[:, :, 0, 0])  # flat inputs are maps of one pixel


def test_the_squeeze_looks_at_each_picture_alone():
    layer, x = DomainAttention(8), random(6, 8, 4, 4)
    together = layer(x)
    apart = torch.cat([layer(x[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, apart, atol=1e-6)


def test_a_joint_batch_is_the_two_paths_side_by_side():
    layer, x = DomainAttention(8, eta=-1).eval(), random(7, 8, 4, 4)
    with torch.no_grad():
        layer.a1.weight.normal_()
    both = layer(x, 3)
    for side, rows in (("source", slice(3)), ("target", slice(3, 7))):
        layer.side = side
        assert torch.allclose(both[rows], layer(x[rows]), atol=1e-6)


# -- the gate --------------------------------------------------------------------------------------------------


def test_the_gate_by_hand():
    gs, gt = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 5.0]])  # means 1 and 3, variances 2 and 8
    source, target = 1 / math.sqrt(2 + 1e-5), 3 / math.sqrt(8 + 1e-5)
    expected = math.tanh((target - source) / target)
    assert gate_statistic(gs, gt).item() == pytest.approx(expected, rel=1e-6)


def test_a_negative_mean_does_not_close_the_gate():
    g = 0.3 * random(20, 8) + 2
    far = gate_statistic(g, -g / 4 - 2).item()
    signed = math.tanh(
        abs(g.mean() / g.std() - (-g / 4 - 2).mean() / (g / 4).std()) / ((-g / 4 - 2).mean() / (g / 4).std())
    )
    assert signed < -0.8, "dividing by rho itself: below every threshold"
    assert far == pytest.approx(-signed, abs=1e-3)
    assert DomainAttention(8).decide(torch.cat([g, -g / 4 - 2]), 20)


def test_degenerate_halves_give_numbers():
    zero = torch.zeros(4, 3)
    assert gate_statistic(zero, zero) == 0
    assert gate_statistic(zero + 1, zero) == 1
    assert torch.isfinite(gate_statistic(1e18 * random(4, 3), 1e18 * random(4, 3, seed=1)))
    with pytest.raises(ValueError, match="at least 2 entries of each domain"):
        gate_statistic(torch.zeros(1, 1), zero)


def test_running_values_move_in_training_only_and_are_saved():
    layer = DomainAttention(8)
    g = random(10, 8) + 1
    near, far = torch.cat([g, g]), torch.cat([g, g + 5])
    layer.eval()(far, 10)
    assert layer.batches == 0
    assert math.isnan(layer.open_share)
    layer.train()(far, 10)
    p = gate_statistic(g, g + 5)
    assert p > 0.2
    assert torch.equal(layer.p, p)  # the first batch counts in full
    layer(near, 10)
    assert layer.last == 0
    assert layer.p.item() == pytest.approx(0.9 * p.item(), rel=1e-5)
    assert (layer.batches, layer.opened, layer.open_share) == (2, 1, 0.5)
    twin = DomainAttention(8)
    twin.load_state_dict(layer.state_dict())
    with torch.no_grad():
        layer.a1.weight.normal_()
        twin.a1.weight.copy_(layer.a1.weight)
    for own in (layer, twin):
        own.side = "target"
    assert torch.equal(layer(g), twin(g))
    layer.side = "source"
    assert not torch.equal(layer(g), twin(g)), "the running p is over 0.2: the target has a path of its own"


# -- the network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"widths": (8, 16), "depth": 2, "reduction": 16}])
def test_the_network_can_be_made_again_from_its_spec(options):
    net = models.build("se_cnn", (3, 16, 16), **options)
    widths = options.get("widths", (16, 32, 64))
    x = torch.rand(4, 3, 16, 16)
    assert net(x).shape == (4, widths[-1])
    spec = json.loads(json.dumps(net.spec))
    twin = models.build(spec.pop("name"), tuple(spec.pop("shape")), **spec)
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin.eval()(x), net.eval()(x))
    layers = [m for m in net.modules() if isinstance(m, DomainAttention)]
    assert len(layers) == len(widths) * options.get("depth", 1) == len(net.blocks)  # one in every block
    assert layers[-1].a0.out_features == max(1, widths[-1] // options.get("reduction", 4))
    assert all(not torch.equal(a.a0.weight, b.a0.weight) for a, b in pairwise(layers))
    assert all(torch.equal(a.a0.weight, a.a1.weight) for a in layers)


def test_each_block_has_a_gate_of_its_own():
    """A change that only the first block sees opens only its gate."""
    net = models.build("se_cnn", (1, 16, 16), widths=(8, 8, 8))
    layers = [block.attention for block in net.blocks]
    x = torch.rand(12, 1, 16, 16)
    net(torch.cat([x, x]), 12)
    assert all(layer.last == 0 for layer in layers)
    for block in net.blocks:  # maps with an offset, so that the ratio is not 0 divided by nearly 0
        torch.nn.init.ones_(block.bn2.bias)
    net.eval()
    hook = net.blocks[0].bn2.register_forward_hook(
        lambda m, i, out: out + 3 * (torch.arange(24) >= 12).view(-1, 1, 1, 1)
    )
    gone = net.blocks[0].attention.register_forward_hook(lambda m, i, out: torch.cat([out[:12], out[:12]]))
    for layer in layers:
        layer.train()
    net(torch.cat([x, x]), 12)
    hook.remove()
    gone.remove()
    assert [bool(layer.last >= 0.2) for layer in layers] == [True, False, False]


def test_methods_that_know_no_domains_train_a_plain_network():
    source = pictures(16)
    method = methods.build("source_only", source, backbone={"name": "se_cnn", "widths": (4, 8)})
    with torch.no_grad():
        for block in method.backbone.blocks:
            block.attention.a1.weight.normal_()
    method.eval()
    with method.on("source"):
        here = method.logits(source.x)
    assert torch.equal(here, method.logits(source.x))
    with method.on("target"):
        assert torch.allclose(here, method.logits(source.x), atol=1e-6)  # a gate that saw no target is closed


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((10,), {}, "se_cnn needs pictures"),
        ((3, 4, 4), {}, "3 stages needs pictures of at least 8 pixels"),
        ((3, 16, 16), {"widths": ()}, "at least one stage of at least one map"),
        ((3, 16, 16), {"depth": 0}, "depth and reduction of at least 1"),
    ],
)
def test_bad_input_is_told(shape, options, words):
    with pytest.raises(ValueError, match=words):
        models.build("se_cnn", shape, **options)


def test_bad_layers_are_told():
    with pytest.raises(ValueError, match="channels and reduction must be at least 1"):
        DomainAttention(0)
