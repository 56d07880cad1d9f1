"""IBN: half and half in one layer, early stages only, never on the identity path, and what each half forgets."""

import json

import pytest
import torch
from torch import nn

from dakit import models
from dakit.models.ibn import InstanceBatchNorm, add_ibn
from dakit.models.layers import InstanceNorm
from tests.training.toys import same

SHAPE = (3, 16, 16)


def network(seed=0, name="resnet8", **options):
    torch.manual_seed(seed)
    return models.build(name, SHAPE, **{"width": 4, **options})


def maps(n=6, channels=4, seed=0):
    return torch.randn(n, channels, 5, 5, generator=torch.Generator().manual_seed(seed)) + 1


def restyled(x, row=0, seed=1):
    """The same maps, those of one picture with a positive gain and an offset for each channel."""
    g = torch.Generator().manual_seed(seed)
    x = x.clone()
    gain = 0.2 + 3 * torch.rand(x.shape[1], 1, 1, generator=g)
    x[row] = gain * x[row] + torch.randn(x.shape[1], 1, 1, generator=g)
    return x


# -- the layer --------------------------------------------------------------------------------------------------


def test_the_layer_by_hand():
    x = torch.tensor([[[[1.0, 3.0]], [[1.0, 3.0]]], [[[4.0, 8.0]], [[5.0, 7.0]]]])  # (2, 2, 1, 2)
    y = InstanceBatchNorm(2)(x)
    # First channel: each picture alone, -1 and 1. Second: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5 over the batch.
    assert torch.allclose(y[:, 0], torch.tensor([[[-1.0, 1.0]], [[-1.0, 1.0]]]), atol=1e-4)
    expected = torch.tensor([[[-3.0, -1.0]], [[1.0, 3.0]]]) / 5**0.5
    assert torch.allclose(y[:, 1], expected, atol=1e-4)


def test_the_halves_are_torchs_two_norms_side_by_side():
    layer = InstanceBatchNorm(6)
    for part in (layer.instance, layer.batch):
        nn.init.normal_(part.weight)
        nn.init.normal_(part.bias)
    x = maps(channels=6)
    mean, var = x[:, :3].mean((2, 3), keepdim=True), x[:, :3].var((2, 3), correction=0, keepdim=True)
    by_hand = (x[:, :3] - mean) / (var + 1e-5).sqrt()
    by_hand = by_hand * layer.instance.weight.view(-1, 1, 1) + layer.instance.bias.view(-1, 1, 1)
    reference = nn.BatchNorm2d(3)
    reference.load_state_dict(layer.batch.state_dict())
    assert torch.allclose(layer(x), torch.cat([by_hand, reference(x[:, 3:])], 1), atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "ratio", "instance"), [(8, 0.5, 4), (7, 0.5, 3), (5, 0.3, 1), (5, 0.9, 4)]
)
def test_channels_are_split_by_size_whatever_the_ratio(channels, ratio, instance):
    layer = InstanceBatchNorm(channels, ratio)
    assert (layer.instance.num_features, layer.batch.num_features) == (instance, channels - instance)
    assert layer(maps(channels=channels)).shape == (6, channels, 5, 5)


def test_the_instance_half_has_weights_and_no_running_statistics():
    layer = InstanceBatchNorm(4)
    assert set(layer.state_dict()) == {
        *("instance.weight", "instance.bias"),
        *(f"batch.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
    }


@pytest.mark.parametrize("training", [True, False])
def test_the_instance_half_forgets_gain_and_offset_and_the_batch_half_does_not(training):
    layer = InstanceBatchNorm(4).train(training)
    x = maps()
    before, after = layer(x), layer(restyled(x))
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-4)
    assert not torch.allclose(before[0, 2:], after[0, 2:], atol=0.1)


def test_a_picture_is_alone_in_evaluation_and_its_batch_half_is_not_in_training():
    layer = InstanceBatchNorm(4)
    x = maps()
    other = torch.cat([x[:1], 3 * maps(seed=7)[1:] - 2])
    a, b = layer(x)[0], layer(other)[0]
    assert torch.allclose(a[:2], b[:2], atol=1e-5)
    assert not torch.allclose(a[2:], b[2:], atol=0.1)
    layer.eval()
    assert torch.allclose(layer(x)[0], layer(other)[0], atol=1e-5)


def test_ratio_0_is_batch_norm_and_ratio_1_is_instance_norm():
    x = maps()
    weight, bias = torch.randn(4), torch.randn(4)
    for ratio, plain in ((0.0, nn.BatchNorm2d(4)), (1.0, nn.InstanceNorm2d(4, affine=True))):
        layer = InstanceBatchNorm(4, ratio)
        (norm,) = layer.children()
        for n in (norm, plain):
            n.weight.data.copy_(weight)
            n.bias.data.copy_(bias)
        for mode in (True, False):
            assert torch.equal(layer.train(mode)(x), plain.train(mode)(x))


def test_gradients_flow_through_both_halves():
    layer = InstanceBatchNorm(4).double()
    x = maps(3).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, x)


# -- in a network -----------------------------------------------------------------------------------------------


def kinds(model):
    return {name: type(m) for name, m in model.named_modules() if "Norm" in type(m).__name__}


@pytest.mark.parametrize(("name", "stages"), [("resnet8", 3), ("resnet18", 4)])
def test_variant_a_splits_the_first_norm_of_each_block_in_all_stages_but_the_last(name, stages):
    found = kinds(network(name=name, ibn="a"))
    ours = {n for n, kind in found.items() if kind is InstanceBatchNorm}
    blocks = 1 if name == "resnet8" else 2
    assert ours == {f"layer{s}.{b}.bn1" for s in range(1, stages) for b in range(blocks)}
    # Inside the residual branch, never on the identity path, and the stem keeps batch norm.
    others = {n for n in found if not any(n.startswith(o) for o in ours)}
    assert {"bn1", "layer2.0.downsample.1", "layer1.0.bn2", f"layer{stages}.0.bn1"} <= others
    assert {found[n] for n in others} == {nn.BatchNorm2d}


@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_variant_b_has_instance_norm_in_the_stem_and_after_the_first_two_stages(name):
    found = kinds(network(name=name, ibn="b"))
    end = 0 if name == "resnet8" else 1
    instance = {n for n, kind in found.items() if kind is InstanceNorm}
    assert instance == {"bn1", f"layer1.{end}.last", f"layer2.{end}.last"}
    assert {kind for n, kind in found.items() if n not in instance} == {nn.BatchNorm2d}


def test_the_norm_of_variant_b_comes_after_the_sum_and_before_the_relu():
    block = network(ibn="b").layer1[0].eval()
    x = torch.rand(2, 4, 6, 6)
    branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    assert torch.allclose(block(x), torch.relu(block.last(branch + x)), atol=1e-6)
    assert not torch.allclose(block(x), torch.relu(block.last(branch) + x), atol=1e-2)


def test_the_identity_path_of_variant_a_carries_the_style_on():
    """With a residual branch that says nothing, a block of variant a passes its input as it is."""
    for variant, passes in (("a", True), ("b", False)):
        block = network(ibn=variant).layer1[0]
        nn.init.zeros_(block.bn2.weight)
        x = torch.rand(3, 4, 6, 6)
        assert torch.allclose(block(x), x, atol=1e-6) is passes


def test_ratio_0_gives_the_plain_network_and_ratio_1_instance_norm_in_those_places():
    x = torch.rand(5, *SHAPE)
    plain, none = network(), network(ibn="a", ratio=0.0)
    for mode in (True, False):
        assert torch.equal(plain.train(mode)(x), none.train(mode)(x))
    reference, all_ = network(), network(ibn="a", ratio=1.0)
    for stage in (reference.layer1, reference.layer2):
        stage[0].bn1 = nn.InstanceNorm2d(stage[0].bn1.num_features, affine=True)
    for mode in (True, False):
        assert torch.equal(reference.train(mode)(x), all_.train(mode)(x))


def test_variant_a_has_the_parameters_of_the_plain_network_and_fewer_statistics():
    for name in ("resnet8", "resnet18"):
        plain, ours = network(name=name), network(name=name, ibn="a")
        count = [sum(p.numel() for p in m.parameters()) for m in (plain, ours)]
        assert count[0] == count[1]
        halved = sum(m.split for m in ours.modules() if isinstance(m, InstanceBatchNorm))
        buffers = [sum(b.numel() for k, b in m.named_buffers() if "running" in k) for m in (plain, ours)]
        assert buffers[0] - buffers[1] == 2 * halved > 0
        # Variant b adds a norm after the first two stages, and drops the statistics of the stem.
        b = network(name=name, ibn="b")
        assert sum(p.numel() for p in b.parameters()) == count[0] + 2 * (4 + 8)


def test_all_other_weights_start_as_in_the_plain_network():
    plain = network(seed=3).state_dict()
    for variant in ("a", "b"):
        ours = network(seed=3, ibn=variant).state_dict()
        shared = [k for k in ours if k in plain]
        assert all(torch.equal(ours[k], plain[k]) for k in shared)
        assert {k for k in plain if "conv" in k or "downsample.0" in k} <= set(shared)


def test_the_features_of_a_network_with_instance_norm_alone_do_not_know_the_others_in_the_batch():
    x = torch.rand(4, *SHAPE)
    for options, alone in (({"norm": "instance"}, True), ({"ibn": "a"}, False), ({}, False)):
        model = network(**options)
        mixed = torch.cat([x[:1], 1 - x[1:]])
        assert torch.allclose(model(x)[0], model(mixed)[0], atol=1e-5) is alone
        model.eval()
        assert torch.allclose(model(x)[0], model(mixed)[0], atol=1e-5)


def test_ibn_can_be_added_later_and_is_made_again_from_the_spec():
    for name, variant, options in (
        ("resnet8", "a", {}),
        ("resnet8", "b", {}),
        ("lenet", "a", {"norm": "batch"}),
    ):
        model = network(name=name, **options)
        add_ibn(model, variant, 0.25)
        spec = json.loads(json.dumps(model.spec))
        twin = models.build(spec.pop("name"), tuple(spec.pop("shape")), **spec)
        twin.load_state_dict(model.state_dict())
        x = torch.rand(2, *SHAPE)
        assert torch.equal(twin.eval()(x), model.eval()(x))
        assert same(twin.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: network(ibn="c"), "ibn must be 'a' or 'b', got 'c'"),
        (lambda: network(ibn="a", ratio=1.5), r"ratio must lie in \[0, 1\], got 1.5"),
        (lambda: network(norm="layer"), "unknown norm 'layer' for resnet8; choose one of batch, instance"),
        (lambda: network(norm="instance", ibn="a"), "and batch norm.*got resnet8 with norm='instance'"),
        (lambda: add_ibn(network(ibn="a"), "a"), "already has ibn='a'"),
        (lambda: add_ibn(models.build("mlp", (4,), norm="batch"), "a"), "residual blocks.*got mlp"),
        (lambda: add_ibn(network(name="lenet", norm="batch"), "b"), "residual blocks.*got lenet"),
        (lambda: add_ibn(nn.Flatten(), "a"), "residual blocks.*got Flatten"),
        (lambda: InstanceBatchNorm(4)(torch.rand(2, 4, 1, 1)), "more than one position, got \\(1, 1\\)"),
        (lambda: InstanceBatchNorm(4).eval()(torch.rand(2, 4, 1, 1)), "more than one position"),
    ],
)
def test_bad_input_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make()
