"""The VAE, its anomaly map and its scores."""

from mri_guard.anomaly.evidence import Evidence, Fusion, FusionConfig, evidence
from mri_guard.anomaly.model import ModelConfig, Vae, rates
from mri_guard.anomaly.residual import HealthyStatistics
from mri_guard.anomaly.scorer import VaeConfig, VaeScorer, slice_gap_mm, tensors

__all__ = [
    "Evidence",
    "Fusion",
    "FusionConfig",
    "HealthyStatistics",
    "ModelConfig",
    "Vae",
    "VaeConfig",
    "VaeScorer",
    "evidence",
    "rates",
    "slice_gap_mm",
    "tensors",
]
