"""Is the volume as large as a head, and cut into slices enough?"""

from dataclasses import dataclass

from mri_guard.records import Rejection, Scan


@dataclass(frozen=True, slots=True)
class HeadExtent:
    """Refuses volumes that cannot hold a head (`extent-not-a-head`) or are too coarse.

    Each side between `min_mm` and `max_mm`, each with at least `min_slices` voxels
    (`too-few-slices`), and no voxel longer than `max_spacing_mm` (`too-coarse`).
    """

    min_mm: float = 90.0
    max_mm: float = 600.0
    min_slices: int = 8
    max_spacing_mm: float = 12.0
    name: str = "head_extent"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        spacing = scan.header.spacing_mm
        sides = [length * mm for length, mm in zip(scan.voxels.shape, spacing, strict=True)]
        shown = " x ".join(f"{side:.0f}" for side in sides)
        if min(scan.voxels.shape) < self.min_slices:
            return Rejection(
                "too-few-slices", f"{min(scan.voxels.shape)} seen; {self.min_slices} wanted"
            )
        if max(spacing) > self.max_spacing_mm:
            return Rejection(
                "too-coarse", f"{max(spacing):.1f} mm apart; {self.max_spacing_mm:.0f} allowed"
            )
        if min(sides) < self.min_mm or max(sides) > self.max_mm:
            return Rejection(
                "extent-not-a-head",
                f"{shown} mm seen; sides of {self.min_mm:.0f} to {self.max_mm:.0f} mm wanted",
            )
        return None
