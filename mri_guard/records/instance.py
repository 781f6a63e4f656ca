"""One DICOM instance before any pixel is decoded."""

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from mri_guard.records.structure import Structure


@dataclass(frozen=True, slots=True, eq=False)
class InstanceHeader:
    """A file and as much of it as could be read without its pixels.

    Attributes:
        path: where its bytes lie.
        size_bytes: length of the file.
        sha256: of the file, hex.
        dataset: everything before Pixel Data (7FE0,0010), file meta included as
            `dataset.file_meta`; None when the bytes do not parse.
        pixel_bytes: length of the Pixel Data value as it lies in the file; None when there is none.
        encapsulated: whether Pixel Data has undefined length (compressed fragments).
        parse_error: class of the error when the bytes do not parse.
        structure: the elements as a walk of our own through the bytes found them; without any when
            they are no Part 10 file.
        repair: name of what was added to the file before it was read, see `readers.repairs`; empty
            for nothing.
    """

    path: Path
    size_bytes: int
    sha256: str
    dataset: Dataset | None
    pixel_bytes: int | None = None
    encapsulated: bool = False
    parse_error: str = ""
    structure: Structure = field(default_factory=Structure)
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a check says no.

    Attributes:
        reason: stable code, e.g. `pixel-data-short`.
        detail: what was seen and what was wanted, with units; no patient data.
    """

    reason: str
    detail: str
