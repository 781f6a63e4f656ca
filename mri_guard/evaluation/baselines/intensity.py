"""The threshold that VAEs lose to (Meissen et al. 2021, arXiv:2109.06540), on plain intensity."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import VaeConfig, tensors
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import scored
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True)
class Intensity:
    """The brighter, the more anomalous.

    Attributes:
        config: smoothing and scores as of the model beside it.
    """

    config: VaeConfig
    name: ClassVar[str] = "intensity"

    @classmethod
    def fit(cls, material: Material) -> "Intensity":
        """Nothing is learnt."""
        return cls(material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed normalised intensity as the map."""
        image, _ = tensors(preprocessed, "cpu")
        return scored(image[:, 0], preprocessed, self.config, both_signs=False)
