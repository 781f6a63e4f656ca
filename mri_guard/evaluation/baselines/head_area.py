"""How much head a slice shows, without a look at what is in it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.anomaly import VaeConfig
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import spread_over_slices
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True)
class HeadArea:
    """The larger the head in a slice, the more anomalous.

    Attributes:
        config: smoothing and scores as of the model beside it.
    """

    config: VaeConfig
    name: ClassVar[str] = "head_area"

    @classmethod
    def fit(cls, material: Material) -> "HeadArea":
        """Nothing is learnt."""
        return cls(material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """The head's area, pixels, in each voxel of the slice as the map."""
        area = preprocessed.head.sum(axis=(0, 1)).astype(np.float64)
        return spread_over_slices(area, preprocessed, self.config)
