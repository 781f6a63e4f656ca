"""The same distances through an encoder that has learnt nothing."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import Vae, VaeConfig
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.neighbours import Memory
from mri_guard.evaluation.baseline_parts.networks import seeded
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class KnnUntrained:
    """Distance to the nearest features of lesion-free slices, through random weights.

    Attributes:
        memory: of those features.
        config: smoothing and scores as of the model beside it.
    """

    memory: Memory
    config: VaeConfig
    name: ClassVar[str] = "knn_untrained"

    @classmethod
    def fit(cls, material: Material) -> "KnnUntrained":
        """Features of all of the train split, through weights drawn from the seed."""
        encoder = seeded(
            lambda: Vae(material.config.model), material.seed, "baselines", "untrained"
        )
        return cls(Memory.fit(encoder, material.subjects, material.seed), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed distance as the map."""
        far = self.memory.distances(as_seen(preprocessed, self.config))
        return scored_box(far, preprocessed, self.config, both_signs=False)
