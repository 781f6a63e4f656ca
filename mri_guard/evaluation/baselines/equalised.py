"""A brightness threshold after histogram equalisation (Meissen et al. 2021, arXiv:2109.06540)."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from mri_guard.anomaly import VaeConfig, tensors
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import scored
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True)
class Equalised:
    """The brighter among the brain's own voxels, the more anomalous.

    Attributes:
        config: smoothing and scores as of the model beside it.
    """

    config: VaeConfig
    name: ClassVar[str] = "equalised"

    @classmethod
    def fit(cls, material: Material) -> "Equalised":
        """Nothing is learnt."""
        return cls(material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed share of the brain that is no brighter, in (0, 1], as the map."""
        image, brain = tensors(preprocessed, "cpu")
        ordered = image[brain].sort().values
        share = torch.searchsorted(ordered, image[brain], right=True) / len(ordered)
        values = torch.zeros_like(image).masked_scatter(brain, share)
        return scored(values[:, 0], preprocessed, self.config, both_signs=False)
