"""The MixStyle layer: the formula, who mixes with whom, and that evaluation is left alone."""

import numpy as np
import pytest
import torch
from torch import nn

from dakit import models
from dakit.models.mixstyle import MixStyle, add_mixstyle, mix_styles

X = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 + 1


def statistics(x):
    return x.mean((2, 3)), x.std((2, 3), correction=0)


def test_by_an_explicit_loop():
    partner, lambda_ = torch.tensor([3, 0, 1, 5, 2, 4]), torch.rand(6, 1, 1, 1)
    y = mix_styles(X, partner, lambda_)
    for i in range(6):
        for c in range(3):
            a, b = X[i, c].numpy(), X[partner[i], c].numpy()
            w = lambda_[i].item()
            mean, sd = w * a.mean() + (1 - w) * b.mean(), w * a.std() + (1 - w) * b.std()
            assert np.allclose(y[i, c], sd * (a - a.mean()) / a.std() + mean, atol=1e-5)


def test_weight_1_changes_nothing_and_weight_0_exchanges_the_styles():
    partner = torch.tensor([1, 2, 3, 4, 5, 0])
    assert torch.allclose(mix_styles(X, partner, torch.ones(6, 1, 1, 1)), X, atol=1e-5)
    mean, sd = statistics(mix_styles(X, partner, torch.zeros(6, 1, 1, 1)))
    assert torch.allclose(mean, statistics(X)[0][partner], atol=1e-5)
    assert torch.allclose(sd, statistics(X)[1][partner], atol=1e-4)


def test_no_gradient_flows_through_the_statistics():
    x = X.clone().requires_grad_()
    lambda_ = torch.rand(6, 1, 1, 1)
    partner = torch.tensor([1, 0, 3, 2, 5, 4])
    (gradient,) = torch.autograd.grad(mix_styles(x, partner, lambda_).sum(), x)
    sd = statistics(X)[1]
    factor = (lambda_.view(-1, 1) * sd + (1 - lambda_.view(-1, 1)) * sd[partner]) / sd
    assert torch.allclose(gradient, factor[:, :, None, None].expand_as(X), atol=1e-4)


def test_only_in_training_and_only_with_probability_p():
    torch.manual_seed(0)
    assert torch.equal(MixStyle(p=1.0).eval()(X), X)
    assert torch.equal(MixStyle(p=0.0)(X), X)
    assert not torch.equal(MixStyle(p=1.0)(X), X)
    layer = MixStyle(p=0.5, alpha=1.0)
    mixed = sum(not torch.equal(layer(X), X) for _ in range(400))
    assert 150 < mixed < 250  # 5 standard deviations


def test_weights_are_betas_one_for_each_example():
    """With two examples of constant style difference the new means show λ: Beta(α, α) has variance 1 / (4 (2α + 1))."""
    torch.manual_seed(0)
    n = 4000
    x = torch.randn(n, 1, 2, 2)
    x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
    x[n // 2 :] += 1.0
    for alpha in (0.1, 1.0):
        layer = MixStyle(p=1.0, alpha=alpha, mix="crossdomain")
        layer.group = (torch.arange(n) >= n // 2).long()
        mean = layer(x).mean((1, 2, 3))[: n // 2]  # (1 - λ) for the first half, whose partners have mean 1
        assert mean.mean().item() == pytest.approx(0.5, abs=0.04)
        assert mean.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_partners():
    torch.manual_seed(0)
    random = MixStyle().partners(50, X.device)
    assert sorted(random.tolist()) == list(range(50))
    layer = MixStyle(mix="crossdomain")
    layer.group = torch.arange(3).repeat_interleave(20)
    drawn = torch.stack([layer.partners(60, X.device) for _ in range(600)])
    assert (layer.group[drawn] != layer.group).all()
    counts = torch.bincount(drawn[:, 0], minlength=60)
    assert (counts[20:] > 0).all(), "every example of the other domains is drawn"
    layer.group = None
    assert sorted(layer.partners(50, X.device).tolist()) == list(range(50)), "one domain: any partner"


@pytest.mark.parametrize(("name", "places"), [("lenet", 1), ("resnet8", 2), ("resnet18", 3)])
def test_it_is_put_after_all_stages_but_the_last_and_no_weight_gets_another_name(name, places):
    plain = models.build(name, (3, 16, 16), width=4)
    model = models.build(name, (3, 16, 16), width=4)
    model.load_state_dict(plain.state_dict())
    layer = MixStyle(p=1.0)
    seen = []
    layer.register_forward_hook(lambda m, x, y: seen.append(tuple(y.shape)))
    add_mixstyle(model, layer)
    assert model.state_dict().keys() == plain.state_dict().keys()
    x = torch.rand(4, 3, 16, 16)
    assert torch.equal(model.eval()(x), plain.eval()(x))
    assert len(seen) == places
    assert all(len(shape) == 4 for shape in seen)
    assert not torch.equal(model.train()(x), plain.train()(x))


def test_bad_places_are_told():
    with pytest.raises(ValueError, match="backbone mlp names none: take pictures"):
        add_mixstyle(models.build("mlp", (4,)), MixStyle())
    with pytest.raises(ValueError, match="no submodule 'conv9'; it has 0, 1"):
        add_mixstyle(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), MixStyle(), ("conv9",))
    own = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    add_mixstyle(own, MixStyle(), ("1",))
    assert isinstance(own[1][1], MixStyle)
