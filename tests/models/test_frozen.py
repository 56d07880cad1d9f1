import numpy as np
import pytest
import torch
from torch import nn

from dakit import models
from dakit.models.frozen import checksum, frozen_features, untrained


def network(seed=0, **options):
    torch.manual_seed(seed)
    return models.build("lenet", (1, 16, 16), width=4, features=10, **options)


X = torch.rand(9, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_features_are_the_forward_pass_in_evaluation_mode():
    net = network(norm="batch", dropout=0.5).train()
    before = checksum(net)
    f = frozen_features(net, X, batch_size=4)
    assert f.dtype == np.float64
    assert net.training
    assert checksum(net) == before  # running statistics too
    with torch.no_grad():
        np.testing.assert_allclose(f, net.eval()(X).double().numpy(), atol=1e-6)
    np.testing.assert_array_equal(frozen_features(net, X.double().numpy()), frozen_features(net, X))


def test_layers():
    net = network()
    with torch.no_grad():
        maps = net.maps[:2](X)
        full = net.full(net.maps(X).flatten(1))
    np.testing.assert_allclose(frozen_features(net, X, layer="maps.1"), maps.mean((2, 3)).numpy(), atol=1e-6)
    np.testing.assert_allclose(frozen_features(net, X, layer="full"), full.numpy(), atol=1e-6)
    assert not net.full._forward_hooks
    twice = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="layer '0' gave 2 outputs for a batch"):
        frozen_features(nn.Sequential(twice, twice), torch.zeros(3, 2), layer="0")
    assert not twice._forward_hooks
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        frozen_features(net, X, batch_size=0)


def test_checksum_sees_every_weight_and_buffer():
    net = network(norm="batch")
    sums = {checksum(net)}
    for value in net.state_dict().values():
        with torch.no_grad():
            value.add_(1)
        sums.add(checksum(net))
    assert len(sums) == 1 + len(net.state_dict())
    assert checksum(network()) == checksum(network())


def test_the_untrained_twin():
    net = network(norm="batch")
    before = checksum(net)
    state = torch.random.get_rng_state()
    twin = untrained(net, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert checksum(net) == before != checksum(twin)
    assert checksum(untrained(net, seed=3)) == checksum(twin) != checksum(untrained(net, seed=4))
    assert {k: v.shape for k, v in twin.state_dict().items()} == {
        k: v.shape for k, v in net.state_dict().items()
    }
    norm = twin.maps[2]
    assert torch.equal(norm.running_mean, torch.zeros(4))


def test_statistics_of_batch_normalisation_by_pictures():
    net = network(norm="batch").eval()
    twin = untrained(net, seed=0, x=X)
    with torch.no_grad():
        maps = twin.maps[:2](X)
    torch.testing.assert_close(twin.maps[2].running_mean, maps.mean((0, 2, 3)))
    torch.testing.assert_close(twin.maps[2].running_var, maps.var((0, 2, 3)))
    assert not twin.training
    assert twin.maps[2].momentum == net.maps[2].momentum


def test_weights_that_cannot_be_drawn_anew():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.by = nn.Parameter(torch.ones(1))

    with pytest.raises(ValueError, match="Scale '0' has weights and no reset_parameters"):
        untrained(nn.Sequential(Scale()))
    attention = nn.MultiheadAttention(4, 2)
    assert checksum(untrained(attention)) != checksum(attention)
