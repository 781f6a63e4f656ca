"""One perturbation detector a file."""

from mri_guard.perturbation.detectors.feature_squeezing import FeatureSqueezing

DETECTORS = (FeatureSqueezing,)
"""Every detector, in running order."""

__all__ = ["DETECTORS", "FeatureSqueezing"]
