"""DANCE: target examples gather around their neighbours, or around a source class, and get sure whether they are known.

Each target example is drawn to whatever is already nearest to it: another target example, remembered from its last
visit, or the prototype of a source class. So the target forms clusters, of known classes or of its own, without anyone
saying how many of its classes are known. Examples whose prediction has a clearly low entropy are made surer, those with
a clearly high one less sure; a threshold between both says "unknown".

Setting: labelled source, unlabelled target; which classes are in both, in the source alone or in the target alone is
not known (universal domain adaptation; closed, partial and open-set ones are special cases). The last column of
``logits`` is the unknown class.

Assumes: target classes form clusters in the features, and unknown ones lie between the source's prototypes rather than
at one of them.

Objective: features f of shape (b, d) of length 1, prototypes w_c of shape (k, d) of length 1, logits of the known
classes f · w_c / τ, probabilities p of shape (b, k) and their entropy H, a memory V of shape (n_T, d) with the feature
of every target example as it was last seen, without gradient:

    q_ij = exp(f_i · a_j / τ) / Σ_l exp(f_i · a_l / τ), a over all rows of V except i's own, and of w,
    min over θ of  mean_S CE(f w^T / τ, y) + λ [ mean_T H(q_i) - mean_T |H(p_i) - ρ| [ |H(p_i) - ρ| > m ] ],
    ρ = log(k) / 2; unknown where H(p_i) > ρ.

As logits: the unknown class gets max_c z_c + H - ρ, so that it wins exactly there. The memory is filled by a pass over
the target before the first step. The paper's batch norm for each domain is left out: both domains pass together.

Fails when: the features are narrow (in few dimensions untrained prototypes already lie near some examples: entropies
start low, on the wrong side, and are pushed on; a hundred and more are needed), there are few known classes (up to
exp(2 m), two for m = 1/2, the second term is 0, and with three it hardly acts), neighbours belong to other classes, or
an unknown class lies at a source prototype from the start: it is then pulled in.

Paper: Saito, Kim, Sclaroff, Saenko, Universal Domain Adaptation through Self Supervision, NeurIPS 2020,
arXiv:2002.07953.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dakit import losses
from dakit.losses.open_set import row_entropy
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real
from dakit.methods.passes import whole

__all__ = ["DANCE"]


class DANCE(Method):
    """Domain adaptive neighbourhood clustering via entropy optimisation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``. Its outputs are divided by their length.
    num_classes : int
        k, of the source.
    lambda_ : float, at least 0
        λ, the weight of both target terms.
    temperature : float, positive
        τ.
    margin : float, at least 0
        m, how far from ρ an entropy must be before it is pushed on.
    label_smoothing : float in [0, 1)
    """

    open_set = True

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 0.05,
        temperature: float = 0.05,
        margin: float = 0.5,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.head.register_parameter("bias", None)  # a prototype is a direction
        self.lambda_, self.margin = check_real("lambda_", lambda_), check_real("margin", margin)
        self.temperature = check_real("temperature", temperature, open_low=True)
        self.label_smoothing = label_smoothing
        self.register_buffer("memory", torch.empty(0, backbone.out_features))  # V, filled by prepare

    @property
    def threshold(self) -> float:
        """ρ, the entropy above which an example is unknown."""
        return math.log(self.num_classes) / 2

    def begin(self) -> None:
        self.memory = self.memory.new_empty(0, self.memory.shape[1])

    def prepare(self, source: Any, target: Any, progress: float) -> None:
        if len(self.memory) != len(target):
            self.memory = normalize(whole(self, target.x)[0], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits of the known classes: (b, d) to (b, k), cosines over τ."""
        return normalize(features, dim=1) @ normalize(self.head.weight, dim=1).T / self.temperature

    def with_unknown(self, known: Tensor) -> Tensor:
        """(b, k) to (b, k + 1): the last column is the largest where the entropy exceeds ρ."""
        unknown = known.amax(1) + row_entropy(known) - self.threshold
        return torch.cat([known, unknown[:, None]], dim=1)

    def logits(self, x: Tensor) -> Tensor:
        """Class scores, (b, ...) to (b, k + 1), the last one of the unknown class."""
        return self.with_unknown(self.classify(self.features(x)))

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.classify(fs), source.y, label_smoothing=self.label_smoothing)
        f, known = normalize(ft, dim=1), self.classify(ft)
        anchors = torch.cat(
            [self.memory, normalize(self.head.weight, dim=1)]
        )  # a copy: the memory may change
        neighbours = losses.neighbourhood_entropy(
            f, anchors, own=target.index if len(self.memory) else None, temperature=self.temperature
        )
        if self.training and len(self.memory):
            self.memory[target.index] = f.detach()
        separation = losses.entropy_separation(known, margin=self.margin)
        return {
            "label": label,
            "neighbours": self.lambda_ * neighbours,
            "separation": self.lambda_ * separation,
        }

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of the examples that are called unknown: of the source, all of them wrongly, and of the target."""
        share = [
            float((row_entropy(self.classify(f)) > self.threshold).float().mean()) for f in (source, target)
        ]
        return {"source_unknown": share[0], "target_unknown": share[1]}
