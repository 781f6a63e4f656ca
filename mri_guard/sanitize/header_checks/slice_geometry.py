"""Does every frame say where it lies?"""

from dataclasses import dataclass

from mri_guard.errors import SeriesError
from mri_guard.readers.frames import frames_of
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class SliceGeometry:
    """Refuses frames without a position, orientation and pixel spacing that make sense.

    Image Position and Orientation (Patient) (0020,0032/0037) and Pixel Spacing (0028,0030): finite,
    positive, orthonormal. Reasons: `geometry-missing`, `geometry-not-sane`, `frame-count`,
    `mosaic`.
    """

    name: str = "slice_geometry"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if instance.dataset is None:
            return Rejection("geometry-missing", "no header")
        try:
            frames_of(instance.dataset)
        except SeriesError as error:
            return Rejection(error.reason, error.detail)
        return None
