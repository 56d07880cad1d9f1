"""Names, descriptions, building: what all methods share."""

import inspect
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from dakit import methods, models
from dakit.domains import pool
from dakit.methods.method import Batch, Method
from tests.training.toys import blobs, pair, pictures, same

SOURCE = blobs()


def class_of(name: str) -> type[Method]:
    return getattr(methods, methods._METHODS[name].partition(".")[2])


def sources(name: str, source=None) -> list:
    """As many source domains as the method needs at least."""
    source, least = source or pair(name)[0], class_of(name).min_sources
    return [replace(source, name=f"{source.name} {i}", x=source.x + 0.1 * i) for i in range(least)]


def batches_for(method: Method, n: int, given: list) -> tuple[Batch | None, Batch | None]:
    """Batches of ``n`` examples of each domain, as ``fit`` would hand them to the method."""
    few, groups = pool([d.subset(slice(n)) for d in given]), torch.arange(len(given)).repeat_interleave(n)
    of_source = Batch(
        few.x, few.y, torch.arange(len(few)), 0, *((groups, (n,) * len(given)) if len(given) > 1 else ())
    )
    of_target = Batch(given[0].x[:n] + 1, None, torch.arange(n), 1)
    return of_source if method.uses_source else None, of_target if method.uses_target else None


@pytest.mark.parametrize("name", methods.names())
def test_a_method_says_what_it_is(name):
    d = methods.describe(name)
    assert d.name == name
    assert d.summary.endswith(".")
    for part in (d.setting, d.assumption, d.fails_when, d.paper):
        assert len(part) > 20
        assert "\n" not in part
    module = inspect.getmodule(type(methods.build(name, sources(name))))
    part, _, cls = methods._METHODS[name].partition(".")
    assert module.__name__ == f"dakit.methods.{part}.{name}"
    assert getattr(methods, cls) is getattr(module, cls)
    assert "Objective:" in module.__doc__


def test_the_bound_is_marked():
    assert [n for n in methods.names() if methods.build(n, sources(n)).needs_target_labels] == ["oracle"]
    assert "bound" in methods.describe("oracle").setting


@pytest.mark.parametrize("name", methods.names())
def test_hyperparameters_are_kept_under_their_names_and_make_the_method_again(name):
    method = methods.build(name, sources(name), label_smoothing=0.1)
    values = json.loads(json.dumps(methods.spec(method)))
    assert values["hyperparameters"]["label_smoothing"] == 0.1
    twin = methods.from_spec(values)
    assert type(twin) is type(method)
    twin.load_state_dict(method.state_dict())
    x = sources(name)[0].x
    assert torch.equal(twin.eval().logits(x), method.eval().logits(x))


@pytest.mark.parametrize("name", [n for n in methods.names() if n != "oracle"])
def test_losses_are_scalars_with_gradients_and_work_on_pictures(name):
    source = pictures(16)
    given = sources(name, source)
    norm = class_of(name).auto_backbone(source.shape).get("norm", "group")
    backbone = {"name": "lenet", "width": 4, "features": 8, "norm": "batch" if name == "ibn" else norm}
    method = methods.build(name, given, backbone=backbone)
    if type(method).prepare is not Method.prepare:
        method.prepare(pool(given), source.unlabeled(), 0.0)
        method.train()
    for progress in (0.0, 0.5, 1.0):
        terms = method.losses(*batches_for(method, 8, given), progress)
        assert all(v.ndim == 0 and torch.isfinite(v) for v in terms.values())
        assert "label" in terms or progress > 0
        sum(terms.values()).backward()
    assert method.features(source.x).shape == (16, 8)
    assert method.logits(source.x).shape == (16, 2 + method.open_set)


@pytest.mark.parametrize("name", methods.names())
def test_equal_seeds_start_equal_and_from_the_same_backbone_and_head(name):
    before = torch.get_rng_state()
    a, b, c = (methods.build(name, sources(name), seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(a.state_dict(), b.state_dict())
    assert not same(a.state_dict(), c.state_dict())
    backbone = class_of(name).auto_backbone(sources(name)[0].shape)
    plain = methods.build("source_only", sources(name), backbone=backbone, seed=3).state_dict()
    theirs = a.state_dict()
    # Norms may be others, and draw nothing.
    plain = {k: v for k, v in plain.items() if k in theirs or v.ndim > 1}
    assert same({k: v for k, v in theirs.items() if k in plain}, plain)


def test_a_backbone_may_be_a_name_a_dictionary_or_a_module_which_is_copied():
    assert methods.build("dann", SOURCE, backbone="mlp").backbone.out_features == 64
    built = methods.build("dann", SOURCE, backbone={"name": "mlp", "hidden": [7]})
    assert built.backbone.out_features == 7
    mine = models.build("mlp", SOURCE.shape)
    first, second = (methods.build("dann", SOURCE, backbone=mine) for _ in range(2))
    assert same(first.backbone.state_dict(), mine.state_dict())
    next(first.backbone.parameters()).data.zero_()
    assert same(second.backbone.state_dict(), mine.state_dict())


def test_an_embedding_backbone_is_standardised_by_the_source():
    method = methods.build("source_only", SOURCE, backbone="embedding")
    assert torch.allclose(method.backbone.mean, SOURCE.x.mean(dim=0))


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="unknown method 'cdann'; choose one of source_only, dann"):
        methods.build("cdann", SOURCE)
    with pytest.raises(ValueError, match="unknown method"):
        methods.describe("cdann")
    with pytest.raises(TypeError, match="method 'dann' has no hyper-parameter 'lamda'; it has lambda_, ramp"):
        methods.build("dann", SOURCE, lamda=1)
    with pytest.raises(ValueError, match="a backbone needs the attribute out_features"):
        methods.build("dann", SOURCE, backbone=nn.Flatten())
    one = type(SOURCE)("one", SOURCE.x, torch.zeros(len(SOURCE), dtype=torch.int64), ("only",))
    with pytest.raises(ValueError, match="'one' has 1 classes; a classifier needs at least 2"):
        methods.build("dann", one)
    with pytest.raises(ValueError, match="layer='logits' or layer='features', not 'pixels'"):
        methods.build("deep_coral", SOURCE, layer="pixels")
    with pytest.raises(NotImplementedError, match=r"must define losses\(source, target, progress\)"):
        Method(models.build("mlp", (4,)), 2).losses(None, None, 0.0)
