"""A manifest: the CSV that train, calibrate and evaluate read alike."""

import csv
import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from mri_guard.errors import SettingsError
from mri_guard.records import Contrast, Record

COLUMNS = ("scan", "mask", "subject", "label", "split")
SPLITS = ("train", "calibration", "validation", "test", "")


class ManifestRow(Record):
    """One scan of a manifest.

    Attributes:
        scan: NIfTI file or DICOM folder.
        mask: lesion mask, NIfTI; None where nobody drew one.
        subject: who it is of; scans of one subject stay together when resampling.
        label: `healthy` or `abnormal`.
        split: `train`, `calibration`, `validation`, `test` or empty.
        contrast: from the column `sequence`; None where it is empty or missing.
        attributes: any further columns.
    """

    scan: Path
    mask: Path | None
    subject: str
    label: str
    split: str
    contrast: Contrast | None
    attributes: dict[str, str]

    @property
    def site(self) -> str:
        """The column `site`: scans of one site are taken to be exchangeable."""
        return self.attributes.get("site") or "site not stated"


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """The rows of a manifest, in its order.

    Args:
        path: CSV with the columns `scan`, `mask`, `subject`, `label` and `split`; paths in it are
            relative to it.

    Raises:
        SettingsError: not such a CSV, or a scan that is not there; the message names the line.
    """
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"manifest cannot be read: {type(error).__name__}") from error
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise SettingsError(f"manifest lacks the columns {', '.join(missing)}")
    return tuple(_row(path.parent, number, line) for number, line in enumerate(lines, start=2))


def digest(path: Path) -> str:
    """SHA-256 of a manifest's bytes, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lesion_on_grid(
    mask: Path, affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """A lesion mask on another grid, bool: where at least half of it is lesion.

    Linear between the mask's voxels, which averages them where the grid is twice as coarse.

    Args:
        mask: NIfTI, above 0 where there is lesion.
        affine: float64, (4, 4), of the wanted grid, voxel index to RAS+ millimetres.
        shape: of the wanted grid.
    """
    image = nib.load(mask)
    lesion = (np.asarray(image.dataobj).reshape(image.shape[:3]) > 0).astype(np.float32)
    to_mask = np.linalg.inv(image.affine) @ affine
    share = ndimage.affine_transform(
        lesion, to_mask[:3, :3], to_mask[:3, 3], shape, order=1, mode="constant"
    )
    return np.asarray(share >= 0.5 - 1e-6)


def _row(folder: Path, number: int, line: dict[str, str]) -> ManifestRow:
    if line["label"] not in ("healthy", "abnormal"):
        raise SettingsError(f"manifest line {number}: label is neither healthy nor abnormal")
    if line["split"] not in SPLITS:
        raise SettingsError(f"manifest line {number}: split is none of {', '.join(SPLITS[:4])}")
    scan = folder / line["scan"]
    mask = folder / line["mask"] if line["mask"] else None
    if not scan.exists() or (mask is not None and not mask.is_file()):
        raise SettingsError(f"manifest line {number}: the scan or its mask is not there")
    known = (*COLUMNS, "sequence")
    try:
        return ManifestRow(
            scan=scan,
            mask=mask,
            subject=line["subject"],
            label=line["label"],
            split=line["split"],
            contrast=Contrast(line["sequence"].upper()) if line.get("sequence") else None,
            attributes={key: value for key, value in line.items() if key not in known},
        )
    except (ValidationError, ValueError) as error:
        raise SettingsError(f"manifest line {number}: a column holds what it may not") from error
