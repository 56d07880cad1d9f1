"""How far apart: distances between samples, and tests of whether a difference is more than chance.

Everything takes numpy arrays or tensors of any device, source first, with one example a row (images are flattened
where a metric is about vectors), and returns a float or a small result object. Memory grows linearly with the number of
examples. scikit-learn and scipy load on first use.
"""

# Imported here and now, not lazily: `mmd` and `a_distance` are names of a function and of the file that holds it, and
# the function has to win, in whatever order files are imported. The files themselves need torch and numpy alone.
from dakit.metrics.a_distance import ADistance, a_distance, a_distance_estimate
from dakit.metrics.alarms import alarm_threshold
from dakit.metrics.bound import Bound, ben_david_bound
from dakit.metrics.calibration import Reliability, brier, classwise_ece, ece, nll, reliability
from dakit.metrics.canonical import canonical_correlations, cca, pwcca, svcca
from dakit.metrics.channels import channel_divergence
from dakit.metrics.classifier_test import ClassifierTest, c2st
from dakit.metrics.concept import ConceptShift, concept_shift
from dakit.metrics.conditional import ClassDistances, class_distances, conditional_mmd, joint_mmd
from dakit.metrics.consistency import Consistency, consistency
from dakit.metrics.contributions import ClassContributions, class_contributions
from dakit.metrics.control_charts import Cusum, PageHinkley, chart_statistic
from dakit.metrics.covariate_weights import Weights, clip_weights, covariate_weights
from dakit.metrics.density_ratio import kliep_weights, ulsif_weights
from dakit.metrics.disparity import mdd_score
from dakit.metrics.distance_tests import permutation_test
from dakit.metrics.divergence import discrepancy, h_divergence
from dakit.metrics.domain_odds import classifier_weights, importance_weights
from dakit.metrics.energy import energy_distance, energy_test
from dakit.metrics.expected_accuracy import (
    average_confidence,
    average_thresholded_confidence,
    difference_of_confidences,
    generalised_disagreement,
)
from dakit.metrics.histograms import jensen_shannon
from dakit.metrics.icv_idd import icv, idd
from dakit.metrics.kernel_mean_matching import kmm_weights
from dakit.metrics.kernels import median_heuristic
from dakit.metrics.label_shift import bbse, rlls
from dakit.metrics.label_shift_detection import adjust_probabilities, label_shift_test
from dakit.metrics.label_shift_em import mlls
from dakit.metrics.label_shift_result import LabelShift, UnidentifiableWarning
from dakit.metrics.logit_scaling import (
    LogitScaling,
    bias_corrected_scaling,
    temperature_scaling,
    vector_scaling,
)
from dakit.metrics.mmd import mmd
from dakit.metrics.mmd_estimate import mmd_estimate
from dakit.metrics.moments import coral_distance, frechet_distance
from dakit.metrics.monitoring import DriftMonitor, DriftRun
from dakit.metrics.neighbourhoods import cluster_score, snd
from dakit.metrics.neighbours import knn_test, mst_test
from dakit.metrics.open_set import OpenSetScores, open_set_scores
from dakit.metrics.per_feature import FeatureTests, feature_tests
from dakit.metrics.polynomial import Polynomial
from dakit.metrics.power import PowerCurve, drawn_from, power_curve
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
from dakit.metrics.resampling import interval
from dakit.metrics.results import Estimate, TwoSampleTest
from dakit.metrics.reverse import reverse_validation
from dakit.metrics.scatter import between_within_ratio, scatter_by_class, within_class_scatter
from dakit.metrics.shifted_calibration import calibration_under_shift
from dakit.metrics.silhouettes import silhouette_by_class, silhouette_by_domain
from dakit.metrics.similarity import cka, procrustes
from dakit.metrics.sliced import MaxSliced, max_sliced_wasserstein, sliced_wasserstein
from dakit.metrics.summary import shift_numbers
from dakit.metrics.transferability import h_score, leep, logme, nce
from dakit.metrics.transport import sinkhorn_divergence, wasserstein
from dakit.metrics.two_sample import mmd_test
from dakit.metrics.weighted_risk import dev, effective_sample_size, iwcv
from dakit.metrics.where import FeatureRanking, Witness, rank_features, witness

__all__ = [
    "ADistance",
    "Bound",
    "ClassContributions",
    "ClassDistances",
    "ClassifierTest",
    "ConceptShift",
    "Consistency",
    "Cusum",
    "DriftMonitor",
    "DriftRun",
    "Estimate",
    "FeatureRanking",
    "FeatureTests",
    "LabelShift",
    "LogitScaling",
    "MaxSliced",
    "OpenSetScores",
    "PageHinkley",
    "Polynomial",
    "PowerCurve",
    "PublishedShift",
    "Reliability",
    "TwoSampleTest",
    "UnidentifiableWarning",
    "Weights",
    "Witness",
    "a_distance",
    "a_distance_estimate",
    "adjust_probabilities",
    "alarm_threshold",
    "average_confidence",
    "average_thresholded_confidence",
    "bbse",
    "ben_david_bound",
    "between_within_ratio",
    "bias_corrected_scaling",
    "bnm",
    "brier",
    "c2st",
    "calibration_under_shift",
    "canonical_correlations",
    "cca",
    "channel_divergence",
    "chart_statistic",
    "cka",
    "class_contributions",
    "class_distances",
    "class_diversity",
    "classifier_weights",
    "classwise_ece",
    "clip_weights",
    "cluster_score",
    "concept_shift",
    "conditional_mmd",
    "consistency",
    "coral_distance",
    "covariate_weights",
    "dev",
    "difference_of_confidences",
    "discrepancy",
    "drawn_from",
    "ece",
    "effective_sample_size",
    "energy_distance",
    "energy_test",
    "entropy_score",
    "feature_rank",
    "feature_tests",
    "frechet_distance",
    "generalised_disagreement",
    "h_divergence",
    "h_score",
    "icv",
    "idd",
    "importance_weights",
    "information_maximisation",
    "interval",
    "iwcv",
    "jensen_shannon",
    "joint_mmd",
    "kliep_weights",
    "kmm_weights",
    "knn_test",
    "label_shift_test",
    "leep",
    "logme",
    "max_sliced_wasserstein",
    "mdd_score",
    "median_heuristic",
    "mlls",
    "mmd",
    "mmd_estimate",
    "mmd_test",
    "mst_test",
    "nce",
    "nll",
    "open_set_scores",
    "permutation_test",
    "power_curve",
    "procrustes",
    "published_icv_idd",
    "pwcca",
    "rank_features",
    "rankme",
    "reliability",
    "reverse_validation",
    "rlls",
    "scatter_by_class",
    "shift_numbers",
    "silhouette_by_class",
    "silhouette_by_domain",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "snd",
    "source_accuracy",
    "source_risk",
    "svcca",
    "temperature_scaling",
    "ulsif_weights",
    "vector_scaling",
    "wasserstein",
    "within_class_scatter",
    "witness",
]
