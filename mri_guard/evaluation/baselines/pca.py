"""What the principal components of lesion-free slices do not explain."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import VaeConfig
from mri_guard.evaluation.baseline_parts.components import Components
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class Pca:
    """Residual of the nearest slice that the components make.

    Attributes:
        components: of lesion-free training slices.
        config: smoothing and scores as of the model beside it.
    """

    components: Components
    config: VaeConfig
    name: ClassVar[str] = "pca"

    @classmethod
    def fit(cls, material: Material) -> "Pca":
        """Components of four fifths of the patients, those that `pca_z` takes."""
        return cls(Components.of_slices(material.learn), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed residual, its size, as the map."""
        unusual = self.components.residual(as_seen(preprocessed, self.config))
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
