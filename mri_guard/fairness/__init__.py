"""Whether a detector serves some people worse than others: groups, figures, gaps, the worst of all.

People come in groups, as slices of people are called here: a slice is a plane of an image.
"""

from mri_guard.fairness.figures import Cohort, Estimate, group_figures
from mri_guard.fairness.gaps import SHARES, Gap, Rate, RateGaps, rate_gaps, strata_of
from mri_guard.fairness.slices import UNKNOWN, Groups, banded
from mri_guard.fairness.worst_slice import WorstSlice, worst_slice

__all__ = [
    "SHARES",
    "UNKNOWN",
    "Cohort",
    "Estimate",
    "Gap",
    "Groups",
    "Rate",
    "RateGaps",
    "WorstSlice",
    "banded",
    "group_figures",
    "rate_gaps",
    "strata_of",
    "worst_slice",
]
