import copy
import logging

import pytest
import torch

from dakit import methods
from dakit.training import fit, precision, start
from dakit.training.batches import Batches
from dakit.training.loop import Loop
from tests.training.toys import QUICK, blobs, pictures, same, weights

CPU = torch.device("cpu")
SOURCE, TARGET = pictures(), pictures(dark=0.5, seed=1)
SMALL = {"name": "lenet", "width": 8, "features": 16, "dropout": 0.2, "norm": "batch"}
needs_bf16 = pytest.mark.skipif(
    not precision.native_bf16(CPU), reason="this processor does not compute in bf16"
)


def make(seed: int = 0, name: str = "dann"):
    return methods.build(name, SOURCE, backbone=SMALL, seed=seed)


def samples(source=SOURCE, target=TARGET):
    return [Batches(d, 16, role=r, seed=0, device=CPU).sample() for r, d in enumerate((source, target))]


@pytest.fixture(autouse=True)
def _forget():
    precision._tried.clear()
    yield
    precision._tried.clear()


def test_trying_out_disturbs_neither_weights_nor_random_numbers():
    method = make().train()
    before, state = copy.deepcopy(method.state_dict()), torch.get_rng_state()
    choice = precision.choose(method, *samples())
    assert len(choice.tried) == 2 * (1 + precision.native_bf16(CPU))
    assert same(before, method.state_dict())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in method.parameters())
    assert method.training
    assert method.autocast_dtype is None


@pytest.mark.parametrize("winner", [("float32", "contiguous"), ("float32", "channels_last")])
def test_a_run_that_tried_out_equals_one_that_was_told(monkeypatch, winner):
    def fixed(method, source, target, candidates, domains):
        original(method, source, target, candidates, domains)
        return precision.Choice(*winner)

    original = precision._fastest
    monkeypatch.setattr(precision, "_fastest", fixed)
    options = {**QUICK, "steps": 120, "snapshots": 2, "batch_size": 8}
    tried = fit(make, SOURCE, TARGET, **{**options, "precision": "auto"})
    told = fit(make, SOURCE, TARGET, **{**options, "precision": winner[0], "memory_format": winner[1]})
    assert same(weights(tried), weights(told))
    assert tried.rows == told.rows


def test_the_choice_is_logged_kept_and_made_once(caplog):
    options = {**QUICK, "steps": 100, "snapshots": 1, "precision": "auto"}
    with caplog.at_level(logging.INFO, logger="dakit"):
        runs = fit(make, SOURCE, TARGET, seeds=2, **options)
    assert caplog.text.count("milliseconds a step") == 1
    tried = runs[0].config["tried"]
    assert runs[1].config["tried"] == tried
    assert {"float32, contiguous", "float32, channels_last"} <= set(tried)
    chosen = f"{runs[0].config['precision']}, {runs[0].config['memory_format']}"
    assert chosen == "float32, contiguous" or tried[chosen] <= 0.9 * tried["float32, contiguous"]


def test_short_runs_and_flat_features_try_nothing():
    assert precision.choose(make(), *samples(), steps=10).tried == {}
    flat = blobs()
    choice = precision.choose(methods.build("dann", flat), *samples(flat, flat))
    assert (choice.precision, choice.memory_format, choice.tried) == ("float32", "contiguous", {})


def test_float32_takes_the_layout_of_the_backbone_without_timing():
    choice = precision.choose(make(), *samples(), precision="float32")
    assert (choice.precision, choice.memory_format, choice.tried) == ("float32", "channels_last", {})
    resnet = methods.build("dann", SOURCE, backbone={"name": "resnet18", "width": 8})
    assert precision.choose(resnet, *samples(), precision="float32").memory_format == "contiguous"


def test_no_bf16_where_the_processor_only_emulates_it(monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: False)
    assert set(precision.choose(make(), *samples()).tried) == {
        "float32, contiguous",
        "float32, channels_last",
    }


def test_a_method_that_cannot_be_tried_still_gets_an_answer(caplog):
    method = make()
    method.losses = None
    with caplog.at_level(logging.INFO, logger="dakit"):
        assert precision.choose(method, *samples()) == precision.Choice("float32", "contiguous")
    assert "taking plain float32" in caplog.text


@pytest.mark.parametrize("name", ["mcd", "dann"])
def test_a_scaled_loss_takes_the_same_path_in_one_phase_and_in_several(name, monkeypatch):
    """As fp16 has it on a GPU; mcd's last phase comes four times in a step."""
    domains = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
    plain = weights(fit(name, *domains, **QUICK))
    monkeypatch.setattr(start, "Loop", lambda *given, scaler, **more: Loop(*given, scaler=True, **more))
    for key, value in weights(fit(name, *domains, **QUICK)).items():
        torch.testing.assert_close(value, plain[key], atol=1e-5, rtol=1e-4)


@needs_bf16
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_bf16_learns_and_hands_features_and_losses_on_in_float32(layout):
    seen = []
    method = make(name="source_only")
    inner = method.losses

    def losses(source, target, progress):
        seen.append((method.features(source.x).dtype, method.autocast_dtype))
        return inner(source, target, progress)

    method.losses = losses
    options = {**QUICK, "steps": 60, "lr": 0.02, "precision": "bf16", "memory_format": layout}
    run = fit(method, SOURCE, TARGET, **options)
    assert set(seen) == {(torch.float32, torch.bfloat16)}
    assert run.config["precision"] == "bf16"
    assert method.autocast_dtype is None
    assert {p.dtype for p in method.parameters()} == {torch.float32}
    assert run.evaluate(pictures(60, seed=9)).accuracy > 0.9


@needs_bf16
def test_bf16_stays_close_to_float32():
    options = {**QUICK, "steps": 30, "snapshots": 1}
    exact = fit(make, SOURCE, TARGET, **options)
    rough = fit(make, SOURCE, TARGET, **{**options, "precision": "bf16"})
    assert not same(weights(exact), weights(rough))
    assert rough.history["label"].iloc[-1] == pytest.approx(exact.history["label"].iloc[-1], abs=0.15)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_fused_optimisers_on_channels_last_weights_equal_plain_ones(optimizer):
    """Fused kernels walk raw memory: weights, gradients and moments must lie in one order."""
    from dakit.training import optimisers

    method, plain = make(), make()
    method.to(memory_format=torch.channels_last)
    fused = optimisers.build(optimizer, list(method.parameters()), lr=0.01, momentum=0.9, weight_decay=0.01)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    reference = kind(plain.parameters(), lr=0.01, weight_decay=0.01, foreach=False, fused=False, **options)
    assert fused.defaults["fused"]
    for step in range(3):
        for p, q in zip(method.parameters(), plain.parameters()):
            gradient = torch.randn(q.shape, generator=torch.Generator().manual_seed(step))
            q.grad = gradient.clone()
            p.grad = torch.empty_like(p).copy_(gradient)
        fused.step()
        reference.step()
        if step == 1:  # as after resuming
            tensors, values = optimisers.pack(fused)
            flat = {k: v.clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
            fused = optimisers.build(
                optimizer, list(method.parameters()), lr=0.01, momentum=0.9, weight_decay=0.01
            )
            optimisers.unpack(fused, flat, values)
    for p, q in zip(method.parameters(), plain.parameters()):
        assert torch.allclose(p, q, atol=1e-6)


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="'cuda' was asked for, but torch sees 0 CUDA devices here"):
        precision.pick_device("cuda")
    with pytest.raises(ValueError, match="device must be"):
        precision.pick_device("tpu9")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.pick_device("auto").type in ("cpu", "mps")
