"""MixStyle: give a picture's maps a style between its own and another picture's.

Zhou, Yang, Qiao, Xiang, Domain Generalization with MixStyle, ICLR 2021, arXiv:2104.02008.
"""

import torch
from torch import Tensor, nn

MIXES = ("random", "crossdomain")


class MixStyle(nn.Module):
    """Mix the channel means and standard deviations of pairs of examples, in training only.

    With ``μ(x)`` and ``σ(x)`` over the positions of each channel of an example, without gradient, a partner x', and
    ``λ ~ Beta(α, α)`` for each example,

        y = σ_mix (x - μ(x)) / σ(x) + μ_mix,
        μ_mix = λ μ(x) + (1 - λ) μ(x'),  σ_mix = λ σ(x) + (1 - λ) σ(x').

    Parameters
    ----------
    p : float in [0, 1]
        Probability that a batch is mixed at all.
    alpha : float, positive
        Small values leave most examples near one of the two styles.
    mix : {"random", "crossdomain"}
        The partner is any example of the batch, each of them once; or one of another domain.
    eps : float
        Added to the variance.

    Attributes
    ----------
    group : Tensor of shape (b,), or None
        Which domain each example comes from, set before a forward pass; needed for ``"crossdomain"``.
    """

    def __init__(self, p: float = 0.5, alpha: float = 0.1, mix: str = "random", eps: float = 1e-6) -> None:
        super().__init__()
        self.p, self.alpha, self.mix, self.eps = p, alpha, mix, eps
        self.group: Tensor | None = None

    def partners(self, n: int, device: torch.device) -> Tensor:
        """Row of each example's partner, (n,)."""
        if self.mix == "random" or self.group is None:
            return torch.randperm(n, device=device)
        other = self.group[:, None] != self.group
        return torch.multinomial(other.float(), 1).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        if not self.training or torch.rand(()) >= self.p:
            return x
        lambda_ = torch.distributions.Beta(self.alpha, self.alpha).sample((len(x), 1, 1, 1)).to(x)
        return mix_styles(x, self.partners(len(x), x.device), lambda_, eps=self.eps)


def mix_styles(x: Tensor, partner: Tensor, lambda_: Tensor, *, eps: float = 1e-6) -> Tensor:
    """The formula of :class:`MixStyle` for given partners (b,) and weights (b, 1, 1, 1).

    Examples
    --------
    >>> x = torch.tensor([0.0, 2.0, 10.0, 14.0]).view(2, 1, 1, 2)
    >>> mixed = mix_styles(x, torch.tensor([1, 0]), torch.zeros(2, 1, 1, 1))  # styles exchanged
    >>> [round(v) for v in mixed.flatten().tolist()]
    [10, 14, 0, 2]
    """
    with torch.no_grad():
        mean = x.mean(dim=(2, 3), keepdim=True)
        sd = (x.var(dim=(2, 3), correction=0, keepdim=True) + eps).sqrt()
        mean_mix = lambda_ * mean + (1 - lambda_) * mean[partner]
        sd_mix = lambda_ * sd + (1 - lambda_) * sd[partner]
    return sd_mix * ((x - mean) / sd) + mean_mix


def add_mixstyle(model: nn.Module, layer: MixStyle, places: tuple[str, ...] | None = None) -> None:
    """Let the output of early stages pass ``layer``, in place. No weight changes, and none gets another name.

    Parameters
    ----------
    model : nn.Module
    layer : MixStyle
        One object for all places.
    places : tuple of str, optional
        Names of submodules that return maps (b, c, h, w). Default: ``model.early``, all stages but the last.

    Raises
    ------
    ValueError
        If there is no such submodule, or the backbone names no early stages.
    """
    places = getattr(model, "early", ()) if places is None else places
    if not places:
        name = getattr(model, "spec", {}).get("name", type(model).__name__)
        raise ValueError(
            f"MixStyle works on maps (b, c, h, w) of early stages, and the backbone {name} names none: take pictures "
            'and "lenet", "resnet8" or "resnet18", or say layers=, names of submodules that return maps'
        )
    modules = dict(model.named_modules())
    for place in places:
        if place not in modules:
            raise ValueError(
                f"the backbone has no submodule {place!r}; it has {', '.join(filter(None, modules))}"
            )
        stage = modules[place]
        if isinstance(stage, nn.Sequential):
            stage.append(layer)
        else:
            parent, _, last = place.rpartition(".")
            setattr(modules[parent], last, nn.Sequential(stage, layer))
