"""MixStyle: train on styles between those of the training pictures.

Style, to a convolutional network, is mean and standard deviation of each channel over a picture. In early stages, and
only in training, those of an example are replaced by a mixture of its own and of another example's, so that the network
meets styles that no training picture has. Labels stay those of the content.

Setting: labelled source, better several; the target is not used (domain generalisation).

Assumes: domains that differ in style, that is in channel statistics of early layers, and classes that do not; training
pictures whose styles differ.

Objective: features G_f(x) of shape (b, d), logits of shape (b, k) and labels y of shape (b,),

    min over θ_f, θ_y of  mean_S CE(G_y(G_f(x)), y),

where in G_f, with probability p for a batch, maps x of shape (b, c, h, w) at the end of the early stages become

    y = σ_mix (x - μ(x)) / σ(x) + μ_mix,  μ_mix = λ μ(x) + (1 - λ) μ(x'),  σ_mix = λ σ(x) + (1 - λ) σ(x'),

with μ, σ of shape (b, c, 1, 1) over h and w, through which no gradient flows, x' another example of the batch and
λ ~ Beta(α, α) of shape (b, 1, 1, 1).

Fails when: the classes differ in style (their labels then contradict the mixed maps), the training pictures share one
style, so that there is nothing between, or the target's style lies beyond those of the source.

Paper: Zhou, Yang, Qiao, Xiang, Domain Generalization with MixStyle, ICLR 2021, arXiv:2104.02008.
"""

import copy
from collections.abc import Sequence

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_choice, check_real
from dakit.models import mixstyle

__all__ = ["MixStyle"]


class MixStyle(Method):
    """A classifier whose early maps change their style in training.

    Parameters
    ----------
    backbone : nn.Module
        A lenet or a residual network, or any with maps; it is copied.
    num_classes : int
    p : float in [0, 1]
        Probability that a batch is mixed.
    alpha : float, positive
        α of the Beta distribution.
    mix : {"random", "crossdomain"}
        Partner from anywhere in the batch, or from another source domain. With one source domain both mean the former.
    layers : sequence of str, optional
        Names of the backbone's submodules whose output is mixed. Default: all stages but the last.
    label_smoothing : float in [0, 1)
    """

    uses_target = False

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        p: float = 0.5,
        alpha: float = 0.1,
        mix: str = "random",
        layers: Sequence[str] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        backbone = copy.deepcopy(backbone)
        check_choice("mix", mix, mixstyle.MIXES)
        style = mixstyle.MixStyle(
            check_real("p", p, high=1.0), check_real("alpha", alpha, open_low=True), mix
        )
        mixstyle.add_mixstyle(backbone, style, None if layers is None else tuple(layers))
        super().__init__(backbone, num_classes)
        self.p, self.alpha, self.mix, self.layers = style.p, style.alpha, mix, layers
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        for m in self.modules():
            if isinstance(m, mixstyle.MixStyle):
                m.group = source.group
        logits = self.logits(source.x)
        return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
