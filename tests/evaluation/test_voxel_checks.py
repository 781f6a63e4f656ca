"""Counts of what the voxel checks hold, on scans and checks of which the answer is known."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import pytest

from mri_guard.evaluation.voxel_checks import CLEAN, evaluate_voxel_checks
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Contrast, Rejection, Scan
from mri_guard.sanitize import Sanitizer
from tests.sanitize.objects import noisy


@dataclass(frozen=True)
class TooShort:
    """Refuses stacks of fewer than 28 slices."""

    name: str = "too_short"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        return Rejection("short", "seen") if scan.voxels.shape[2] < 28 else None


def row(folder: Path, name: str, contrast: Contrast) -> ManifestRow:
    made = noisy()
    nib.save(nib.Nifti1Image(made.voxels, made.affine), folder / name)
    return ManifestRow(
        scan=folder / name,
        mask=None,
        subject=name,
        label="healthy",
        split="test",
        contrast=contrast,
        attributes={},
    )


def test_counts_refusals_of_scans_defects_and_other_contrasts(tmp_path: Path) -> None:
    rows = [
        row(tmp_path, "a_flair.nii", Contrast.FLAIR),
        row(tmp_path, "b_flair.nii", Contrast.FLAIR),
        row(tmp_path, "c_t1.nii", Contrast.T1),
    ]
    sanitizer = Sanitizer(voxel_checks=(TooShort(),))
    wanted = ["top cut 0.4", "upside down"]
    with Decoder() as decoder:
        found = evaluate_voxel_checks(rows, sanitizer, decoder, Contrast.FLAIR, 0, wanted=wanted)
    counts = {one.defect: (one.refused, one.n) for one in found}
    assert counts == {
        CLEAN: (0, 2),
        "top cut 0.4": (2, 2),
        "upside down": (0, 2),
        "contrast T1": (0, 1),
    }
    cut = found[1]
    assert cut.reasons == {"short": 2}
    assert (cut.low, cut.high) == pytest.approx(clopper_pearson(2, 2))
