"""How far apart: distances between samples, and tests of whether a difference is more than chance.

Everything takes numpy arrays or tensors of any device, source first, with one example a row (images are flattened
where a metric is about vectors), and returns a float or a small result object. Memory grows linearly with the number of
examples. scikit-learn and scipy load on first use.
"""

# Imported here and now, not lazily: `mmd` and `a_distance` are names of a function and of the file that holds it, and
# the function has to win, in whatever order files are imported. The files themselves need torch and numpy alone.
from dakit.metrics.a_distance import ADistance, a_distance, a_distance_estimate
from dakit.metrics.icv_idd import icv, idd
from dakit.metrics.kernels import median_heuristic
from dakit.metrics.mmd import mmd
from dakit.metrics.moments import coral_distance, frechet_distance
from dakit.metrics.results import Estimate, TwoSampleTest
from dakit.metrics.summary import shift_numbers
from dakit.metrics.two_sample import mmd_test

__all__ = [
    "ADistance",
    "Estimate",
    "TwoSampleTest",
    "a_distance",
    "a_distance_estimate",
    "coral_distance",
    "frechet_distance",
    "icv",
    "idd",
    "median_heuristic",
    "mmd",
    "mmd_test",
    "shift_numbers",
]
