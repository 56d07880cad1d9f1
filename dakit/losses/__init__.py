"""What is minimised: pure, differentiable functions of tensors, without state.

Each returns a scalar tensor and takes one example a row. Shapes are checked; values are not searched for NaN, for that
would make a GPU wait at every step.
"""

# Not lazily: `mmd`, `coral` and others name a function and its file, and the function has to win.
from dakit.losses.adversarial import domain_adversarial
from dakit.losses.central_moments import cmd
from dakit.losses.classification import cross_entropy, entropy, marginal_entropy
from dakit.losses.classifier_discrepancy import classifier_discrepancy
from dakit.losses.conditioning import certainty, multilinear, randomised_multilinear
from dakit.losses.confusion import class_confusion
from dakit.losses.contrastive import nt_xent, supcon
from dakit.losses.coral import coral
from dakit.losses.feature_norm import hard_feature_norm, stepwise_feature_norm
from dakit.losses.higher_order_moments import higher_order_moments
from dakit.losses.invariance import gradient_variance, irm_penalty
from dakit.losses.joint_mmd import joint_mmd
from dakit.losses.joint_transport import joint_transport_costs
from dakit.losses.linear_mmd import linear_mmd
from dakit.losses.local_mmd import local_mmd
from dakit.losses.margin_disparity import margin_disparity
from dakit.losses.mmd import median_bandwidth, mmd
from dakit.losses.open_set import entropy_separation, neighbourhood_entropy, unknown_boundary
from dakit.losses.sliced_wasserstein import sliced_wasserstein_discrepancy
from dakit.losses.source_invariance import source_invariance
from dakit.losses.source_moments import moment_distances, source_moment_distance
from dakit.losses.spectral import batch_spectral

__all__ = [
    "batch_spectral",
    "certainty",
    "class_confusion",
    "classifier_discrepancy",
    "cmd",
    "coral",
    "cross_entropy",
    "domain_adversarial",
    "entropy",
    "entropy_separation",
    "gradient_variance",
    "hard_feature_norm",
    "higher_order_moments",
    "irm_penalty",
    "joint_mmd",
    "joint_transport_costs",
    "linear_mmd",
    "local_mmd",
    "margin_disparity",
    "marginal_entropy",
    "median_bandwidth",
    "mmd",
    "moment_distances",
    "multilinear",
    "neighbourhood_entropy",
    "nt_xent",
    "randomised_multilinear",
    "sliced_wasserstein_discrepancy",
    "source_invariance",
    "source_moment_distance",
    "stepwise_feature_norm",
    "supcon",
    "unknown_boundary",
]
