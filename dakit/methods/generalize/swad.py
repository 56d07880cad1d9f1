"""Stochastic weight averaging, densely (SWAD): the mean of all weights along the floor of a valley of the loss.

Weights in a flat minimum are less harmed when the domain changes, and the mean of many weights of one training lies
flatter than each of them. The weights of every step are averaged, from when the loss on held-out source examples
stops falling until it rises again. The training itself is empirical risk minimisation and goes on undisturbed; the
mean is what features and logits are taken with in evaluation.

Setting: several labelled sources (one will do), no target: a domain that nobody has seen (domain generalisation).

Assumes: the steps along the valley stay in one basin, so that their mean is a good network, too, and the loss of
held-out source examples shows when overfitting sets in.

Objective: weights θ_t of step t, logits z of shape (b, k), held-out examples H,

    θ_{t+1} = θ_t - step on mean over the batch without H of CE(z, y),
    θ_SWAD = mean of θ_t over t_s ≤ t ≤ t_e.

The steps form windows of ``every`` steps, E_i is the mean loss on H in window i. The valley starts at the first
window that is the lowest of itself and the N_s - 1 that follow; with l = r times the mean of these N_s, it ends
before the first N_e windows in a row whose E_i all exceed l. Evaluation before the start takes the mean of the last
full window.

Fails when: the learning rate falls to 0 (the weights then no longer move and their mean adds nothing: keep it
constant), training is too short for a valley of several windows to be found, or too few examples are held out to see
it.

Paper: Cha, Chun, Lee, Cho, Park, Lee, Park, SWAD: Domain Generalization by Seeking Flat Minima, NeurIPS 2021,
arXiv:2102.08604. N_s, N_e, r and the rule for the valley (Algorithm 1, with windows for iterations) are the paper's.
It differs in how it validates: there 20 % of each source is split off and looked at in evaluation mode at the end of
each window. Here about that share of the rows, chosen by a hash of their number and never trained on, is read along
with each batch, in training mode and under the weights of that step: no pass over the data and no hook after a step
is needed. The weights after the very last step, and those of a last incomplete window, are not averaged. Statistics
of batch normalisation are those of the training at the end of the last window looked at, not estimated anew for the
mean. Memory: N_e + 3 further copies of the weights.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["SWAD"]


class SWAD(Method):
    """Dense stochastic weight averaging along a valley of the loss.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    every : int
        Steps in a window.
    patience : int
        N_s, windows that must not be lower than the first of them for the valley to start.
    overfit_patience : int
        N_e, windows in a row above the limit with which it ends.
    tolerance : float, at least 1
        r, the limit as a multiple of the mean loss at the start.
    held_out : float in (0, 1)
        Share of the rows that are never trained on and tell the valley.
    label_smoothing : float in [0, 1)
    """

    uses_target = False

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        every: int = 50,
        patience: int = 3,
        overfit_patience: int = 6,
        tolerance: float = 1.3,
        held_out: float = 0.2,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.every, self.patience = check_int("every", every, 1), check_int("patience", patience, 2)
        self.overfit_patience = check_int("overfit_patience", overfit_patience, 1)
        self.tolerance = check_real("tolerance", tolerance, low=1.0)
        self.held_out = check_real("held_out", held_out, high=0.99, open_low=True)
        self.label_smoothing = label_smoothing
        self.moving = [p.requires_grad for m in (backbone, self.head) for p in m.parameters()]
        self.averaged = copy.deepcopy(nn.ModuleList([backbone, self.head])).requires_grad_(False)
        theta = self.flat(backbone, self.head)
        kept = max(self.patience, self.overfit_patience)
        # Of the window at hand: its mean weights, and sum and number of its held-out losses. Of the last full ones, the
        # newest last: their mean weights, and E_i. And the limit l.
        self.register_buffer("window", torch.zeros_like(theta))
        self.register_buffer("held", torch.zeros(2))
        self.register_buffer("windows", theta.new_zeros(kept, len(theta)))
        self.register_buffer("heights", torch.full((kept,), torch.inf))
        self.register_buffer("limit", torch.tensor(torch.inf))
        # Kept on the host, so that a GPU need not be asked at every step; saved as extra state.
        self.steps, self.inside, self.over = 0, 0, False

    def get_extra_state(self) -> Tensor:
        """Steps seen, windows in the mean (0 before the valley), whether the valley has ended."""
        return torch.tensor([self.steps, self.inside, int(self.over)])

    def set_extra_state(self, state: Tensor) -> None:
        self.steps, self.inside, over = state.tolist()
        self.over = bool(over)

    def begin(self) -> None:
        self.steps, self.inside, self.over = 0, 0, False
        self.heights.fill_(torch.inf)

    # -- learning -------------------------------------------------------------------------------------------

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        logits = self.head(super().features(source.x))
        each = functional.cross_entropy(
            logits, source.y, label_smoothing=self.label_smoothing, reduction="none"
        )
        out = is_held_out(source.index, self.held_out).to(each.dtype)
        self.follow(torch.stack([(each.detach() * out).sum(), out.sum()]))
        return {"label": (each * (1 - out)).sum() / (1 - out).sum().clamp(min=1)}

    @torch.no_grad()
    def follow(self, held: Tensor) -> None:
        """Take the weights of this step, and sum and number of its held-out losses, into the window at hand."""
        if self.over:
            return
        at = self.steps % self.every
        self.window.mul_(at / (at + 1)).add_(self.flat(self.backbone, self.head) / (at + 1))
        self.held.copy_(self.held * (at > 0) + held)
        self.steps += 1
        if at + 1 == self.every:
            self.close()

    def close(self) -> None:
        """At the end of a window: find out whether a valley begins, goes on or ends, and set the mean accordingly."""
        height = torch.where(self.held[1] > 0, self.held[0] / self.held[1], torch.inf)
        self.heights.copy_(torch.cat([self.heights[1:], height[None]]))
        self.windows.copy_(torch.cat([self.windows[1:], self.window[None]]))
        heights = self.heights.tolist()
        recent, mean = heights[-self.patience :], self.flat(*self.averaged)
        if not self.inside:
            mean = self.window
            if recent[0] == min(recent) and recent[0] < float("inf"):
                self.inside = self.patience
                self.limit.fill_(self.tolerance * sum(recent) / self.patience)
                mean = self.windows[-self.patience :].mean(0)
        elif min(heights[-self.overfit_patience :]) > self.limit.item():
            risen = self.overfit_patience - 1  # windows above the limit that are in the mean already
            last = self.windows[-self.overfit_patience : -1].sum(0)
            mean = (self.inside * mean - last) / (self.inside - risen)
            self.inside, self.over = self.inside - risen, True
        else:
            self.inside += 1
            mean = mean + (self.window - mean) / self.inside
        self.set_mean(mean)

    # -- the mean -------------------------------------------------------------------------------------------

    def trained(self, *modules: nn.Module) -> list[Tensor]:
        """Those of a backbone's and a head's parameters that are trained."""
        everything = (p for m in modules for p in m.parameters())
        return [p for p, moves in zip(everything, self.moving) if moves]

    def flat(self, *modules: nn.Module) -> Tensor:
        """The trained weights of a backbone and a head as one vector."""
        return torch.cat([p.detach().reshape(-1) for p in self.trained(*modules)])

    def set_mean(self, mean: Tensor) -> None:
        """Evaluate with these weights, and with the statistics of batch normalisation as they are now."""
        targets = self.trained(*self.averaged)
        for p, values in zip(targets, mean.split([p.numel() for p in targets])):
            p.copy_(values.view(p.shape))
        for mine, now in zip(self.averaged[0].buffers(), self.backbone.buffers()):
            mine.copy_(now)

    @property
    def averages(self) -> bool:
        """Whether features and logits are taken with the mean: in evaluation, once a window is full."""
        return not self.training and self.steps >= self.every

    def features(self, x: Tensor) -> Tensor:
        return self.averaged[0](x).float() if self.averages else super().features(x)

    def logits(self, x: Tensor) -> Tensor:
        return (self.averaged[1] if self.averages else self.head)(self.features(x))

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Windows in the mean; 0 until the valley is found."""
        return {"windows_in_mean": float(self.inside)}


def is_held_out(index: Tensor, share: float) -> Tensor:
    """Which rows of a domain are held out: about ``share`` of any of them, by a hash of their number; bool, (b,)."""
    h = ((index + 1) * 2654435761) % 2**32
    h = ((h ^ (h >> 15)) * 2246822519) % 2**32
    return (h ^ (h >> 13)) < int(share * 2**32)
