"""Does the size that the header claims fit the bytes that are there, and our memory?"""

from dataclasses import dataclass

from mri_guard.readers.values import integer
from mri_guard.records import Flaw, InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class PixelGeometry:
    """Refuses by arithmetic alone, before anything is allocated.

    Rows (0028,0010) x Columns (0028,0011) x Number of Frames (0028,0008) x Samples per Pixel x Bits
    Allocated, against the length of Pixel Data (native) and against a budget (all).
    Reasons: `matrix-not-sane`, `too-many-voxels`, `pixel-data-missing`, `pixel-data-short`,
    `pixel-data-long`.
    """

    max_bytes: int = 2 * 2**30
    max_side: int = 4096
    name: str = "pixel_geometry"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        header = instance.dataset
        rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
        said = integer(header, "NumberOfFrames")
        frames = 1 if said is None else said
        samples = integer(header, "SamplesPerPixel") or 1
        bits = integer(header, "BitsAllocated") or 0
        if not (0 < rows <= self.max_side and 0 < columns <= self.max_side and frames > 0):
            return Rejection(
                "matrix-not-sane",
                f"{rows} x {columns} x {frames} seen; sides of 1 to {self.max_side} wanted",
            )
        claimed = rows * columns * frames * samples * 4
        if claimed > self.max_bytes:
            return Rejection(
                "too-many-voxels",
                f"{claimed / 2**30:.1f} GiB claimed; {self.max_bytes / 2**30:.1f} allowed",
            )
        if not instance.pixel_bytes:
            return Rejection("pixel-data-missing", "no Pixel Data (7FE0,0010)")
        expected = (rows * columns * frames * samples * bits + 7) // 8
        if not instance.encapsulated and instance.pixel_bytes not in (
            expected,
            expected + expected % 2,
        ):
            return Rejection(
                "pixel-data-short" if instance.pixel_bytes < expected else "pixel-data-long",
                f"{instance.pixel_bytes} bytes seen; {expected} wanted",
            )
        if problem := instance.structure.first(Flaw.PIXELS_BEYOND_END):
            return Rejection(
                problem.flaw.value, f"{problem} claims more than {instance.pixel_bytes}"
            )
        return None
