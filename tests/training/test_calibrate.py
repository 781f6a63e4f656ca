import csv
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.perturbation.detectors import FeatureSqueezing, HighFrequency
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Anomaly, Preprocessed
from mri_guard.training.calibrate import calibration_of
from tests.toys import toy_brain, with_lesion

DETECTORS = (HighFrequency(()), FeatureSqueezing(()))


def _head_is_brain(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    return head


@dataclass(frozen=True)
class _Extent:
    """Scores a scan by its slices with brain; each slice by its brain's share of the plane."""

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        zeros = np.zeros_like(preprocessed.image)
        share = preprocessed.brain.mean(axis=(0, 1))
        slices = np.where(share > 0, share, np.nan)
        return Anomaly(zeros, zeros, zeros, slices, float((share > 0).sum()))


def _manifest(folder: Path) -> Path:
    rows = []
    for index, (label, site) in enumerate([("healthy", "a"), ("abnormal", "a"), ("abnormal", "b")]):
        toy = toy_brain(generator(0, "calibration scan"), slices=14, side=96, noise=0.01)
        ill, lesion = with_lesion(toy, amount=3.0, radius=3.5)
        shown = toy if label == "healthy" else ill
        voxels = np.where(shown.brain, 100 + 100 * shown.image, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, toy.affine), folder / f"{index}.nii.gz")
        nib.save(nib.Nifti1Image(lesion.astype(np.uint8), toy.affine), folder / f"{index}m.nii.gz")
        mask = "" if label == "healthy" else f"{index}m.nii.gz"
        rows.append([f"{index}.nii.gz", mask, str(index), label, "calibration", site, "FLAIR"])
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        header = ["scan", "mask", "subject", "label", "split", "site", "sequence"]
        csv.writer(file).writerows([header, *rows])
    return path


def test_keeps_the_score_and_the_highest_slice_of_each_healthy_scan(tmp_path: Path) -> None:
    calibration = calibration_of(
        read_manifest(_manifest(tmp_path)),
        (),
        Preprocess(_head_is_brain),
        _Extent(),
        DETECTORS,
        cache=tmp_path / "cache",
    )
    assert {name: len(some) for name, some in calibration.detectors.items()} == {
        "high_frequency": 3,
        "feature_squeezing": 3,
    }
    healthy, lesion_free = "a", "b, slices without lesion"
    assert set(calibration.healthy_scores) == {healthy, lesion_free}
    assert calibration.highest_slices is not None
    assert set(calibration.highest_slices) == {healthy, lesion_free}
    # The lesion lies in the largest slices: without them and their neighbours less is left.
    for scores in (calibration.healthy_scores, calibration.highest_slices):
        assert len(scores[healthy]) == len(scores[lesion_free]) == 1
        assert scores[lesion_free][0] < scores[healthy][0]
    assert 0 < calibration.highest_slices[healthy][0] <= 1 <= calibration.healthy_scores[healthy][0]


def test_a_scan_without_a_scored_slice_has_none_that_could_be_flagged(tmp_path: Path) -> None:
    def no_slice(preprocessed: Preprocessed) -> Anomaly:
        zeros = np.zeros_like(preprocessed.image)
        return Anomaly(zeros, zeros, zeros, np.full(zeros.shape[2], np.nan), 1.0)

    calibration = calibration_of(
        [row for row in read_manifest(_manifest(tmp_path)) if row.label == "healthy"],
        (),
        Preprocess(_head_is_brain),
        no_slice,
        DETECTORS,
        cache=tmp_path / "cache",
    )
    assert calibration.highest_slices == {"a": (0.0,)}
