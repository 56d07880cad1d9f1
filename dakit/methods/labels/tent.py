"""Tent: on the target, normalise by its own statistics and tune scales and shifts until predictions are sure.

A network with normalisation layers learns the source. On target batches, batch normalisation uses the batch's mean and
variance in the place of the source's, and one step lowers the entropy of the predictions, by the scales and shifts of
the normalisation layers alone. All other weights stay.

Setting: unlabelled target, in batches as they come, and a model trained on a labelled source, the same classes
(test-time adaptation).

Assumes: a shift that statistics, scales and shifts of features can undo (noise, contrast, blur), batches that are large
and mix the classes, and a source model that is mostly right on the target after its statistics are replaced.

Objective: γ and β the scales and shifts of all normalisation layers, probabilities p = softmax of the logits of shape
(b, k), in each normalisation layer of a batch x̂ = γ (x - mean_b) / sd_b + β,

    progress < pretrain:  min over θ of  mean_S CE(G_y(f), y),
    from there on, all but γ and β fixed:  min over γ, β of  mean_T Σ_k -p_k log p_k.

The running statistics follow the target's batches in the second stage, and evaluation uses them; the paper has no
evaluation apart from the stream, for which see ``training.stream``: it predicts each batch with the batch's own
statistics, before the step that the batch causes. Layer, group and instance normalisation have no statistics to replace
(each example is its own); their scales and shifts are tuned in the same way. By default pictures get a LeNet and flat
inputs an MLP with batch normalisation.

Fails when: batches are small or hold one class each (their statistics then say which class it is), or adaptation goes
on for long at a high rate: one class for all examples has no entropy either. A low entropy is no proof of being right.

Paper: Wang, Shelhamer, Liu, Olshausen, Darrell, Tent: Fully Test-Time Adaptation by Entropy Minimization, ICLR 2021,
arXiv:2006.10726.
"""

from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch
from dakit.methods.source_free import SourceFree

__all__ = ["Tent"]

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


class Tent(SourceFree):
    """Test-time entropy minimisation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``, and normalisation layers with scales.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned; 0 begins with given weights (``start_from``), 1 never adapts.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage: 0.01 becomes the paper's 0.001.
    label_smoothing : float in [0, 1)
        In the first stage.

    Raises
    ------
    ValueError
        If the backbone has no normalisation layer with a scale.
    """

    online = True  # leaves in ``answers`` what it says to a batch before it learns from it

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pretrain: float = 0.5,
        adapt_lr: float = 0.1,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            backbone, num_classes, pretrain=pretrain, adapt_lr=adapt_lr, label_smoothing=label_smoothing
        )
        self.answers: Tensor | None = None
        if not self.affine():
            raise ValueError(
                f"tent tunes the scales of normalisation layers, but the backbone {type(backbone).__name__} has none: "
                'take one with normalisation, for example backbone={"name": "mlp", "norm": "batch"}'
            )

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict:
        return {"name": "auto", "norm": "batch"}

    def affine(self) -> list[nn.Parameter]:
        """γ and β of all normalisation layers."""
        return [p for m in self.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)]

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        self.requires_grad_(True)  # the stage at hand decides anew, in losses
        return super().phases()

    def losses(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        first = self.learns_source(progress)
        self.requires_grad_(first)
        for p in self.affine():
            p.requires_grad_(True)
        return super().losses(source, target, progress)

    def adapt(self, target: Batch) -> dict[str, Tensor]:
        logits = self.logits(target.x)
        self.answers = logits.detach()
        return {"entropy": losses.entropy(logits)}
