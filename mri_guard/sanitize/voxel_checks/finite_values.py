"""Is every voxel a number?"""

from dataclasses import dataclass

import numpy as np

from mri_guard.records import Rejection, Scan


@dataclass(frozen=True, slots=True)
class FiniteValues:
    """Refuses NaN and infinite voxels (`voxels-not-finite`)."""

    name: str = "finite_values"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        wrong = int(scan.voxels.size - np.count_nonzero(np.isfinite(scan.voxels)))
        if wrong or not np.isfinite(scan.affine).all():
            return Rejection(
                "voxels-not-finite", f"{wrong} of {scan.voxels.size} voxels are NaN or infinite"
            )
        return None
