"""A brightness threshold in units that the brain's own outliers do not set."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import VaeConfig, tensors
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import scored
from mri_guard.records import Anomaly, Preprocessed

SMALLEST_SPREAD = 1e-3
"""Normalised intensity; a brain of one intensity has no deviations."""


@dataclass(frozen=True, slots=True)
class RobustZ:
    """The further above the brain's median, the more anomalous.

    Attributes:
        config: smoothing and scores as of the model beside it.
    """

    config: VaeConfig
    name: ClassVar[str] = "robust_z"

    @classmethod
    def fit(cls, material: Material) -> "RobustZ":
        """Nothing is learnt."""
        return cls(material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed distance from the median, in median absolute deviations, as the map."""
        image, brain = tensors(preprocessed, "cpu")
        median = image[brain].median()
        spread = (image[brain] - median).abs().median().clamp_min(SMALLEST_SPREAD)
        values = (image[:, 0] - median) / spread * brain[:, 0]
        return scored(values, preprocessed, self.config, both_signs=False)
