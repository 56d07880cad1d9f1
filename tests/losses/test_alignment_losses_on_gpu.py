"""The alignment losses on a GPU: value and gradient are those of the CPU."""

import pytest
import torch

from dakit import losses

LOSSES = {
    "joint_mmd": lambda a, b: losses.joint_mmd([a, a.softmax(1)], [b, b.softmax(1)], unbiased=True),
    "cmd": lambda a, b: losses.cmd(a.tanh(), b.tanh(), interval=(-1, 1)),
    "hard_feature_norm": losses.hard_feature_norm,
    "stepwise_feature_norm": losses.stepwise_feature_norm,
    "batch_spectral": lambda a, b: losses.batch_spectral(a, b, k=2),
}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient(name):
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(12, 5, generator=g, dtype=torch.float64), torch.randn(9, 5, generator=g).double() + 1
    found = []
    for device in ("cpu", "cuda"):
        xs, xt = (x.to(device).requires_grad_() for x in (a, b))
        value = LOSSES[name](xs, xt)
        found.append([t.detach().cpu() for t in (value, *torch.autograd.grad(value, (xs, xt)))])
    for on_cpu, on_gpu in zip(*found):
        torch.testing.assert_close(on_cpu, on_gpu)
