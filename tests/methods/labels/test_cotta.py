"""CoTTA: a slow teacher, copies of unsure batches, and weights that go back."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from dakit import methods
from dakit.methods import augmented
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, mean_accuracy
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, same

SOURCE, TARGET = blobs(), blobs(100, shift=1.0, seed=1, name="moved")


def small(seed=0, norm="none", **options):
    backbone = {"name": "mlp", "hidden": (6,), "norm": norm}
    return methods.build("cotta", SOURCE, backbone=backbone, seed=seed, **{"views": 3, **options})


def part(method, name):
    """Weights of the teacher, the student or the source model under the same names."""
    state = method.state_dict()
    if name != "teacher":
        prefix = f"{name}."
        return {k.removeprefix(prefix): v.clone() for k, v in state.items() if k.startswith(prefix)}
    return {k: v.clone() for k, v in state.items() if k.startswith(("backbone.", "head."))}


def shaken(method, seed=0):
    """The method with its three networks different."""
    method.adapting.fill_(True)
    g = torch.Generator().manual_seed(seed)
    for p in method.parameters():
        p.data += 0.5 * torch.randn(p.shape, generator=g)
    return method


# -- the loss ---------------------------------------------------------------------------------------------------


def test_the_loss_by_hand_where_the_source_model_is_sure():
    method = shaken(small(threshold=0.0, alpha=1.0, restore=0.0))
    target = batch_pair()[1]
    terms = method.losses(None, target, 0.5)
    q = method.logits(target.x).softmax(1)
    log_p = method.student["head"](method.student["backbone"](target.x)).log_softmax(1)
    assert list(terms) == ["consistency"]
    assert terms["consistency"].item() == pytest.approx(-(q * log_p).sum(1).mean().item(), rel=1e-5)
    torch.testing.assert_close(method.answers.exp(), q)
    terms["consistency"].backward()
    moved = {n for n, p in method.named_parameters() if p.grad is not None}
    assert moved == {n for n, _ in method.named_parameters() if n.startswith("student.")}


def test_unsure_batches_are_answered_by_the_mean_over_copies():
    method = shaken(small(threshold=1.0, alpha=1.0, restore=0.0, views=4, jitter=0.3))
    target = batch_pair()[1]
    torch.manual_seed(0)
    method.losses(None, target, 0.5)
    torch.manual_seed(0)
    copies = [method.changed(target.x) for _ in range(4)]
    assert (copies[0] - target.x).std() / target.x.std(dim=0).mean() == pytest.approx(0.3, rel=0.25)
    q = sum(method.logits(c).softmax(1) for c in copies) / 4
    torch.testing.assert_close(method.answers.exp(), q)


def test_the_threshold_asks_the_source_model_about_the_batch(monkeypatch):
    method = shaken(small(alpha=1.0, restore=0.0))
    x = batch_pair()[1].x
    sure = method.anchor["head"](method.anchor["backbone"](x)).softmax(1).amax(1).mean().item()
    calls = []
    monkeypatch.setattr(method, "changed", lambda x: calls.append(1) or x)
    for threshold, copies in ((sure - 1e-4, 0), (sure + 1e-4, 3)):
        method.threshold = threshold
        calls.clear()
        torch.testing.assert_close(method.teach(x), method.logits(x).softmax(1).detach())
        assert len(calls) == copies


def test_copies_of_pictures_are_moved_and_recoloured_but_not_covered(monkeypatch):
    asked = []
    for name in ("moved", "recoloured", "covered", "jittered"):
        monkeypatch.setattr(augmented, name, lambda x, _name=name, **k: asked.append((_name, k)) or x)
    small().changed(torch.rand(2, 1, 16, 16))
    assert asked == [("moved", {"shift": 1 / 16}), ("recoloured", {"noise": 0.005})]


def test_auto_means_batch_normalisation():
    assert methods.build("cotta", SOURCE).backbone.spec["norm"] == "batch"


def test_copies_leave_no_trace_in_the_statistics():
    method = small(norm="batch", threshold=1.0, jitter=5.0).train()
    plain = small(norm="batch", threshold=0.0).train()
    for m in (method, plain):
        m.losses(None, batch_pair()[1], 1.0)
    assert same(part(method, "teacher"), part(plain, "teacher"))
    fresh = small(norm="batch")
    assert not same(part(fresh, "teacher"), part(plain, "teacher"))  # the batch itself did


# -- what follows a step ----------------------------------------------------------------------------------------


def test_the_teacher_is_an_average_and_the_student_goes_back_in_part():
    method = shaken(small(alpha=0.9, restore=0.3))
    teacher, student, anchor = (part(method, n) for n in ("teacher", "student", "anchor"))
    torch.manual_seed(1)
    method.follow()
    back, total = 0, 0
    for k, v in part(method, "teacher").items():
        torch.testing.assert_close(v, 0.9 * teacher[k] + 0.1 * student[k])
    for k, v in part(method, "student").items():
        returned = v == anchor[k]
        assert torch.equal(v[~returned], student[k][~returned])
        back, total = back + int(returned.sum()), total + v.numel()
    assert total == 4 * 6 + 6 + 6 * 2 + 2
    assert 5 <= back <= 22  # 13.2 expected, standard deviation 3.0
    assert same(part(method, "anchor"), anchor)


def test_the_ends_of_alpha_and_restore():
    for restore, like in ((0.0, "student"), (1.0, "anchor")):
        method = shaken(small(alpha=1.0, restore=restore))
        before, teacher = part(method, like), part(method, "teacher")
        method.follow()
        assert same(part(method, "student"), before)
        assert same(part(method, "teacher"), teacher)
    method = shaken(small(alpha=0.0, restore=0.0))
    method.follow()
    for k, v in part(method, "teacher").items():
        torch.testing.assert_close(v, part(method, "student")[k])


def test_the_order_of_a_few_steps_by_hand():
    """Plain gradient descent on the student, the average after each step, and no copies."""
    method = small(threshold=0.0, alpha=0.5, restore=0.0, pretrain=0.0)
    start = part(method, "teacher")
    target = batch_pair()[1]
    optimiser = torch.optim.SGD(method.phases()[0][1], lr=0.5)
    students, teachers = [start], [start]
    for _ in range(3):
        optimiser.zero_grad()
        sum(method.losses(None, target, 1.0).values()).backward()
        teachers.append(part(method, "teacher"))
        optimiser.step()
        students.append(part(method, "student"))
    assert same(teachers[1], start)
    for i in (2, 3):
        for k, v in teachers[i].items():
            torch.testing.assert_close(v, 0.5 * teachers[i - 1][k] + 0.5 * students[i - 1][k])
    assert same(part(method, "anchor"), start)


def test_what_answers_is_the_teacher():
    method = shaken(small())
    x = TARGET.x
    torch.testing.assert_close(method.logits(x), method.head(method.backbone(x)))
    assert not torch.allclose(method.logits(x), method.student["head"](method.student["backbone"](x)))


def test_other_given_weights_are_copied_anew():
    method = shaken(small())
    trained = methods.build("source_only", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=9)
    method.start_from(trained)
    method.losses(None, batch_pair()[1], 1.0)
    for name in ("teacher", "student", "anchor"):
        assert same(part(method, name), {k: v.clone() for k, v in trained.state_dict().items()})


def test_in_fit_the_anchor_is_the_source_model_of_the_switch():
    seen = []
    method = small()
    inner = method.losses

    def losses(source, target, progress):
        seen.append((progress, part(method, "teacher")))
        return inner(source, target, progress)

    method.losses = losses
    fit(method, SOURCE, TARGET, **QUICK)
    switch = next(state for progress, state in seen if progress >= 0.5)
    assert same(part(method, "anchor"), switch)
    assert not same(part(method, "teacher"), switch)
    assert not any(p.requires_grad for p in method.anchor.parameters())


def test_bad_hyperparameters_are_told():
    for bad, words in (
        ({"alpha": 1.5}, r"alpha must be a number of at least 0 and at most 1, got 1\.5"),
        ({"views": 0}, "views must be an integer of at least 1, got 0"),
        ({"threshold": -1}, "threshold must be a number of at least 0 and at most 1, got -1"),
        ({"restore": 2}, "restore must be a number of at least 0 and at most 1, got 2"),
        ({"jitter": -1}, "jitter must be a number of at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=words):
            small(**bad)


def test_it_beats_its_first_stage_under_a_shift_of_statistics():
    source = blobs(300)
    target = blobs(300, seed=1)
    target = type(target)("dimmed", 0.3 * target.x + 0.5, target.y, target.classes)
    backbone = {"name": "mlp", "hidden": (16, 8), "norm": "batch"}

    def group(**options):
        make = lambda s: methods.build("cotta", source, backbone=backbone, seed=s, views=4, **options)  # noqa: E731
        return fit(make, source, target, seeds=3, **LEARN)

    plain, adapted = group(pretrain=1.0), group()
    assert mean_accuracy(adapted, target) > mean_accuracy(plain, target)
    assert np.isfinite(functional.softmax(torch.tensor(adapted[0].logits(target)), dim=1).numpy()).all()
