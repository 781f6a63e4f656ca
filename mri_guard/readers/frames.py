"""Where each frame of an instance lies, for single-frame MR and Enhanced multi-frame MR alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from mri_guard.errors import SeriesError
from mri_guard.readers.values import integer, items, number, numbers, text

ORIENTATION_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between slices of one stack, and from unit length."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice image and its place in the patient (PS3.3 sections C.7.6.2.1.1, C.7.6.16.2).

    Attributes:
        position: Image Position (Patient) (0020,0032), mm, LPS.
        orientation: Image Orientation (Patient) (0020,0037): along a row, then along a column.
        spacing: Pixel Spacing (0028,0030), mm: between rows, then between columns.
        slope: Rescale Slope (0028,1053).
        intercept: Rescale Intercept (0028,1052).
        volume: what tells volumes of one series apart: echo time, time point, b-value, part of
            the complex image.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    slope: float
    intercept: float
    volume: tuple[object, ...]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the slice, LPS: along a row x along a column."""
        normal: NDArray[np.float64] = np.cross(self.orientation[:3], self.orientation[3:])
        return normal

    def same_plane(self, other: "Frame") -> bool:
        """Whether both slices could be neighbours in one stack."""
        return bool(
            np.allclose(self.orientation, other.orientation, rtol=0, atol=ORIENTATION_TOLERANCE)
            and np.allclose(self.spacing, other.spacing, rtol=1e-3, atol=0)
        )


def frames_of(dataset: Dataset) -> tuple[Frame, ...]:
    """The frames of an instance, in stored order; one for single-frame MR.

    Raises:
        SeriesError: `geometry-missing`, `geometry-not-sane`, `frame-count`, `mosaic`.
    """
    if "MOSAIC" in text(dataset, "ImageType").split("\\"):
        raise SeriesError("mosaic", "many slices tiled into one image; one image a slice wanted")
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    count = integer(dataset, "NumberOfFrames") or 1
    if not groups:
        if count > 1:
            raise SeriesError("frame-count", f"{count} frames without a place for each")
        return (_frame(dataset, (dataset,)),)
    if len(groups) != count:
        raise SeriesError("frame-count", f"{count} frames declared, {len(groups)} described")
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    return tuple(_frame(dataset, (group, *shared)) for group in groups)


def _frame(dataset: Dataset, groups: Sequence[Dataset]) -> Frame:
    enhanced = groups[0] is not dataset

    def macro(sequence: str) -> Dataset | None:
        """The functional group, of the frame or shared; the instance itself if single-frame."""
        if not enhanced:
            return dataset
        return next((found[0] for group in groups if (found := items(group, sequence))), None)

    position = numbers(macro("PlanePositionSequence"), "ImagePositionPatient")
    orientation = numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient")
    spacing = numbers(macro("PixelMeasuresSequence"), "PixelSpacing")
    _require_sane(position, orientation, spacing)
    rescale = macro("PixelValueTransformationSequence")
    slope, intercept = number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
    kind = text(
        macro("MRImageFrameTypeSequence"), "ComplexImageComponent" if enhanced else "ImageType"
    )
    volume = (
        number(macro("MREchoSequence"), "EffectiveEchoTime" if enhanced else "EchoTime"),
        integer(
            macro("FrameContentSequence"),
            "TemporalPositionIndex" if enhanced else "TemporalPositionIdentifier",
        ),
        number(macro("MRDiffusionSequence"), "DiffusionBValue"),
        kind,
    )
    return Frame(
        position,
        orientation,
        spacing,
        1.0 if slope is None else slope,
        0.0 if intercept is None else intercept,
        volume,
    )


def _require_sane(
    position: tuple[float, ...], orientation: tuple[float, ...], spacing: tuple[float, ...]
) -> None:
    for name, found, wanted in (
        ("Image Position (Patient)", position, 3),
        ("Image Orientation (Patient)", orientation, 6),
        ("Pixel Spacing", spacing, 2),
    ):
        if len(found) != wanted:
            raise SeriesError(
                "geometry-missing", f"{name}: {len(found)} finite numbers seen, {wanted} wanted"
            )
    if min(spacing) <= 0 or max(spacing) > 100:
        raise SeriesError(
            "geometry-not-sane", f"Pixel Spacing {spacing} mm; above 0 and at most 100 wanted"
        )
    if max(map(abs, position)) > 1e5:
        raise SeriesError("geometry-not-sane", "a slice lies more than 100 m from the origin")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    off = max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
    if off > 2 * ORIENTATION_TOLERANCE:
        raise SeriesError(
            "geometry-not-sane", f"direction cosines are off by {off:.3g}; unit and square wanted"
        )
