"""Atlas and asymmetry together: the strongest of what needs no network."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.left_right import asymmetry
from mri_guard.evaluation.baseline_parts.material import Material, healthy, seen
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class AtlasAsymmetry:
    """Mean of the z of the intensity and the z of the left-right difference, each at its place.

    Attributes:
        intensity: of lesion-free training slices, in units of `View`.
        difference: across the plane of symmetry, of the same.
        config: smoothing and scores as of the model beside it.
    """

    intensity: HealthyStatistics
    difference: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "atlas_asymmetry"

    @classmethod
    def fit(cls, material: Material) -> "AtlasAsymmetry":
        """Statistics of all of the train split: nothing else is fitted."""
        return cls(
            healthy(material.subjects, seen),
            healthy(material.subjects, asymmetry),
            material.config,
        )

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |mean z| as the map; a lesion's ghost on the other side has half its height."""
        subject = as_seen(preprocessed, self.config)
        rare = standardised(seen(subject), self.intensity, subject)
        one_sided = standardised(asymmetry(subject), self.difference, subject)
        unusual = (rare + one_sided) / 2
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
