"""How far the local features of the model's own encoder lie from lesion-free ones."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import VaeConfig
from mri_guard.errors import SettingsError
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.neighbours import Memory
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class KnnEncoder:
    """Distance to the nearest features of lesion-free slices, through the bundle's encoder.

    Attributes:
        memory: of those features.
        config: smoothing and scores as of the model beside it.
    """

    memory: Memory
    config: VaeConfig
    name: ClassVar[str] = "knn_encoder"

    @classmethod
    def fit(cls, material: Material) -> "KnnEncoder":
        """Features of all of the train split; needs `material.encoder`."""
        if material.encoder is None:
            raise SettingsError("the bundle's scorer has no encoder to take features of")
        memory = Memory.fit(material.encoder, material.subjects, material.seed)
        return cls(memory, material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed distance as the map."""
        far = self.memory.distances(as_seen(preprocessed, self.config))
        return scored_box(far, preprocessed, self.config, both_signs=False)
