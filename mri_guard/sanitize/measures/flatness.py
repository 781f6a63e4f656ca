"""How little there is inside: a phantom, a bottle or a mask has one intensity, a brain has not."""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look

LEAST_VOXELS = 200


@dataclass(frozen=True, slots=True)
class Flatness:
    """-ln of the interquartile range of ln intensity inside the head, its rim left out."""

    name: str = "flatness"
    reason: str = "not-like-training"
    resolution: float = 0.45

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        inside = look.small[look.inner]
        if inside.size < LEAST_VOXELS:
            return None
        low, high = np.quantile(np.log(np.maximum(inside, 0.05 * look.signal)), (0.25, 0.75))
        return float(-np.log(max(float(high - low), 1e-3)))
