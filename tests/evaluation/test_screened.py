from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.calibration import ScoreCalibrator
from mri_guard.calibration.second_look import SecondLookConfig, SmoothedLook
from mri_guard.errors import InputError
from mri_guard.evaluation.screened import Screened, screened
from mri_guard.journey import Kit
from mri_guard.readers.manifest import ManifestRow, read_manifest
from mri_guard.records import Anomaly, Preprocessed, Scan
from tests.test_journey import KIT

Asked = list[float]


@dataclass
class Scored:
    """Scores by the mean of the image, and writes down what it was asked."""

    asked: Asked

    def __call__(self, preprocessed: Preprocessed, /) -> Anomaly:
        zeros = np.zeros_like(preprocessed.image)
        score = float(preprocessed.image.mean())
        self.asked.append(score)
        return Anomaly(zeros, zeros, zeros, np.array([score, np.nan]), score)


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def kit(asked: Asked) -> Kit:
    calibrate = ScoreCalibrator((1.0,) * 100, 0.05, 0.05, 0.5, "", attacked_threshold=2.0)
    look = SmoothedLook(Scored(asked), SecondLookConfig(radius=0), 0.5)
    return replace(KIT, scorer=Scored(asked), calibrate=calibrate, second_look=look)


@pytest.fixture
def rows(tmp_path: Path) -> tuple[ManifestRow, ...]:
    """An abnormal scan with a lesion of three pixels in its second slice, and a healthy one."""
    lesion = np.zeros((4, 4, 2), np.float32)
    lesion[1, :3, 1] = 1
    for name, voxels in (("0", lesion + 1), ("0_lesion", lesion), ("1", 0 * lesion)):
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / f"{name}.nii")
    path = tmp_path / "manifest.csv"
    path.write_text(
        "scan,mask,subject,label,split,sequence\n"
        "0.nii,0_lesion.nii,a,abnormal,test,FLAIR\n"
        "1.nii,,b,healthy,test,FLAIR\n"
    )
    return read_manifest(path)


def test_asks_once_and_gives_the_same_again(
    kit: Kit, rows: tuple[ManifestRow, ...], tmp_path: Path, asked: Asked
) -> None:
    first = screened(rows[0], kit, tmp_path)
    seen = len(asked)
    assert screened(rows[0], kit, tmp_path) == first
    assert len(asked) == seen


def test_tells_scores_and_lesions_by_slice(
    kit: Kit, rows: tuple[ManifestRow, ...], tmp_path: Path
) -> None:
    ill, healthy = (screened(row, kit, tmp_path) for row in rows)
    assert (ill.score, ill.slices, ill.lesion_px) == (1.0, (1.0, None), (0, 3))
    assert healthy.lesion_px == (0, 0)
    unknown = screened(rows[0].model_copy(update={"mask": None}), kit, tmp_path)
    assert unknown.lesion_px is None


def test_draws_the_second_looks_noise_from_the_seed(
    kit: Kit, rows: tuple[ManifestRow, ...], tmp_path: Path
) -> None:
    def look(folder: str, seed: int) -> Screened:
        (tmp_path / folder).mkdir()
        return screened(rows[0], replace(kit, seed=seed), tmp_path / folder)

    looks = [look("a", 1), look("b", 1), look("c", 2)]
    seeds = [one.examination.second_look.seed for one in looks if one.examination.second_look]
    assert len(seeds) == 3
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("fails", ["model", "decoder"])
def test_keeps_what_a_scan_came_to_that_the_model_did_not_reach(
    kit: Kit, rows: tuple[ManifestRow, ...], tmp_path: Path, fails: str
) -> None:
    def raises(_: object, /) -> Anomaly:
        raise ValueError

    def nothing(scan: Scan) -> Preprocessed:
        raise ValueError

    broken = replace(kit, scorer=raises) if fails == "model" else replace(kit, preprocess=nothing)
    found = screened(rows[0], broken, tmp_path)
    assert found.score is None
    assert found.examination.decision.outcome == "quarantine"
    assert found.lesion_px == ((0, 3) if fails == "model" else None)


def test_refuses_an_empty_folder(kit: Kit, rows: tuple[ManifestRow, ...], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = rows[0].model_copy(update={"scan": tmp_path / "empty"})
    with pytest.raises(InputError):
        screened(empty, kit, tmp_path)
