"""One DICOM series as a volume. Runs in the decoding child, since codecs die."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder

from mri_guard.errors import SeriesError, UnreadableError
from mri_guard.readers.contrast import contrast_of, settle, timing_of
from mri_guard.readers.frames import Frame, frames_of
from mri_guard.readers.headers import parse_file
from mri_guard.readers.stack import Stack, require_one_volume, stack
from mri_guard.readers.transfer_syntaxes import ALLOWED, CODECS
from mri_guard.readers.values import integer, number, quietly, text
from mri_guard.records import Contrast, Scan, ScanHeader

MAKERS = ("SIEMENS", "GE", "PHILIPS", "CANON", "TOSHIBA", "HITACHI", "FUJIFILM", "UIH", "BRUKER")
"""First words of Manufacturer (0008,0070) that a scan's record may name; all else is `other`."""


def read_series(files: Sequence[Path], contrast: Contrast | None = None) -> Scan:
    """The volume that the files' frames make up, whatever order they come in.

    Axes: along a row, along a column, along the slices' normal. Slices that are missing from an
    otherwise even stack are NaN, so that no check takes them for image.

    Raises:
        UnreadableError: bytes or pixels that do not decode, a transfer syntax not on the list.
        SeriesError: the frames do not make up one volume.
    """
    with quietly():
        datasets = [parse_file(path, ALLOWED) for path in files]
        frames = [frames_of(dataset) for dataset in datasets]
        stacked = stack([frame for some in frames for frame in some])
        require_one_volume(stacked, [frame for some in frames for frame in some])
        volume = _filled(datasets, frames, stacked)
        affine = _affine(frames[0][0], stacked)
        header = _header(datasets[0], stacked, affine, contrast)
    return Scan(volume.transpose(2, 1, 0), affine, header)


def _filled(
    datasets: Sequence[Dataset], frames: Sequence[Sequence[Frame]], stacked: Stack
) -> NDArray[np.float32]:
    """float32, (slice, row, column), rescaled; NaN where a slice is missing."""
    rows, columns = _shape(datasets)
    volume = np.full((stacked.slot_count, rows, columns), np.nan, dtype=np.float32)
    slot_of = {
        index: slot
        for place, slot in zip(stacked.places, stacked.slots, strict=True)
        for index in place
    }
    filled: dict[int, int] = {}
    conflicts: set[int] = set()
    index = 0
    for dataset, some in zip(datasets, frames, strict=True):
        for pixels, frame in zip(_pixels(dataset, len(some)), some, strict=True):
            slot = slot_of[index]
            image = pixels.astype(np.float32) * np.float32(frame.slope)
            image += np.float32(frame.intercept)
            if slot not in filled:
                volume[slot] = image
                filled[slot] = index
            elif not np.array_equal(volume[slot], image):
                conflicts.add(slot)
            index += 1
    if len(conflicts) * 2 > len(stacked.places):
        raise SeriesError("several-volumes", "different images at most places; one volume wanted")
    if conflicts:
        raise SeriesError("slices-conflict", f"different images at {len(conflicts)} places")
    return volume


def _shape(datasets: Sequence[Dataset]) -> tuple[int, int]:
    shapes = {(integer(dataset, "Rows"), integer(dataset, "Columns")) for dataset in datasets}
    rows, columns = shapes.pop()
    if shapes or not rows or not columns:
        raise SeriesError("matrix-mixed", "slices of one size wanted")
    return rows, columns


def _pixels(dataset: Dataset, count: int) -> NDArray[np.generic]:
    """Stored values, (frame, row, column); the dataset lets go of its encoded pixels."""
    with quietly():
        try:
            syntax = dataset.file_meta.TransferSyntaxUID
            codec = CODECS.get(syntax, "")
            pixels: NDArray[np.generic] = get_decoder(syntax).as_array(
                dataset, decoding_plugin=codec
            )[0]
        except MemoryError:
            raise
        except Exception as failure:
            raise UnreadableError("pixels-do-not-decode", type(failure).__name__) from failure
    del dataset.PixelData
    rows, columns = _shape([dataset])
    if pixels.size != count * rows * columns:
        raise UnreadableError(
            "pixels-do-not-decode", f"{pixels.size} values for {count} x {rows} x {columns}"
        )
    return pixels.reshape(count, rows, columns)


def _affine(frame: Frame, stacked: Stack) -> NDArray[np.float64]:
    """Voxel (column, row, slice) to RAS+ mm: DICOM's equation C.7.6.2.1-1, x and y negated."""
    between_rows, between_columns = frame.spacing
    affine = np.eye(4)
    affine[:3, 0] = np.array(frame.orientation[:3]) * between_columns
    affine[:3, 1] = np.array(frame.orientation[3:]) * between_rows
    affine[:3, 2] = stacked.step
    affine[:3, 3] = stacked.origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _header(
    dataset: Dataset, stacked: Stack, affine: NDArray[np.float64], contrast: Contrast | None
) -> ScanHeader:
    repetition, echo, inversion = timing_of(dataset)
    maker = text(dataset, "Manufacturer").upper()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return ScanHeader(
        contrast=settle(contrast, contrast_of(dataset)),
        manufacturer=next((name for name in MAKERS if maker.startswith(name)), "other"),
        magnetic_field_strength_t=number(dataset, "MagneticFieldStrength"),
        repetition_time_ms=repetition,
        echo_time_ms=echo,
        inversion_time_ms=inversion,
        slice_count=stacked.slot_count,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        gaps=stacked.gaps,
        duplicates=stacked.duplicates,
        bits_stored=integer(dataset, "BitsStored"),
    )
