import json

import pytest
import torch
from torch import nn

from dakit import models

SHAPES = {
    "mlp": [(2,), (64,)],
    "lenet": [(1, 16, 16), (3, 32, 32), (1, 28, 28), (3, 64, 64), (3, 40, 24)],
    "resnet8": [(3, 16, 16), (1, 28, 28)],
    "resnet18": [(3, 32, 32), (1, 64, 64), (3, 128, 128)],
    "embedding": [(128,)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_backbone_maps_a_batch_to_features_and_can_be_made_again_from_its_spec(name, shape):
    small = {"width": 8} if name.startswith("resnet") else {}
    backbone = models.build(name, shape, **small)
    x = torch.rand(3, *shape)
    z = backbone(x)
    assert z.shape == (3, backbone.out_features)
    assert torch.isfinite(z).all()
    spec = json.loads(json.dumps(backbone.spec))
    twin = models.build(spec.pop("name"), tuple(spec.pop("shape")), **spec)
    twin.load_state_dict(backbone.state_dict())
    assert torch.equal(twin.eval()(x), backbone.eval()(x))


def test_auto_takes_an_mlp_for_flat_and_a_lenet_for_pictures():
    assert models.build("auto", (5,)).spec["name"] == "mlp"
    assert models.build("auto", (1, 16, 16)).spec["name"] == "lenet"
    with pytest.raises(ValueError, match=r"no automatic backbone for examples of shape \(3, 100\)"):
        models.build("auto", (3, 100))


def test_lenet_has_the_size_it_says():
    weights = sum(p.numel() for p in models.build("lenet", (3, 32, 32)).parameters())
    first, second, full = 16 * 75 + 16, 24 * 16 * 25 + 24, 24 * 64 * 128 + 128
    norms = 2 * (16 + 24)
    assert weights == first + second + full + norms


def test_resnet18_has_torchvisions_parameters_without_the_classifier():
    network = models.build("resnet18", (3, 224, 224), stem="imagenet")
    state = network.state_dict()
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in fc; its state dict 122 entries, 2 in fc.
    assert sum(p.numel() for p in network.parameters()) == 11_689_512 - 513_000
    assert len(state) == 120
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["conv1.weight"].shape == (64, 3, 7, 7)


def test_resnet18_agrees_with_the_transformers_reference():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[2, 2, 2, 2], layer_type="basic"
    )
    reference = transformers.ResNetModel(config).eval()
    mine = models.build("resnet18", (3, 64, 64), stem="imagenet", width=8).eval()
    theirs = list(reference.state_dict().values())
    own = mine.state_dict()
    # Both list the same tensors, except that the reference puts a block's shortcut before its convolutions.
    order = sorted(
        own, key=lambda k: (k.split(".conv")[0].split(".bn")[0].split(".down")[0], "downsample" not in k)
    )
    stem_first = [k for k in own if k.startswith(("conv1", "bn1"))]
    order = stem_first + [k for k in order if k not in stem_first]
    mine.load_state_dict(dict(zip(order, theirs)))
    x = torch.rand(2, 3, 64, 64)
    expected = reference(mine.standardise(x)).pooler_output.flatten(1)
    assert torch.allclose(mine(x), expected, atol=1e-5)


def test_resnet18_loads_a_torchvision_state_dict(tmp_path):
    from safetensors.torch import save_file

    donor = models.build("resnet18", (3, 32, 32), stem="imagenet", width=8)
    tensors = {**donor.state_dict(), "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}
    save_file(tensors, tmp_path / "weights.safetensors")
    loaded = models.build(
        "resnet18", (3, 32, 32), stem="imagenet", width=8, weights=tmp_path / "weights.safetensors"
    )
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(x), donor.eval()(x))
    with pytest.raises(ValueError, match=r"do not fit this ResNet18.*conv1"):
        models.build("resnet18", (3, 32, 32), stem="small", width=8, weights=tmp_path / "weights.safetensors")


def test_resnet18_refuses_a_pickle_and_a_missing_file(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt' is no safetensors file"):
        models.build("resnet18", (3, 32, 32), weights=tmp_path / "weights.pt")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        models.build("resnet18", (3, 32, 32), weights=tmp_path / "nothing.safetensors")


def test_embedding_standardises_by_what_it_was_shown_and_trains_nothing():
    x = torch.randn(200, 4) * torch.tensor([1.0, 5.0, 0.1, 0.0]) + 3
    backbone = models.build("embedding", (4,))
    backbone.standardise_by(x)
    z = backbone(x)
    assert torch.allclose(z[:, :3].mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(z[:, :3].std(dim=0, correction=0), torch.ones(3), atol=1e-4)
    assert (z[:, 3] == 0).all(), "a constant feature says nothing and must not blow up"
    assert not list(backbone.parameters())
    assert set(backbone.state_dict()) == {"mean", "sd"}
    assert models.build("embedding", (4,), projection=2)(x).shape == (200, 2)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_mlp_norms_and_dropout_are_there(norm):
    mlp = models.build("mlp", (4,), hidden=(8, 6), norm=norm, dropout=0.5, activation="tanh")
    kinds = [type(m) for m in mlp.layers]
    assert kinds.count(nn.Dropout) == 2
    assert kinds.count(nn.Tanh) == 2
    assert (nn.LayerNorm in kinds) == (norm == "layer")
    assert (nn.BatchNorm1d in kinds) == (norm == "batch")


def test_group_norm_keeps_pictures_apart_and_batch_norm_does_not():
    x = torch.rand(4, 3, 16, 16)
    for norm, apart in (("none", True), ("group", True), ("batch", False)):
        torch.manual_seed(0)
        backbone = models.build("lenet", (3, 16, 16), norm=norm, width=8)
        same = torch.allclose(backbone(x)[:1], backbone(torch.cat([x[:1], 1 - x[1:]]))[:1], atol=1e-5)
        assert same is apart, norm


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        ("lenet5", (3, 32, 32), {}, "unknown backbone 'lenet5'; choose one of auto, mlp"),
        ("lenet", (10,), {}, "lenet needs pictures"),
        ("lenet", (3, 4, 4), {}, "at least 8 pixels"),
        ("lenet", (3, 32, 32), {"norm": "layer"}, "unknown norm 'layer' for lenet"),
        ("mlp", (3,), {"hidden": ()}, "at least one hidden layer"),
        ("mlp", (3,), {"norm": "group"}, "unknown norm 'group' for an MLP"),
        ("resnet18", (10,), {}, "resnet18 needs pictures"),
        ("resnet18", (3, 32, 32), {"stem": "tiny"}, "stem must be 'small', 'imagenet' or 'auto', got 'tiny'"),
        ("embedding", (3, 4, 4), {}, "takes flat features"),
        ("embedding", (3,), {"projection": 0}, "projection must be at least 1"),
    ],
)
def test_bad_input_is_told_in_a_sentence(name, shape, options, words):
    with pytest.raises(ValueError, match=words):
        models.build(name, shape, **options)
