"""Where lesions were in the training scans, without a look at the image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.anomaly import VaeConfig
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.relative_position import relative_position
from mri_guard.evaluation.baseline_parts.score import spread_over_slices
from mri_guard.records import Anomaly, Preprocessed

BANDWIDTH = 0.05
"""Of the Gaussian kernel, share of the brain's extent."""


@dataclass(frozen=True, slots=True)
class Position:
    """The share of training scans that had a lesion at this height of the brain.

    Attributes:
        prevalence: of lesions, by relative position along the brain, evenly spaced over 0..1.
        config: for the slices that get a score.
    """

    prevalence: tuple[float, ...]
    config: VaeConfig
    name: ClassVar[str] = "position"

    @classmethod
    def fit(cls, material: Material) -> "Position":
        """Kernel estimate over the training slices, each scan counting alike."""
        grid = np.linspace(0, 1, 101)
        hits, all_ = np.zeros_like(grid), np.zeros_like(grid)
        for scan in material.scans:
            position = relative_position(scan.preprocessed.brain)
            inside = np.isfinite(position)
            kernel = np.exp(-0.5 * ((grid[:, None] - position[inside]) / BANDWIDTH) ** 2)
            touched = np.asarray(scan.lesion.any(axis=(0, 1)))
            hits += kernel @ touched[inside] / inside.sum()
            all_ += kernel.sum(1) / inside.sum()
        return cls(tuple((hits / all_).tolist()), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """The slice's prevalence in each of its voxels as the map."""
        position = relative_position(preprocessed.brain)
        grid = np.linspace(0, 1, len(self.prevalence))
        by_slice = np.interp(position, grid, self.prevalence)
        return spread_over_slices(by_slice, preprocessed, self.config)
