"""What the principal components do not explain, against what they never do."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.components import Components
from mri_guard.evaluation.baseline_parts.material import Material, healthy
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class PcaZ:
    """Residual of the components, in healthy spreads at that place.

    Attributes:
        components: of lesion-free training slices.
        statistics: of the residual in lesion-free slices of other patients.
        config: smoothing and scores as of the model beside it.
    """

    components: Components
    statistics: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "pca_z"

    @classmethod
    def fit(cls, material: Material) -> "PcaZ":
        """Components of four fifths of the patients, statistics of the others."""
        components = Components.of_slices(material.learn)
        statistics = healthy(material.hold_out, components.residual)
        return cls(components, statistics, material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the residual as the map."""
        subject = as_seen(preprocessed, self.config)
        unusual = standardised(self.components.residual(subject), self.statistics, subject)
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
