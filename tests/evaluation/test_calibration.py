from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.calibration import ScoreCalibrator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.calibration import evaluate_calibration, table
from mri_guard.journey import Kit
from mri_guard.records import Anomaly, Preprocessed, Scan, Source
from tests.test_journey import KIT


@dataclass
class _Nifti:
    """Reads the score that a test has written into the first voxel."""

    def __call__(self, source: Source, /) -> Scan:
        voxels = np.asarray(nib.load(source.files[0]).dataobj, dtype=np.float32).copy()
        return replace(KIT.decoder(source), voxels=voxels)

    def close(self) -> None:
        """Nothing to close."""


def _score(preprocessed: Preprocessed) -> Anomaly:
    zeros = np.zeros_like(preprocessed.image)
    return Anomaly(zeros, zeros, zeros, np.zeros(2), float(preprocessed.image.flat[0]))


@pytest.fixture
def kit() -> Kit:
    calibrate = ScoreCalibrator((1.0,) * 100, 0.05, 0.05, 1.0, "")
    return replace(KIT, decoder=_Nifti(), scorer=_score, calibrate=calibrate)


def _manifest(folder: Path, scans: list[tuple[str, float]]) -> Path:
    lines = ["scan,mask,subject,label,split,sequence"]
    for number, (label, score) in enumerate(scans):
        voxels = np.full((4, 4, 2), score, dtype=np.float32)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{number}.nii")
        lines.append(f"{number}.nii,,{number},{label},test,FLAIR")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_counts_what_ends_above_the_threshold_by_label(kit: Kit, tmp_path: Path) -> None:
    scans = [("healthy", 0.5), ("healthy", 2.0), ("abnormal", 2.0), ("abnormal", float("nan"))]
    manifest = _manifest(tmp_path, scans)
    evidence = evaluate_calibration(manifest, ["test"], kit, command="x", work=tmp_path)
    metrics = evidence.metrics
    assert (metrics["false_positive_rate"].value, metrics["false_positive_rate"].n) == (0.5, 2)
    assert metrics["sensitivity"].value == 0.5  # what cannot be scored was not found
    assert metrics["quarantine_rate"].value == 0.25
    assert metrics["perturbation_false_alarm_rate"].value == 0
    assert table(evidence).row_count == 4


def test_refuses_a_split_without_scans(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 0.5)])
    with pytest.raises(SettingsError, match="no scan in the splits validation"):
        evaluate_calibration(manifest, ["validation"], kit, command="x", work=tmp_path)
