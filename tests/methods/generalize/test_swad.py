"""SWAD: the valley by an independent search, the mean by recorded weights, the rows held out, the worth of the mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.methods.generalize.swad import is_held_out
from dakit.methods.method import Method
from dakit.training import Run, fit
from tests.methods.generalize.toys import SOURCES, UNSEEN, batch_of, takes_the_path_of_erm
from tests.training.toys import QUICK, same, weights


def small(**hyper):
    return methods.build("swad", SOURCES, backbone={"name": "mlp", "hidden": (5,)}, **hyper)


def live(run: Run, x: torch.Tensor) -> torch.Tensor:
    """Logits with the weights of the training instead of their mean."""
    with torch.no_grad():
        return run.method.head(Method.features(run.method, x))


# -- the valley -------------------------------------------------------------------------------------------------


def valley(heights, n_s, n_e, r):
    """Algorithm 1 of the paper, read literally: first and last window of the mean, or None before it begins."""
    start = limit = None
    for i in range(len(heights)):
        if start is None:
            recent = heights[i - n_s + 1 : i + 1]
            if i >= n_s - 1 and recent[0] == min(recent):
                start, limit = i - n_s + 1, r * sum(recent) / n_s
        elif i - n_e + 1 > start and min(heights[i - n_e + 1 : i + 1]) > limit:
            return start, i - n_e
    return None if start is None else (start, len(heights) - 1)


def through(method, heights):
    """The method after windows of one step each: window i has all weights at i and the held-out loss heights[i]."""
    for i, height in enumerate(heights):
        with torch.no_grad():
            for p in method.trained(method.backbone, method.head):
                p.fill_(float(i))
        method.follow(torch.tensor([2 * height, 2.0]))
    return method


def test_a_valley_by_hand():
    """Falls to 1.0, stays until 1.2 and rises above 1.3 times the mean of its first two, 1.05, for good."""
    heights = [3.0, 2.0, 1.0, 1.1, 1.2, 0.9, 1.5, 1.2, 1.6, 1.7, 0.1]
    method = through(small(every=1, patience=2, overfit_patience=2), heights)
    assert (method.inside, method.over) == (
        6,
        True,
    )  # windows 2 to 7: 1.5 alone does not end it, 1.6 and 1.7 do
    assert method.limit.item() == pytest.approx(1.3 * 1.05)
    assert method.flat(*method.averaged).unique().tolist() == pytest.approx([4.5])
    assert method.diagnostics(None, None) == {"windows_in_mean": 6.0}


@pytest.mark.parametrize(("n_s", "n_e", "r"), [(3, 6, 1.3), (2, 1, 1.0), (5, 2, 1.1), (2, 4, 1.2)])
def test_the_valley_against_the_papers_algorithm(n_s, n_e, r):
    rng = np.random.default_rng(0)
    begun = ended = 0
    for _ in range(40):
        t = np.arange(rng.integers(4, 40))
        bowl = 1 + ((t - rng.uniform(0, 30)) / 10) ** 2
        heights = (bowl * rng.uniform(0.9, 1.1, len(t))).astype(np.float32).tolist()
        method = through(small(every=1, patience=n_s, overfit_patience=n_e, tolerance=r), heights)
        expected = valley(heights, n_s, n_e, r)
        first, last = expected or (len(t) - 1, len(t) - 1)  # before a valley, the last window alone
        assert method.inside == (last - first + 1 if expected else 0)
        assert method.over == (expected is not None and last < len(t) - 1)
        mean = method.flat(*method.averaged)
        assert torch.allclose(mean, torch.full_like(mean, (first + last) / 2), rtol=1e-4), (first, last)
        begun, ended = begun + (expected is not None), ended + method.over
    assert begun > 5
    assert ended > 0


def test_a_window_without_held_out_rows_begins_no_valley():
    method = small(every=1, patience=2)
    for _ in range(5):
        method.follow(torch.zeros(2))
    assert method.inside == 0
    assert torch.isinf(method.heights).all()
    assert torch.equal(method.flat(*method.averaged), method.flat(method.backbone, method.head))


# -- the mean ---------------------------------------------------------------------------------------------------


def test_the_mean_is_over_the_weights_of_every_step(monkeypatch):
    """Windows of 5 steps; the valley, found at once, holds the first 3 windows and all that follow."""
    monkeypatch.setattr("dakit.methods.generalize.swad.is_held_out", lambda index, share: index >= 0)
    seen = []
    method = small(every=5)
    method.double()
    optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
    batch = batch_of(SOURCES)
    batch.x = batch.x.double()
    for step in range(23):
        seen.append(method.flat(method.backbone, method.head))
        method.losses(batch, None, 0.0)["label"].backward()
        with torch.no_grad():  # a loss that only rises: the first window is the lowest
            for p in method.trained(method.backbone, method.head):
                p += 0.01 * step * torch.ones_like(p)
        method.held[0] += 100.0 * step
        optimiser.zero_grad()
    assert method.inside == 4
    expected = torch.stack(seen[:20]).mean(0)
    assert torch.allclose(method.flat(*method.averaged), expected, atol=1e-12)


def test_training_reads_the_weights_and_evaluation_their_mean():
    method = through(small(every=1, patience=2), [1.0, 2.0])  # weights 0 and 1
    x = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    method.train()
    assert torch.allclose(method.logits(x), method.head(Method.features(method, x)))
    assert method.logits(x)[0, 0] > 1
    method.eval()
    f = method.features(x)
    assert torch.allclose(f, method.averaged[0](x))
    assert torch.allclose(method.logits(x), f.sum(1, keepdim=True) * 0.5 + 0.5)  # all weights and biases 1/2
    fresh = small().eval()
    assert torch.equal(fresh.logits(x), fresh.head(Method.features(fresh, x)))


def test_batch_norm_statistics_come_along():
    backbone = {"name": "mlp", "hidden": (5,), "norm": "batch"}
    run = fit(methods.build("swad", SOURCES, backbone=backbone, every=4), SOURCES, None, **QUICK)
    (ours,) = [b for n, b in run.method.averaged.named_buffers() if n.endswith("running_mean")]
    (theirs,) = [b for n, b in run.method.backbone.named_buffers() if n.endswith("running_mean")]
    assert torch.equal(ours, theirs)  # the 20th step ends a window
    assert ours.abs().sum() > 0


# -- the rows held out ------------------------------------------------------------------------------------------


def test_the_share_of_rows_is_kept_in_every_class_of_an_ordered_domain():
    index = torch.arange(20_000)
    for share in (0.2, 0.5):
        out = is_held_out(index, share)
        assert out.float().mean().item() == pytest.approx(share, abs=0.02)
        for k in (2, 10, 55):  # classes in turn
            found = torch.stack([out[index % k == c].float().mean() for c in range(k)])
            assert (found - share).abs().max() < 6 * (share * (1 - share) * k / 20_000) ** 0.5
        for block in out.split(2000):  # classes in blocks
            assert block.float().mean().item() == pytest.approx(share, abs=0.05)
    assert torch.equal(
        is_held_out(index, 0.2)[[7, 123, 9999]], is_held_out(torch.tensor([7, 123, 9999]), 0.2)
    )


def test_the_loss_is_that_of_the_rows_kept_and_the_height_that_of_the_others():
    method, batch = small(every=50), batch_of(SOURCES)
    out = is_held_out(batch.index, 0.2)
    assert 0 < out.sum() < 36
    terms = method.losses(batch, None, 0.5)
    z = method.logits(batch.x)
    assert list(terms) == ["label"]
    assert terms["label"].item() == pytest.approx(cross_entropy(z[~out], batch.y[~out]).item(), rel=1e-5)
    height = method.held[0] / method.held[1]
    assert height.item() == pytest.approx(cross_entropy(z[out], batch.y[out]).item(), rel=1e-5)
    assert method.held[1] == out.sum()


def test_labels_of_held_out_rows_teach_nothing():
    ends = []
    for flip in (False, True):
        parts, start = [], 0
        for d in SOURCES:
            out = is_held_out(
                torch.arange(start, start + len(d)), 0.2
            )  # rows count through the pooled sources
            y = torch.where(out, 1 - d.y, d.y) if flip else d.y
            parts.append(type(d)(d.name, d.x, y, d.classes))
            start += len(d)
        run = fit(methods.build("swad", SOURCES, every=4), parts, None, **QUICK)
        ends.append((run.method.flat(run.method.backbone, run.method.head), run.method.heights))
    assert torch.equal(ends[0][0], ends[1][0])
    assert not torch.equal(ends[0][1], ends[1][1])


def test_with_nothing_held_out_the_training_takes_the_path_of_erm(monkeypatch):
    assert not takes_the_path_of_erm("swad")
    monkeypatch.setattr("dakit.methods.generalize.swad.is_held_out", lambda index, share: index < 0)
    assert takes_the_path_of_erm("swad")


# -- keeping and resuming ---------------------------------------------------------------------------------------


def test_interrupted_within_a_window_and_resumed_is_uninterrupted(tmp_path):
    def stop(run):
        if 0 < run.step < 20:
            raise KeyboardInterrupt

    def make(seed):
        return methods.build("swad", SOURCES, every=3, patience=2, seed=seed)

    whole = fit(make, SOURCES, None, **QUICK)
    part = fit(make, SOURCES, None, on_snapshot=stop, **QUICK)
    assert not part.finished
    assert part.step % 3
    for kept in (part, part.save(tmp_path / "part")):
        again = fit(make, SOURCES, None, resume=kept, **QUICK)
        assert same(weights(whole), weights(again))
    back = Run.load(whole.save(tmp_path / "whole"))
    assert np.array_equal(back.logits(UNSEEN), whole.logits(UNSEEN))
    assert (back.method.steps, back.method.inside) == (20, whole.method.inside)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="held_out must be a number of more than 0"):
        small(held_out=0)
    with pytest.raises(ValueError, match=r"tolerance must be a number of at least 1, got 0\.5"):
        small(tolerance=0.5)
    with pytest.raises(ValueError, match="patience must be an integer of at least 2, got 1"):
        small(patience=1)


# -- it works ---------------------------------------------------------------------------------------------------


def test_the_mean_has_a_lower_loss_on_an_unseen_domain_than_the_last_weights_where_labels_are_noisy():
    """A quarter of the labels is wrong: the last weights have learnt some of them by heart, the mean less so."""

    def noisy(domain, seed):
        wrong = torch.rand(len(domain), generator=torch.Generator().manual_seed(seed)) < 0.25
        return replace(domain, y=torch.where(wrong, 1 - domain.y, domain.y))

    sources, unseen = [noisy(d, i) for i, d in enumerate(SOURCES)], noisy(UNSEEN, 9)
    settings = {**QUICK, "steps": 300, "batch_size": 8, "lr": 0.1, "snapshots": 0, "seeds": 3}
    runs = fit(lambda s: methods.build("swad", sources, every=10, seed=s), sources, None, **settings)
    assert all(r.method.inside > 3 for r in runs)
    of_mean = [cross_entropy(torch.as_tensor(r.logits(unseen)), unseen.y).item() for r in runs]
    of_last = [cross_entropy(live(r, unseen.x), unseen.y).item() for r in runs]
    assert np.mean(of_mean) < np.mean(of_last), (of_mean, of_last)
