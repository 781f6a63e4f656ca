"""Whether copies of the head lie beside it along one axis.

The percent signal ghosting of the ACR phantom test (American College of Radiology, Large and
Medium Phantom Test Guidance for the ACR MRI Accreditation Program, 2022): ghosts lie along phase
encoding, so that the air before and behind the head is brighter than the air on both sides of it,
or the reverse.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look

LEAST_VOXELS = 100


@dataclass(frozen=True, slots=True)
class Ghosting:
    """|mean of air along one axis - mean of air along the other| over the head's signal."""

    name: str = "ghosting"
    reason: str = "quality-ghosting"
    resolution: float = 0.003

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        beside = [look.air & look.head.any(axis=axis, keepdims=True) for axis in (0, 1)]
        one, other = beside[0] & ~beside[1], beside[1] & ~beside[0]
        if min(np.count_nonzero(one), np.count_nonzero(other)) < LEAST_VOXELS:
            return None
        difference = float(look.small[one].mean()) - float(look.small[other].mean())
        return abs(difference) / look.signal
