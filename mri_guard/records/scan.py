"""A scan: one MR series as a volume, RAS+, millimetres."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_guard.records.base import Finite, Record


class Contrast(StrEnum):
    """What the images are weighted by. A bundle lists those that it knows."""

    FLAIR = "FLAIR"
    T1 = "T1"
    T2 = "T2"
    PD = "PD"
    DIFFUSION = "DIFFUSION"
    PERFUSION = "PERFUSION"
    FUNCTIONAL = "FUNCTIONAL"
    LOCALIZER = "LOCALIZER"
    UNKNOWN = "UNKNOWN"


class Format(StrEnum):
    """How the bytes of a source are encoded."""

    DICOM = "dicom"
    NIFTI = "nifti"


@dataclass(frozen=True, slots=True)
class Source:
    """Where one scan comes from: the instances of one DICOM series, or one NIfTI file.

    Attributes:
        files: at least one path; for NIfTI exactly one.
        format: DICOM or NIfTI.
        contrast: what the caller says it is (manifest, command line); NIfTI carries none itself.
    """

    files: tuple[Path, ...]
    format: Format
    contrast: Contrast | None = None


class ScanHeader(Record):
    """The technical attributes of a series, no patient data.

    Attributes:
        contrast: from the caller, or else from the header.
        manufacturer: Manufacturer (0008,0070), one of the known makers or `other`.
        magnetic_field_strength_t: Magnetic Field Strength (0018,0087), tesla.
        repetition_time_ms: Repetition Time (0018,0080).
        echo_time_ms: Echo Time (0018,0081).
        inversion_time_ms: Inversion Time (0018,0082).
        slice_count: slices along the acquisition's slice axis.
        spacing_mm: voxel size along x, y, z of the volume, from the affine.
        gaps: slice positions that are missing from an otherwise even stack.
        duplicates: slices dropped because another one lay at the same position.
        bits_stored: Bits Stored (0028,0101); None for NIfTI.
    """

    contrast: Contrast
    manufacturer: str = "other"
    magnetic_field_strength_t: Finite | None = None
    repetition_time_ms: Finite | None = None
    echo_time_ms: Finite | None = None
    inversion_time_ms: Finite | None = None
    slice_count: int
    spacing_mm: tuple[Finite, Finite, Finite]
    gaps: int = 0
    duplicates: int = 0
    bits_stored: int | None = None


def readonly(array: NDArray[np.generic]) -> None:
    """Makes an array refuse writes, so that no step edits what it was given."""
    array.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Scan:
    """One MR series as a volume.

    Attributes:
        voxels: float32, (x, y, z), rescaled units of the scanner; the axes run as stored, see
            `affine`; preprocessing turns them to RAS+.
        affine: float64, (4, 4), voxel index to RAS+ millimetres, as nibabel gives it.
        header: technical attributes.
    """

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]
    header: ScanHeader

    def __post_init__(self) -> None:
        """Freezes the arrays."""
        readonly(self.voxels)
        readonly(self.affine)


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessed:
    """A scan on the model's grid: axial slices, RAS+, in-plane 2 mm, 128 x 128.

    Attributes:
        image: float32, (128, 128, z), normalised intensity: the brain's 1st percentile is 0 and
            its 99th is 1. Not clipped to [0, 1]; 0 outside the head.
        brain: bool, (128, 128, z), where the model looks and is scored.
        head: bool, (128, 128, z).
        affine: float64, (4, 4), model voxel index to RAS+ millimetres of the scan's world.
        intensity_low: scanner value that became 0.
        intensity_high: scanner value that became 1.
    """

    image: NDArray[np.float32]
    brain: NDArray[np.bool_]
    head: NDArray[np.bool_]
    affine: NDArray[np.float64]
    intensity_low: float
    intensity_high: float

    def __post_init__(self) -> None:
        """Freezes the arrays."""
        for array in (self.image, self.brain, self.head, self.affine):
            readonly(array)
