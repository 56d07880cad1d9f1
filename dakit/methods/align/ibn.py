"""IBN-Net: one training domain, and layers that forget a picture's style early and keep its content late.

Nothing but the backbone changes. In its early stages, part of the channels pass instance norm, which removes from each
picture what multiplies or shifts a channel (light, colour, contrast), and the others batch norm, which keeps it; the
late stages have batch norm alone. The network is then trained on the source as usual, in the hope that it does better
on the source and on a target of another appearance at once.

Setting: labelled source; the target is not used (domain generalisation from one source).

Assumes: pictures whose domains differ in appearance, per-channel gain and offset above all, and classes that do not
live in appearance alone.

Objective: features G_f(x) of shape (b, d), logits of shape (b, k) and labels y of shape (b,),

    min over θ_f, θ_y of  mean_S CE(G_y(G_f(x)), y),

where in G_f, on maps x of shape (b, c, h, w), variant a puts in the first norm of each residual block, in all stages
but the last,

    y_nc = γ_c (x_nc - μ_nc) / sqrt(σ²_nc + ε) + β_c  for c < ratio · C,  with μ, σ² over h, w of picture n,
    y_nc = γ_c (x_nc - μ_c)  / sqrt(σ²_c  + ε) + β_c  for the others,     with μ, σ² over b, h, w,

and variant b instead an instance norm in the stem and one after the sum that ends each of the first two stages. The
paper's variants c and d are not here.

Fails when: the classes differ in what instance norm removes (faint against strong ink: with too large a ratio the
source itself is lost), or the domains differ in shape, texture or in class proportions. A target style that is an
exact gain and offset of each channel is removed better by instance norm everywhere.

Paper: Pan, Luo, Shi, Tang, Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net, ECCV 2018,
arXiv:1807.09441.
"""

import copy

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.models.ibn import add_ibn

__all__ = ["IBN"]


class IBN(Method):
    """A classifier with instance-batch normalisation, trained on the source alone.

    Parameters
    ----------
    backbone : nn.Module
        A residual network or a lenet with batch norm, which is copied and gets IBN layers; its other weights stay. One
        that has them already, with this variant and ratio, is taken as it is.
    num_classes : int
    variant : {"a", "b"}
    ratio : float in [0, 1]
        Share of channels under instance norm, in variant a. 0 is a plain network.
    label_smoothing : float in [0, 1)
    """

    uses_target = False

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        variant: str = "a",
        ratio: float = 0.5,
        label_smoothing: float = 0.0,
    ) -> None:
        spec = getattr(backbone, "spec", {})
        if (spec.get("ibn"), spec.get("ratio")) != (variant, ratio):
            backbone = copy.deepcopy(backbone)
            add_ibn(backbone, variant, ratio)
        super().__init__(backbone, num_classes)
        self.variant, self.ratio, self.label_smoothing = variant, ratio, label_smoothing

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict:
        return {"name": "resnet8"}

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        logits = self.logits(source.x)
        return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
