from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.bundle import Calibration
from mri_guard.calibration import Budget, LabelledScores, Rate, ScoreCalibrator
from mri_guard.errors import NotCalibratedError, SettingsError
from mri_guard.evaluation.at_alpha import PREDICTED
from mri_guard.evaluation.calibration import evaluate_calibration, price_table, table
from mri_guard.evaluation.evidence import Evidence
from mri_guard.journey import Kit
from mri_guard.records import Anomaly, Preprocessed, Scan, Source
from tests.test_journey import KIT

SCORES = {"site not stated": tuple(float(i) for i in range(100))}
CALIBRATION = Calibration(healthy_scores=SCORES, detectors={}, highest_slices=SCORES)


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
    score = float(preprocessed.image.flat[0])
    return Anomaly(zeros, zeros, zeros, np.full(2, score), score)


@pytest.fixture
def kit() -> Kit:
    calibrate = ScoreCalibrator((1.0,) * 100, 0.05, 0.05, 1.0, "")
    return replace(KIT, decoder=_Nifti(), scorer=_score, calibrate=calibrate)


def _evaluate(
    kit: Kit,
    manifest: Path,
    work: Path,
    *,
    calibration: Calibration = CALIBRATION,
    splits: Sequence[str] = ("test",),
    budgets: Sequence[Budget] = (Rate(alpha=0.05),),
) -> Evidence:
    return evaluate_calibration(
        manifest, splits, kit, calibration, delta=0.05, command="x", work=work, budgets=budgets
    )


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
    evidence = _evaluate(kit, manifest, tmp_path)
    metrics = evidence.metrics
    assert (metrics["false_positive_rate"].value, metrics["false_positive_rate"].n) == (0.5, 2)
    assert metrics["sensitivity"].value == 0.5  # what cannot be scored was not found
    assert metrics["quarantine_rate"].value == 0.25
    assert metrics["perturbation_false_alarm_rate"].value == 0
    predicted = [name for name in metrics if name.endswith(PREDICTED)]
    assert table(evidence).row_count == len(metrics) - len(predicted)


def test_takes_the_slices_of_scans_whose_truth_is_known(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 1.0), ("abnormal", 99.5), ("abnormal", 99.5)])
    lesion = np.zeros((4, 4, 2), dtype=np.uint8)
    lesion[:2, :2, 1] = 1
    nib.save(nib.Nifti1Image(lesion, np.eye(4)), tmp_path / "lesion.nii")
    manifest.write_text(manifest.read_text().replace("1.nii,,", "1.nii,lesion.nii,"))
    metrics = _evaluate(kit, manifest, tmp_path).metrics
    assert metrics["sensitivity_at_0.05"].n == 2
    # One slice with lesion, the other beside it; two of the healthy scan; none of the unmarked.
    assert (metrics["slice_sensitivity_at_0.05"].value, metrics["slice_sensitivity_at_0.05"].n) == (
        1,
        1,
    )
    assert metrics["slice_false_flag_rate_at_0.05"].n == 2


def test_says_so_when_the_bundle_calibrates_no_slices(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 1.0)])
    without = CALIBRATION.model_copy(update={"highest_slices": None})
    evidence = _evaluate(kit, manifest, tmp_path, calibration=without)
    assert not [name for name in evidence.metrics if "slice" in name]
    assert "no slice threshold in this bundle" in str(table(evidence).caption)


def test_tells_how_far_to_believe_a_probability_where_the_bundle_gives_one(
    kit: Kit, tmp_path: Path
) -> None:
    scans = [("healthy", float(i)) for i in range(6)] + [("abnormal", 60.0 + i) for i in range(6)]
    manifest = _manifest(tmp_path, scans)
    without = _evaluate(kit, manifest, tmp_path)
    assert not [name for name in without.metrics if "brier" in name]
    assert "no labelled scans" in str(table(without).caption)
    labelled = LabelledScores(healthy=SCORES["site not stated"][:50], abnormal=(55.0, 80.0, 99.0))
    with_labels = CALIBRATION.model_copy(update={"labelled": labelled})
    evidence = _evaluate(kit, manifest, tmp_path, calibration=with_labels)
    metrics = evidence.metrics
    parts = [
        metrics[f"probability_brier_{part}"].value
        for part in ("reliability", "resolution", "uncertainty", "within_bins")
    ]
    assert metrics["probability_brier"].value == pytest.approx(
        parts[0] - parts[1] + parts[2] + parts[3]
    )
    assert metrics["isotonic_brier"].value == 0  # 55 and above are all abnormal
    error = metrics["probability_calibration_error"]
    assert error.low <= error.value <= error.high
    assert metrics["probability_calibration_error_by_chance"].n == 12
    assert {row["of"] for row in evidence.tables["reliability"]} == {"probability", "isotonic"}


def test_shows_budgets_side_by_side(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 1.0), ("abnormal", 97.0), ("abnormal", 200.0)])
    evidence = _evaluate(
        kit, manifest, tmp_path, budgets=[Rate(alpha=0.05), Rate(alpha=0.10), Rate(alpha=0.05)]
    )
    loose, tight = evidence.tables["side_by_side"]
    assert loose["threshold"] < 97 < tight["threshold"]
    assert (loose["sensitivity"], tight["sensitivity"], tight["sensitivity_lost"]) == (1, 0.5, 0.5)
    assert evidence.metrics["sensitivity_lost_at_0.05"].n == 2
    assert "sensitivity_lost_at_0.10" not in evidence.metrics
    assert price_table(evidence).row_count == 2
    assert {row["claim"] for row in evidence.tables["groups"]} == {
        "a false-positive rate of at most 0.05 with probability 0.95 (n = 100)",
        "a false-positive rate of at most 0.1 with probability 0.95 (n = 100)",
    }


def test_refuses_a_rate_that_the_bundle_has_too_few_scans_for(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 1.0)])
    with pytest.raises(NotCalibratedError, match="100 healthy scores; wanted at least 299"):
        _evaluate(kit, manifest, tmp_path, budgets=[Rate(alpha=0.01)])


def test_refuses_a_split_without_scans(kit: Kit, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, [("healthy", 0.5)])
    with pytest.raises(SettingsError, match="no scan in the splits validation"):
        _evaluate(kit, manifest, tmp_path, splits=["validation"])
