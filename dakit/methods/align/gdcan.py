"""GDCAN: channel attention by domain where the data ask for it, and a correction of target features alone.

Two things are not shared between the domains. In every residual block the layer that squeezes the channels before they
are weighed is the domain's own, unless a statistic of the batch says that the domains are alike there. And on top a
small residual block corrects target features, and a second one target logits, before they are matched to the source's.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs that shows in which channels matter (colour, contrast, texture), similar class
proportions, and that all inputs of a domain are known to be of it: there is one path for each.

Objective: features f of shape (b, d) of the backbone on the domain's path; target features f^ = f + Δ_1(f); logits
o = C(f) of the source and o^ = C(f^) + Δ_2(C(f^)) of the target, both of shape (b, k):

    min over θ of  mean_S CE(o, y) + β H(softmax o^_T) + α [ MMD_5(f_S, f^_T) + MMD_1(softmax o_S, softmax o^_T)
                   + (1/k) Σ_c ( MMD_5(f_S^(c), f^_S^rand) + MMD_1(o_S^(c), o^_S^rand) ) ]

MMD_5 and MMD_1 are linear-time estimates (losses.linear_mmd) with the sum of five Gaussian kernels around the mean
squared distance, and with one of bandwidth 1.68. In the last line, class c of the source is compared with *corrected*
source examples, of which each is taken with probability ρ/k: the correction should leave the source alone. Attention in
every block, x of shape (b, c, h, w) before the shortcut is added, g its mean over pixels:

    w = sigmoid(A_2 relu(A_0 g)) for the source;  A_1 for A_0 on the target where p >= η;  output w x,
    p = tanh(|ρ_S - ρ_T| / |ρ_T|),  ρ = mean(g) / sqrt(var(g) + 1e-5) over all entries of a domain's half of the batch.

For the first ``pretrain`` of the steps the plain network (A_0, no correction) learns the source; then A_1 starts as a
copy of A_0, the statistics of batch normalisation are frozen, and the objective is as above. Frozen, because with
statistics of each half the mean of g is the same in both domains by construction, and the gate sees nothing.

Fails when: class proportions differ, batches are small beside the number of classes (ρ/k of a batch is then less than
the two examples that an estimate needs, and the source-invariance term is 0), or predictions on the target are wrong
from the start, for the entropy term then makes them sure. The gate sees one number a block: domains may differ in every
channel and agree in it. With a backbone other than ``se_cnn`` there are no blocks to put attention in, and one layer of
it acts on the features: a form for comparison, not the paper's network.

Where this file differs from the authors' code, of which it is written from notes: p divides by the absolute value
(theirs does not, and a negative mean then always shares); a running value of p decides at test time (theirs keeps the
last batch's gate); subsets are drawn from the whole batch (theirs are its first rows); sets of different size are cut
to the smaller; Δ_1 and Δ_2 start at 0; one learning rate serves all parts, with DANN's schedule. And the
source-invariance term moves Δ_1 and Δ_2 only: it compares one class with all, so with all weights free it pulls the
classes together; with two classes and ``adapt_lr=1`` source accuracy fell from 0.98 to 0.63 … 0.84 (six runs on
blobs), and to 0.91 … 0.97 where the term moves the corrections. ``moves="all"`` is their form.

Paper: Li, Xie, Lin, Liu, Huang, Wang, Generalized Domain Conditioned Adaptation Network, TPAMI 2021,
arXiv:2103.12339; DCAN: Li, Liu, Lin, Xie, Ding, Huang, Tang, AAAI 2020, arXiv:2005.06717.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_choice, check_int, check_real
from dakit.models.domain_attention import DomainAttention

__all__ = ["GDCAN"]


class Correction(nn.Sequential):
    """Δ: (b, d) to (b, d) through one hidden layer; 0 at the start, so that correcting begins with doing nothing."""

    def __init__(self, d: int, hidden: int) -> None:
        super().__init__(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d))
        nn.init.zeros_(self[2].weight)
        nn.init.zeros_(self[2].bias)


class CorrectedHead(nn.Linear):
    """C, followed on the target's side by its correction: o + Δ_2(o)."""

    side = "target"

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(plain.in_features, plain.out_features)
        self.load_state_dict(plain.state_dict())  # equal seeds start from the head that every method has
        self.correction = Correction(plain.out_features, plain.out_features)

    def forward(self, features: Tensor) -> Tensor:
        o = super().forward(features)
        return o + self.correction(o) if self.side == "target" else o


class GDCAN(Method):
    """Generalised domain conditioned adaptation network.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``. ``"se_cnn"`` is the network of the paper, made small.
    num_classes : int
    alpha : float, at least 0
        α, the weight of all discrepancies; 1.5 in the paper, 2 on one of its data sets.
    beta : float, at least 0
        β, the weight of the target's entropy.
    rho : float, at least 0
        ρ: each corrected source example is compared with a class with probability ρ/k (at most 1).
    eta : float
        η, the gate's threshold for p in [0, 1]. Infinite: the target always shares A_0, a plain network with attention.
        0 or below: it never does, which is DCAN.
    variant : {"gdcan", "dcan"}
        ``"dcan"`` leaves the gate open whatever η.
    moves : {"correction", "all"}
        What the source-invariance term may change: Δ_1 and Δ_2 alone, or all weights, as in the authors' code.
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned before anything adapts; the paper starts from ImageNet
        weights instead, for which this is 0.
    hidden : int, optional
        Units of Δ_1's hidden layer; d / 4, at least 1, by default (128 of 2048 in the paper). Δ_2 has k.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by once adapting has begun. Under frozen norms a high rate can throw the
        features far, the source's too: source accuracy of three runs on inverted bars was 0.50, 1 and lost to NaN at 1,
        was 0.73, 1 and 1 at 0.3, and 1 throughout at 0.1, where 600 steps on digits learn less (0.77 against 0.80).
    anneal : bool
        Let the learning rate fall by (1 + 10 p)^-0.75.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        alpha: float = 1.5,
        beta: float = 0.1,
        rho: float = 0.8,
        eta: float = 0.2,
        variant: str = "gdcan",
        moves: str = "correction",
        pretrain: float = 1 / 3,
        hidden: int | None = None,
        adapt_lr: float = 0.3,
        anneal: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.alpha, self.beta = check_real("alpha", alpha), check_real("beta", beta)
        self.rho, self.pretrain = check_real("rho", rho), check_real("pretrain", pretrain, high=1.0)
        check_choice("variant", variant, ("gdcan", "dcan"))
        check_choice("moves", moves, ("correction", "all"))
        if isinstance(eta, bool) or not isinstance(eta, (int, float)) or math.isnan(eta):
            raise ValueError(f"eta must be a number, or inf to share always, got {eta!r}")
        self.eta, self.variant, self.moves, self.anneal = float(eta), variant, moves, anneal
        self.adapt_lr = check_real("adapt_lr", adapt_lr)
        self.hidden = hidden if hidden is None else check_int("hidden", hidden, 1)
        self.label_smoothing = label_smoothing
        d = backbone.out_features
        self.head = CorrectedHead(self.head)
        self.correction = Correction(d, hidden or max(1, d // 4))
        inside = [m for m in backbone.modules() if isinstance(m, DomainAttention)]
        self.attention = None if inside else DomainAttention(d)
        for layer in self.attention_layers():
            layer.eta = self.eta if variant == "gdcan" else -math.inf
            layer.side = self.side
        self.register_buffer("adapting", torch.tensor(False))  # saved: a resumed run copies no second time

    def attention_layers(self) -> list[DomainAttention]:
        """The attention of each block, from the input up."""
        return [m for m in self.modules() if isinstance(m, DomainAttention)]

    def begin(self) -> None:
        self.adapting.fill_(False)

    def lr_factor(self, progress: float) -> float:
        """(1 + 10 p)^-0.75, times ``adapt_lr`` once adapting has begun."""
        stage = 1.0 if self.learns_source(progress) else self.adapt_lr
        return stage * (1 + 10 * progress) ** -0.75 if self.anneal else stage

    def learns_source(self, progress: float) -> bool:
        """Whether ``progress`` lies in the first stage."""
        return progress < self.pretrain or self.pretrain == 1

    def plain_features(self, x: Tensor, split: int | None = None) -> Tensor:
        """f, without the correction: (b, ...) to (b, d), always float32.

        With ``split`` the rows before it are the source's and those from it on the target's; without, all are of the
        domain ``self.side``.
        """
        if self.attention is None:
            return self.in_precision(lambda x: self.backbone(x, split), x)
        return self.in_precision(lambda x: self.attention(self.backbone(x), split), x)

    def features(self, x: Tensor) -> Tensor:
        f = self.plain_features(x)
        return f + self.correction(f) if self.side == "target" else f

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        smoothing = self.label_smoothing
        if self.learns_source(progress):
            with self.on("source"):
                logits = self.logits(source.x)
            return {"label": losses.cross_entropy(logits, source.y, label_smoothing=smoothing)}
        self.begin_to_adapt()
        n, xs, ys = len(source), source.x, source.y
        if (
            source.group is not None
        ):  # several sources come one after another, and an estimate compares neighbours
            order = torch.randperm(n, device=xs.device)
            xs, ys = xs[order], ys[order]
        f = self.plain_features(torch.cat([xs, target.x]), n)
        f_hat = f + self.correction(f)
        o_hat = self.head(f_hat)  # corrected, as the head is on the target's side
        with self.on("source"):
            o = self.head(f[:n])
        one = {"kernels": 1, "bandwidth": 1.68}
        shares = (torch.softmax(z, dim=1) for z in (o, o_hat[n:]))
        kept = torch.rand(self.num_classes, n, device=f.device) < self.rho / self.num_classes
        fs, s_hat, os, os_hat = f[:n], f_hat[:n], o, o_hat[:n]
        if self.moves == "correction":
            fs, os = fs.detach(), os.detach()
            s_hat = fs + self.correction(fs)
            os_hat = functional.linear(s_hat, self.head.weight.detach(), self.head.bias.detach())
            os_hat = os_hat + self.head.correction(os_hat)
        invariance = losses.source_invariance(fs, s_hat, ys, kept)
        invariance = invariance + losses.source_invariance(os, os_hat, ys, kept, **one)
        return {
            "label": losses.cross_entropy(o, ys, label_smoothing=smoothing),
            "mmd_features": self.alpha * losses.linear_mmd(f[:n], f_hat[n:]),
            "mmd_predictions": self.alpha * losses.linear_mmd(*shares, **one),
            "source_invariance": self.alpha * invariance,
            "entropy": self.beta * losses.entropy(o_hat[n:]),
        }

    def begin_to_adapt(self) -> None:
        """Once: let A_1 start from A_0. Always: keep the statistics of batch normalisation as they are."""
        if not self.adapting:
            if self.pretrain > 0:
                for layer in self.attention_layers():
                    layer.copy_source()
            self.adapting.fill_(True)
        for m in self.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.eval()

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Size of the correction on source features beside theirs, and the running p of each block."""
        size = self.correction(source).norm(dim=1).mean() / source.norm(dim=1).mean().clamp(min=1e-12)
        gates = {f"p_block_{i}": float(a.p) for i, a in enumerate(self.attention_layers(), start=1)}
        return {"source_correction": float(size), **gates}
