"""What is rare at its place, one voxel at a time."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.material import Material, healthy, seen
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """The intensity's distance from the mean of training scans at that place, in their spreads.

    Attributes:
        statistics: of the intensity of lesion-free training slices, in units of `View`.
        config: smoothing and scores as of the model beside it.
    """

    statistics: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "atlas"

    @classmethod
    def fit(cls, material: Material) -> "Atlas":
        """Statistics of all of the train split: nothing else is fitted."""
        return cls(healthy(material.subjects, seen), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the intensity as the map."""
        subject = as_seen(preprocessed, self.config)
        unusual = standardised(seen(subject), self.statistics, subject)
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
