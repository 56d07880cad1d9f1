"""Two stages: what the first learns, what the second may not see, and starting from given weights."""

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.methods.method import Batch
from dakit.methods.source_free import SourceFree
from dakit.training import Run, fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=1.0, seed=1, name="moved")
NAMES = [n for n in methods.names() if issubclass(methods._class(n), SourceFree)]


def small(name, seed=0, **options):
    return methods.build(
        name, SOURCE, backbone={"name": "mlp", "hidden": (6,), "norm": "batch"}, seed=seed, **options
    )


def test_there_are_such_methods():
    assert "shot" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_first_stage_is_source_only_and_does_not_see_the_target(name):
    method = small(name, pretrain=1.0, label_smoothing=0.0)
    run = fit(method, SOURCE, TARGET, **QUICK)
    plain = methods.build("source_only", SOURCE, backbone={"name": "mlp", "hidden": (6,), "norm": "batch"})
    for key, value in weights(fit(plain, SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(weights(run)[key].float(), value.float(), atol=1e-6), key
    assert set(method.losses(batch_pair()[0], None, 0.3)) == {"label"}
    assert method.uses_source


@pytest.mark.parametrize("name", NAMES)
def test_the_second_stage_does_not_see_the_source(name):
    """No batch, no domain; and a batch of NaN in its place changes no bit of the gradients."""
    source, target = batch_pair()
    spoilt = Batch(source.x * torch.nan, source.y, source.index, 0)
    found = []
    for given in (None, spoilt, source):
        method = small(name, pretrain=0.5)
        method.prepare(None, TARGET.unlabeled(), 0.6)
        method.train()
        torch.manual_seed(0)
        terms = method.losses(given, target, 0.6)
        assert "label" not in terms
        sum(terms.values()).backward()
        found.append({n: p.grad for n, p in method.named_parameters() if p.grad is not None})
        assert all(torch.isfinite(g).all() for g in found[-1].values())
    assert found[0]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


class NoSourceLater(torch.nn.Module):
    """A backbone that cannot be shown the source in the second stage: it would raise."""

    def __init__(self, inner, forbidden):
        super().__init__()
        self.inner, self.out_features, self.forbidden = inner, inner.out_features, forbidden
        self.armed = False

    def forward(self, x):
        if self.armed and self.training:  # snapshots look at the source in evaluation mode
            assert not (x[:, None] == self.forbidden[None]).all(dim=2).any(), "source in the second stage"
        return self.inner(x)


@pytest.mark.parametrize("name", NAMES)
def test_no_source_example_passes_the_backbone_in_the_second_stage_of_fit(name):
    inner = small(name).backbone
    method = methods.build(name, SOURCE, backbone=NoSourceLater(inner, SOURCE.x), pretrain=0.5)
    inner_losses, stages = method.losses, []

    def losses(source, target, progress):
        for m in method.modules():
            if isinstance(m, NoSourceLater):
                m.armed = progress >= 0.5
        stages.append(progress >= 0.5)
        return inner_losses(source, target, progress)

    method.losses = losses
    run = fit(method, SOURCE, TARGET, **QUICK)
    assert 0 < sum(stages) < len(stages)
    assert run.finished


@pytest.mark.parametrize("name", NAMES)
def test_with_given_weights_no_source_is_needed(name):
    trained = fit(
        methods.build("source_only", SOURCE, backbone={"name": "mlp", "hidden": (6,), "norm": "batch"}),
        SOURCE,
        TARGET,
        **QUICK,
    ).method
    method = small(name, seed=4, pretrain=0.0).start_from(trained)
    assert not method.uses_source
    before = {k: v.clone() for k, v in trained.state_dict().items()}
    assert torch.equal(method.eval().logits(TARGET.x), trained.eval().logits(TARGET.x))
    run = fit(method, None, TARGET, **QUICK)
    assert run.finished
    assert same(before, trained.state_dict())  # a copy was trained
    assert not same(before, {k: v for k, v in weights(run).items() if k in before})


@pytest.mark.parametrize(("name", "term"), [("shot", "pseudo"), ("nrc", "neighbours")])
def test_a_stage_in_which_no_epoch_begins_has_its_pass_all_the_same(name, term):
    settings = {**QUICK, "batch_size": 4, "log_every": 1}  # epochs of 30 steps, 20 steps in all
    history = fit(small(name), SOURCE, TARGET, **settings).history
    assert history[term].notna().tolist() == [False] * 11 + [True] * 10


def test_start_from_another_network_is_refused():
    with pytest.raises(ValueError, match="the backbone of SourceOnly does not fit"):
        small("shot").start_from(methods.build("source_only", SOURCE))
    with pytest.raises(ValueError, match="the head of SourceOnly does not fit"):
        other = methods.SourceOnly(small("shot").backbone, 5)
        small("shot").start_from(other)


@pytest.mark.parametrize("name", NAMES)
def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits(name):
    make = lambda s: small(name, s)  # noqa: E731
    runs = [weights(fit(make, SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_interrupted_in_the_second_stage_ends_at_the_same_bits(name, tmp_path):
    def stop(run):
        if run.step >= 16:
            raise KeyboardInterrupt

    make = lambda s: small(name, s)  # noqa: E731
    whole = fit(make, SOURCE, TARGET, **QUICK)
    broken = fit(make, SOURCE, TARGET, on_snapshot=stop, **{**QUICK, "snapshots": 21})
    assert 16 <= broken.step < 20
    broken.save(tmp_path)
    for resume in (broken, tmp_path):
        resumed = fit(make, SOURCE, TARGET, resume=resume, **{**QUICK, "snapshots": 21})
        assert resumed.finished
        assert same(weights(resumed), weights(whole))
    resumed.save(tmp_path)
    assert np.array_equal(Run.load(tmp_path).logits(TARGET), whole.logits(TARGET))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_may_move_again_after_a_run(name):
    method = small(name)
    fit(method, SOURCE, TARGET, **QUICK)
    assert all(p.requires_grad for _, parameters in method.phases() for p in parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_have_a_rate_each_and_bad_values_are_told(name):
    method = small(name, pretrain=0.4, adapt_lr=0.2)
    assert [method.lr_factor(p) for p in (0.0, 0.39, 0.4, 1.0)] == [1.0, 1.0, 0.2, 0.2]
    assert small(name, pretrain=1.0).lr_factor(1.0) == 1.0
    with pytest.raises(ValueError, match=r"pretrain must be a number of at least 0 and at most 1, got 1\.5"):
        small(name, pretrain=1.5)
    with pytest.raises(ValueError, match="adapt_lr must be a number of at least 0, got -1"):
        small(name, adapt_lr=-1)
