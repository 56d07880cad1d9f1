"""Empirical risk minimisation (ERM): learn from all sources as if they were one domain.

The examples of all source domains are pooled, and one classifier is trained on them. What differs between the domains
is treated as chance. Tuned with the same care, it has proved hard to beat on benchmarks of domain generalisation, so
every method here is judged against it.

Setting: several labelled sources (one will do), no target: a domain that nobody has seen (domain generalisation).

Assumes: what predicts the label in the pooled sources predicts it in the new domain, too.

Objective: with the b examples of a batch, as many from each source domain, logits G_y(G_f(x)) of shape (b, k) and
labels y of shape (b,),

    min over θ_f, θ_y of  mean CE(G_y(G_f(x)), y).

Fails when: a feature that happens to go with the label in all sources, a background or a colour, is easier to learn
than what makes the class, and goes with it no longer in the new domain.

Paper: Vapnik, Principles of risk minimization for learning theory, NIPS 1991; as the baseline of this field,
Gulrajani, Lopez-Paz, In Search of Lost Domain Generalization, ICLR 2021, arXiv:2007.01434.
"""

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["ERM"]


class ERM(Method):
    """A classifier trained on all sources together.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    label_smoothing : float in [0, 1)
    """

    uses_target = False

    def __init__(self, backbone, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__(backbone, num_classes)
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        logits = self.logits(source.x)
        return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
