"""One NIfTI file as a volume."""

import math
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from mri_guard.errors import LimitError, SeriesError, UnreadableError
from mri_guard.records import Contrast, Scan, ScanHeader

MAX_BYTES = 2 * 2**30
"""As float32, by the header's arithmetic; the largest brain MR is a tenth of it."""

_BROKEN = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error, KeyError)


def open_nifti(path: Path) -> nib.Nifti1Image:
    """The image with its header read and judged, its voxels still on disk.

    Raises:
        UnreadableError: no NIfTI, or an affine that is not one.
        SeriesError: several volumes, or none.
        LimitError: larger than `MAX_BYTES`.
    """
    try:
        image = nib.load(path)
    except _BROKEN as failure:
        raise UnreadableError("not-nifti", type(failure).__name__) from failure
    if not isinstance(image, nib.Nifti1Image):
        raise UnreadableError("not-nifti", "another image format")
    shape = tuple(int(length) for length in image.shape)
    if len(shape) < 3 or min(shape) < 1:
        raise SeriesError("no-volume", f"shape {shape}; three axes wanted")
    if math.prod(shape[3:]) != 1:
        raise SeriesError("several-volumes", f"{math.prod(shape[3:])} volumes; one wanted")
    if image.get_data_dtype().kind not in "iuf":
        raise UnreadableError("not-real-numbers", "voxels are complex or coloured")
    if (claimed := math.prod(shape) * 4) > MAX_BYTES:
        raise LimitError(
            "too-many-voxels", f"{claimed / 2**30:.1f} GiB claimed; {MAX_BYTES >> 30} allowed"
        )
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableError("affine-not-sane", "the affine is not finite or not invertible")
    return image


def read_nifti(path: Path, contrast: Contrast | None = None) -> Scan:
    """The volume of a NIfTI file, axes as stored.

    Raises:
        InputError: as `open_nifti`; or voxels that end early.
    """
    image = open_nifti(path)
    try:
        voxels = np.asarray(image.dataobj, dtype=np.float32)
    except _BROKEN as failure:
        raise UnreadableError("pixel-data-short", type(failure).__name__) from failure
    voxels = voxels.reshape(image.shape[:3])
    affine = np.array(image.affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    header = ScanHeader(
        contrast=contrast or Contrast.UNKNOWN,
        slice_count=int(voxels.shape[2 - int(np.argmax(spacing[::-1]))]),  # the coarsest axis
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
    )
    return Scan(voxels, affine, header)
