"""How far apart: distances between samples, and tests of whether a difference is more than chance.

Everything takes numpy arrays or tensors of any device, source first, with one example a row (images are flattened
where a metric is about vectors), and returns a float or a small result object. Memory grows linearly with the number of
examples. scikit-learn and scipy load on first use.
"""

# Imported here and now, not lazily: `mmd` and `a_distance` are names of a function and of the file that holds it, and
# the function has to win, in whatever order files are imported. The files themselves need torch and numpy alone.
from dakit.metrics.a_distance import ADistance, a_distance, a_distance_estimate
from dakit.metrics.canonical import canonical_correlations, cca, pwcca, svcca
from dakit.metrics.consistency import Consistency, consistency
from dakit.metrics.disparity import mdd_score
from dakit.metrics.icv_idd import icv, idd
from dakit.metrics.kernels import median_heuristic
from dakit.metrics.mmd import mmd
from dakit.metrics.moments import coral_distance, frechet_distance
from dakit.metrics.neighbourhoods import cluster_score, snd
from dakit.metrics.predictions import (
    bnm,
    class_diversity,
    entropy_score,
    information_maximisation,
    source_accuracy,
    source_risk,
)
from dakit.metrics.published import PublishedShift, published_icv_idd
from dakit.metrics.rank import feature_rank, rankme
from dakit.metrics.results import Estimate, TwoSampleTest
from dakit.metrics.reverse import reverse_validation
from dakit.metrics.scatter import between_within_ratio, scatter_by_class, within_class_scatter
from dakit.metrics.silhouettes import silhouette_by_class, silhouette_by_domain
from dakit.metrics.similarity import cka, procrustes
from dakit.metrics.summary import shift_numbers
from dakit.metrics.transferability import h_score, leep, logme, nce
from dakit.metrics.two_sample import mmd_test
from dakit.metrics.weighted_risk import dev, effective_sample_size, importance_weights, iwcv

__all__ = [
    "ADistance",
    "Consistency",
    "Estimate",
    "PublishedShift",
    "TwoSampleTest",
    "a_distance",
    "a_distance_estimate",
    "between_within_ratio",
    "bnm",
    "canonical_correlations",
    "cca",
    "cka",
    "class_diversity",
    "cluster_score",
    "consistency",
    "coral_distance",
    "dev",
    "effective_sample_size",
    "entropy_score",
    "feature_rank",
    "frechet_distance",
    "h_score",
    "icv",
    "idd",
    "importance_weights",
    "information_maximisation",
    "iwcv",
    "leep",
    "logme",
    "mdd_score",
    "median_heuristic",
    "mmd",
    "mmd_test",
    "nce",
    "procrustes",
    "published_icv_idd",
    "pwcca",
    "rankme",
    "reverse_validation",
    "scatter_by_class",
    "shift_numbers",
    "silhouette_by_class",
    "silhouette_by_domain",
    "snd",
    "source_accuracy",
    "source_risk",
    "svcca",
    "within_class_scatter",
]
