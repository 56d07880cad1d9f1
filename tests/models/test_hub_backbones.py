"""Backbones of transformers, on tiny models with random weights saved here: nothing is downloaded."""

import json
import sys

import pytest
import torch

from dakit import methods, models
from dakit.domains.domain import Domain
from dakit.training import Run, fit

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXT = {**SMALL, "vocab_size": 50, "max_position_embeddings": 16, "pad_token_id": 0}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    configs = {
        "vit": transformers.ViTConfig(**VISION),
        "resnet": transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
        ),
        "bert": transformers.BertConfig(**TEXT),
        "clip": transformers.CLIPConfig(
            text_config={**TEXT, "eos_token_id": 2, "bos_token_id": 1},
            vision_config=VISION,
            projection_dim=12,
        ),
    }
    torch.manual_seed(0)
    for name, config in configs.items():
        transformers.AutoModel.from_config(config).save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "shape", "d"),
    [
        ("vit", (3, 32, 32), 16),
        ("vit", (1, 16, 16), 16),
        ("resnet", (3, 32, 32), 16),
        ("clip", (3, 32, 32), 12),
        ("bert", (8,), 16),
        ("clip", (8,), 12),
    ],
)
def test_a_model_from_disk_is_a_frozen_backbone(disk, name, shape, d):
    backbone = models.build(f"hub:{disk / name}", shape)
    x = torch.randint(3, 50, (2, *shape)).float() / (1 if len(shape) == 1 else 50)
    assert backbone.out_features == d
    z = backbone(x)
    assert z.shape == (2, d)
    assert not z.requires_grad
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not any(m.training for m in backbone.train().model.modules())


def test_images_are_normalised_as_the_model_says(disk, tmp_path):
    model = transformers.AutoModel.from_pretrained(disk / "vit", local_files_only=True).eval()
    model.save_pretrained(tmp_path)
    saying = {
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.5, 0.6, 0.7],
        "image_processor_type": "ViTImageProcessor",
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(saying))
    x = torch.rand(2, 3, 32, 32)
    normal = (x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    hidden = model(pixel_values=normal).last_hidden_state
    for pool, expected in (("mean", hidden.mean(dim=1)), ("first", hidden[:, 0])):
        backbone = models.build(f"hub:{tmp_path}", (3, 32, 32), pool=pool)
        assert torch.allclose(backbone(x), expected, atol=1e-5)


def test_padding_does_not_change_the_features_of_a_text(disk):
    backbone = models.build(f"hub:{disk / 'bert'}", (8,))
    short = torch.tensor([[5.0, 6, 7]])
    padded = torch.tensor([[5.0, 6, 7, 0, 0, 0, 0, 0]])
    assert torch.allclose(backbone(short), backbone(padded), atol=1e-5)


def test_a_trainable_model_gets_gradients(disk):
    backbone = models.build(f"hub:{disk / 'vit'}", (3, 32, 32), trainable=True)
    backbone(torch.rand(2, 3, 32, 32)).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_a_run_on_a_hub_backbone_is_saved_and_loaded(disk, tmp_path):
    torch.manual_seed(0)
    source = Domain("s", torch.rand(20, 3, 32, 32), torch.arange(20) % 2, ("a", "b"))
    run = fit(
        methods.build("source_only", source, backbone=f"hub:{disk / 'vit'}"),
        source,
        source.unlabeled(),
        steps=3,
        batch_size=4,
        progress=False,
    )
    run.save(tmp_path)
    assert (Run.load(tmp_path).logits(source) == run.logits(source)).all()


def test_what_is_not_there_or_does_not_fit_is_told(disk, tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=r"no safetensors model 'no/such' on this disk \(nothing is downloaded\)"
    ):
        models.build("hub:no/such", (3, 32, 32))
    with pytest.raises(ValueError, match=r"takes input_ids, which examples of shape .* are not"):
        models.build(f"hub:{disk / 'bert'}", (3, 32, 32))
    with pytest.raises(ValueError, match="pool must be 'mean' or 'first'"):
        models.build(f"hub:{disk / 'vit'}", (3, 32, 32), pool="max")
    with pytest.raises(ValueError, match=r"pictures .* or token ids"):
        models.build(f"hub:{disk / 'vit'}", (3, 32))
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((disk / "vit" / "config.json").read_text())
    torch.save(
        transformers.AutoModel.from_config(transformers.ViTConfig(**VISION)).state_dict(),
        pickled / "pytorch_model.bin",
    )
    with pytest.raises(ValueError, match="no safetensors model"):
        models.build(f"hub:{pickled}", (3, 32, 32))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ImportError, match=r"needs transformers, which is not installed: pip install 'dakit\[hub\]'"
    ):
        models.build(f"hub:{disk / 'vit'}", (3, 32, 32))
