"""What one side of the brain has and the other has not."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.left_right import asymmetry
from mri_guard.evaluation.baseline_parts.material import Material, healthy
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class Asymmetry:
    """Left-right difference across the brain's plane of symmetry, in healthy spreads at that place.

    Attributes:
        statistics: of the difference in lesion-free training slices.
        config: smoothing and scores as of the model beside it.
    """

    statistics: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "asymmetry"

    @classmethod
    def fit(cls, material: Material) -> "Asymmetry":
        """Statistics of all of the train split: nothing else is fitted."""
        return cls(healthy(material.subjects, asymmetry), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the difference as the map."""
        subject = as_seen(preprocessed, self.config)
        unusual = standardised(asymmetry(subject), self.statistics, subject)
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
