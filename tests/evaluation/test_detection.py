import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.detection import Case, evaluate_detection, slice_rows, table
from mri_guard.evaluation.evidence import Evidence
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.records import Anomaly, CalibratedScore, Decision, Outcome, Preprocessed
from tests.toys import toy_brain, with_lesion

SIDE, SLICES = 96, 14


@dataclass(frozen=True)
class HeadIsBrain:
    """Stands in for the brain mask; leaves out a strip of columns."""

    strip: tuple[int, int] = (0, 0)

    def __call__(
        self, image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
    ) -> NDArray[np.bool_]:
        brain = head.copy()
        brain[slice(*self.strip)] = False
        return brain


@dataclass(frozen=True)
class Bright:
    """A scorer that knows these lesions: they are the only thing above 1.3 of the range."""

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        found = np.where(preprocessed.brain, np.clip(preprocessed.image - 1.0, 0, None), 0)
        brain = preprocessed.brain.any(axis=(0, 1))
        slices = np.where(brain, found.max(axis=(0, 1)), np.nan)
        return Anomaly(
            found.astype(np.float32), preprocessed.image.copy(), slices, float(found.max())
        )


class Nothing:
    """Stands in for the steps that detection does not ask."""

    def check_headers(self, *_: object) -> tuple[tuple[()], tuple[()]]:
        return (), ()

    def check_voxels(self, *_: object) -> tuple[()]:
        return ()

    def calibrate(self, score: float) -> CalibratedScore:
        raise AssertionError(score)

    def policy(self, checks: object, detectors: object, calibrated: object) -> Decision:
        return Decision(outcome=Outcome.QUARANTINE, priority=None, reasons=("none",), detail="")


def kit(decoder: Decoder, strip: tuple[int, int] = (0, 0)) -> Kit:
    nothing = Nothing()
    return Kit(
        bundle_digest="0" * 64,
        sanitizer=nothing,
        decoder=decoder,
        preprocess=Preprocess(HeadIsBrain(strip)),
        scorer=Bright(),
        detectors=(),
        calibrate=nothing.calibrate,
        policy=nothing.policy,
    )


def manifest(folder: Path, splits: Sequence[str]) -> Path:
    rows = []
    for index, split in enumerate(splits):
        healthy = toy_brain(generator(0, "case", index), slices=SLICES, side=SIDE, noise=0.01)
        toy, lesion = with_lesion(healthy, amount=3.0, radius=5.0, shift=3 * (index % 3 - 1))
        voxels = np.where(toy.brain, 100 + 100 * toy.image, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, toy.affine), folder / f"{index}.nii.gz")
        nib.save(nib.Nifti1Image(lesion.astype(np.uint8), toy.affine), folder / f"{index}m.nii.gz")
        rows.append([f"{index}.nii.gz", f"{index}m.nii.gz", f"p{index}", "abnormal", split])
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["scan", "mask", "subject", "label", "split"], *rows])
    return path


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("detection")
    path = manifest(folder, ["train", "train", "test", "test", "test"])
    with Decoder() as decoder:
        return evaluate_detection(
            path, ["test"], kit(decoder), command="as tested", work=folder, draws=200
        )


def test_gives_full_marks_to_a_scorer_that_knows_the_lesions(evidence: Evidence) -> None:
    for name in ("pixel_ap", "best_dice", "slice_auroc", "within_subject_auroc"):
        assert evidence.metrics[name].value > 0.97, name
        assert evidence.metrics[name].n == 3
    assert evidence.metrics["sensitivity_at_90_specificity"].value == 1.0


def test_sets_simple_statistics_beside_it_with_paired_differences(evidence: Evidence) -> None:
    figures = evidence.metrics
    for name in ("intensity", "position", "atlas"):
        for figure in ("pixel_ap", "matched_slice_auroc", "within_subject_auroc"):
            ours, theirs = figures[figure], figures[f"{name}_{figure}"]
            difference = figures[f"{figure}_minus_{name}"]
            assert difference.value == pytest.approx(ours.value - theirs.value)
            assert difference.low <= difference.value <= difference.high
    assert figures["position_pixel_ap"].value < 0.5


def test_never_prints_slice_auroc_alone(evidence: Evidence) -> None:
    console = Console(file=io.StringIO(), width=250)
    console.print(table(evidence))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "–" not in printed
    for words in ("model", "position", "slice auroc", "matched slice auroc", "within subject"):
        assert words in printed


def test_counts_lesion_outside_the_brain_mask_as_missed(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["train", "test", "test"])
    with Decoder() as decoder:
        cut = kit(decoder, strip=(70, 78))  # about half of each lesion
        found = evaluate_detection(path, ["test"], cut, command="", work=tmp_path, draws=50)
    assert found.metrics["pixel_ap"].value < 0.9
    missed = [row["outside_brain_mask"] / row["lesion_pixels"] for row in found.tables["patients"]]
    assert all(0.1 < share < 0.9 for share in missed)
    assert found.metrics["pixel_ap"].value == pytest.approx(1 - np.mean(missed), abs=0.1)


def test_leaves_out_figures_that_do_not_exist(tmp_path: Path) -> None:
    """One patient, whose slices without lesion are all far from those with."""
    path = manifest(tmp_path, ["train", "test"])
    with Decoder() as decoder:
        found = evaluate_detection(
            path, ["test"], kit(decoder), command="", work=tmp_path, draws=10
        )
    assert "matched_slice_auroc" not in found.metrics
    assert "pixel_ap" in found.metrics
    console = Console(file=io.StringIO(), width=250)
    console.print(table(found))
    assert "–" in console.file.getvalue()  # type: ignore[attr-defined]


def test_refuses_splits_that_hold_nothing(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["train"])
    with Decoder() as decoder, pytest.raises(SettingsError, match="0 scans examined"):
        evaluate_detection(path, ["test"], kit(decoder), command="", work=tmp_path)


def test_leaves_slices_next_to_the_lesion_out_and_keeps_lesions_nobody_scored() -> None:
    toy = toy_brain(generator(0, "rows"), slices=10)
    brain = np.ones_like(toy.brain)
    brain[..., 0] = False
    lesion = np.zeros_like(brain)
    lesion[20, 20, [0, 5]] = True
    scores = np.arange(10, dtype=np.float64)
    scores[0] = np.nan
    anomaly = Anomaly(toy.image.copy(), toy.image.copy(), scores, 0.0)
    whole = Preprocessed(toy.image, brain, brain.copy(), toy.affine, 0.0, 1.0)
    rows = slice_rows(anomaly, Case(0, whole, lesion))
    assert rows[:, 0].tolist() == [-np.inf, 2, 3, 5, 7, 8, 9]
    assert rows[:, 1].tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert rows[0, 2] == 0.0
    assert rows[-1, 2] == 1.0
