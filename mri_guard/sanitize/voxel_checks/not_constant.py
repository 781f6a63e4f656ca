"""Is there an image?"""

from dataclasses import dataclass

from mri_guard.records import Rejection, Scan


@dataclass(frozen=True, slots=True)
class NotConstant:
    """Refuses an empty volume or one of a single value (`voxels-constant`)."""

    name: str = "not_constant"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        if scan.voxels.size == 0 or scan.voxels.min() == scan.voxels.max():
            return Rejection("voxels-constant", "one value everywhere; an image wanted")
        return None
