"""Batch normalisation that keeps the domains apart."""

import copy

import torch.nn.functional as F
from torch import Tensor, nn

SIDES = ("source", "target")


class DomainBatchNorm(nn.Module):
    """Batch norm with statistics, and if wanted scale and shift, for each domain.

    In training each side is normalised by its own batch, ``y = γ (x - μ_side) / sqrt(σ²_side + ε) + β``, in evaluation
    by the running statistics of that side.

    Parameters
    ----------
    norm : BatchNorm1d, BatchNorm2d or BatchNorm3d
        Every side starts as a copy of it.
    affine : {"shared", "separate"}
        One γ and β for all, or one for each side.

    Attributes
    ----------
    side : {"source", "target"}
        Whose examples come next; :meth:`dakit.methods.Method.on` sets it.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, *, affine: str = "shared") -> None:
        super().__init__()
        if affine not in ("shared", "separate"):
            raise ValueError(f"affine must be 'shared' or 'separate', got {affine!r}")
        self.side = "target"
        self.norms = nn.ModuleDict({side: copy.deepcopy(norm) for side in SIDES})
        self.weight = self.bias = None
        if affine == "shared":
            self.weight, self.bias = self.norms["source"].weight, self.norms["source"].bias
            for n in self.norms.values():
                n.weight = n.bias = None

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norms[self.side]
        if self.weight is None:
            return norm(x)
        batch = self.training or norm.running_mean is None
        statistics = norm.running_mean, norm.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, batch, norm.momentum, norm.eps)


def split_by_domain(model: nn.Module, *, affine: str = "shared") -> int:
    """Replace every batch norm in a model by a :class:`DomainBatchNorm`, in place, and return how many there are.

    Raises
    ------
    ValueError
        If there is none.
    """
    ready = [m for m in model.modules() if isinstance(m, DomainBatchNorm)]
    inside = {id(m) for layer in ready for m in layer.modules()}
    found = len(ready)
    for module in [m for m in model.modules() if id(m) not in inside]:
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, DomainBatchNorm(child, affine=affine))
                found += 1
    if not found:
        name = getattr(model, "spec", {}).get("name", type(model).__name__)
        raise ValueError(
            f"the backbone {name} has no batch norm to split by domain; take one that has it: "
            '{"name": "mlp", "norm": "batch"}, {"name": "lenet", "norm": "batch"}, "resnet8" or "resnet18"'
        )
    return found
