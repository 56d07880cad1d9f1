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
    "higher_order_moments": losses.higher_order_moments,
    "local_mmd": lambda a, b: losses.local_mmd(a, b, torch.arange(12, device=a.device) % 5, b.softmax(1)),
    "joint_transport_costs": lambda a, b: sum(
        c.mean() for c in losses.joint_transport_costs(a, b, torch.arange(12, device=a.device) % 5, b)
    ),
    "sliced_wasserstein_discrepancy": lambda a, b: losses.sliced_wasserstein_discrepancy(
        a[:9], b, torch.eye(5, dtype=a.dtype, device=a.device)
    ),
    "margin_disparity": lambda a, b: losses.margin_disparity(a, b, a.argmax(1), b.argmax(1)),
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
