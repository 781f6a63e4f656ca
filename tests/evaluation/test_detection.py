import csv
import io
import re
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
from mri_guard.evaluation.detection import (
    DEFINITIONS,
    Case,
    evaluate_detection,
    sections,
    slice_rows,
    small_lesions,
    small_sections,
    table,
)
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.gallery import INDEX
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    Decision,
    Outcome,
    Perturbation,
    Preprocessed,
)
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
            found.astype(np.float32),
            found.astype(np.float32),
            preprocessed.image,
            slices,
            float(found.max()),
        )


class Nothing:
    """Stands in for the steps that detection does not ask."""

    def check_headers(self, *_: object) -> tuple[tuple[()], tuple[()]]:
        return (), ()

    def check_voxels(self, *_: object) -> tuple[()]:
        return ()

    def calibrate(self, score: float) -> CalibratedScore:
        raise AssertionError(score)

    def combine(self, results: object) -> Perturbation:
        return Perturbation(p_values={"none": 1.0})

    def policy(
        self, checks: object, perturbation: object, calibrated: object, second_look: object = None
    ) -> Decision:
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
        combine=nothing.combine,
        calibrate=nothing.calibrate,
        policy=nothing.policy,
    )


def manifest(folder: Path, splits: Sequence[str], subject: str = "p") -> Path:
    rows = []
    for index, split in enumerate(splits):
        healthy = toy_brain(generator(0, "case", index), slices=SLICES, side=SIDE, noise=0.01)
        toy, lesion = with_lesion(healthy, amount=3.0, radius=3.5, shift=3 * (index % 3 - 1))
        voxels = np.where(toy.brain, 100 + 100 * toy.image, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, toy.affine), folder / f"{index}.nii.gz")
        nib.save(nib.Nifti1Image(lesion.astype(np.uint8), toy.affine), folder / f"{index}m.nii.gz")
        rows.append([f"{index}.nii.gz", f"{index}m.nii.gz", f"{subject}{index}", "abnormal", split])
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["scan", "mask", "subject", "label", "split"], *rows])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detection")


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    path = manifest(folder, ["train", "train", "test", "test", "test"])
    with Decoder() as decoder:
        return evaluate_detection(
            path,
            ["test"],
            kit(decoder),
            command="as tested",
            work=folder,
            draws=200,
            only=["head_area", "intensity", "atlas", "plain_vae_raw"],
            baselines=folder / "kept",
            steps=1,
        )


def test_gives_full_marks_to_a_scorer_that_knows_the_lesions(evidence: Evidence) -> None:
    for name in ("pixel_ap", "best_dice", "slice_auroc", "within_subject_auroc"):
        assert evidence.metrics[name].value > 0.97, name
        assert evidence.metrics[name].n == 3
    assert evidence.metrics["sensitivity_at_90_specificity"].value == 1.0


def test_sets_simple_statistics_beside_it_with_paired_differences(evidence: Evidence) -> None:
    figures = evidence.metrics
    for name in ("intensity", "position", "atlas", "plain_vae_raw"):
        for figure in ("pixel_ap", "matched_slice_auroc", "within_subject_auroc"):
            ours, theirs = figures[figure], figures[f"{name}_{figure}"]
            difference = figures[f"{figure}_minus_{name}"]
            assert difference.value == pytest.approx(ours.value - theirs.value)
            assert difference.low <= difference.value <= difference.high
    assert figures["position_pixel_ap"].value < 0.5
    assert "equalised_pixel_ap" not in figures


def test_lets_baselines_learn_from_another_manifest(
    evidence: Evidence, folder: Path, tmp_path: Path
) -> None:
    elsewhere = manifest(tmp_path, ["", ""], subject="q")
    learnt = folder / "manifest.csv"
    with Decoder() as decoder:
        found = evaluate_detection(
            elsewhere,
            [""],
            kit(decoder),
            command="as tested",
            work=tmp_path,
            draws=20,
            only=["atlas"],
            learn_from=learnt,
        )
    assert found.metrics["atlas_pixel_ap"].n == 2
    told = found.tables["baselines_learnt_from"]
    assert told == [{"manifest_digest": evidence.manifest_digest}]
    assert found.manifest_digest != evidence.manifest_digest


def test_finds_the_small_lesions_that_a_map_touches(evidence: Evidence) -> None:
    found = evidence.metrics["lesions_up_to_50_found"]
    assert (found.value, found.n, found.unit) == (1.0, 3, "lesions")
    assert evidence.metrics["lesions_up_to_50_found_minus_atlas"].unit == "lesions"
    # A map that says the same in all of a slice points at no lesion.
    assert not [
        name
        for name in evidence.metrics
        if "lesions_up_to" in name and ("position" in name or "head_area" in name)
    ]


def test_calls_a_section_small_whatever_lies_above_it() -> None:
    lesion = np.zeros((20, 20, 4), dtype=np.bool_)
    lesion[:10, :10, 1] = True
    lesion[2:5, 2:5, 2] = True
    lesion[5, 5, 2] = True  # over a corner
    lesion[15, 15, 2] = True
    small = small_sections(lesion)
    assert sorted(int(one.sum()) for one in small) == [1, 10]
    assert not any(one[..., 1].any() for one in small)
    every = sections(lesion)
    assert np.array_equal(np.sum(every, axis=0), lesion)
    assert len(every) > len(small)


def test_calls_a_lesion_small_by_its_largest_slice() -> None:
    lesion = np.zeros((40, 40, 12), dtype=np.bool_)
    lesion[:5, :10, :6] = True  # 50 pixels in each of six slices
    lesion[10:15, 10:20, 4] = True
    lesion[15, 20, 5] = True  # touches the last by a corner alone: one lesion with it
    lesion[30:33, 20:37, 8] = True  # 51 pixels
    lesion[25, 2, 11] = True
    small = small_lesions(lesion)
    assert sorted(int(one.sum()) for one in small) == [1, 51, 300]
    assert all((lesion | ~one).all() for one in small)


def test_keeps_trained_baselines_where_it_was_told(evidence: Evidence, folder: Path) -> None:
    assert [file.name for file in (folder / "kept").iterdir()] == ["plain_vae.safetensors"]


def printed_slice_aurocs(evidence: Evidence) -> set[str]:
    """Rows of the table that show one."""
    columns = {column.header: list(column.cells) for column in table(evidence).columns}
    return {
        str(row)
        for row, cell in zip(columns["row"], columns["slice auroc"], strict=True)
        if cell != "–"
    }


def test_never_prints_slice_auroc_alone(evidence: Evidence) -> None:
    console = Console(file=io.StringIO(), width=250)
    console.print(table(evidence))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("model", "position", "slice auroc", "matched slice auroc", "within subject"):
        assert words in printed
    assert printed_slice_aurocs(evidence) == {
        "model",
        "position",
        "head area",
        "intensity",
        "atlas",
        "plain vae raw",
    }


@pytest.mark.parametrize(
    ("gone", "still"),
    [
        ("position_slice_auroc", set()),
        ("matched_slice_auroc", {"position", "atlas"}),
        ("atlas_within_subject_auroc", {"model", "position"}),
    ],
)
def test_prints_slice_auroc_with_what_it_must_be_read_with_or_not_at_all(
    evidence: Evidence, gone: str, still: set[str]
) -> None:
    rows = ("", "position_", "atlas_")
    kept = {
        name: metric
        for name, metric in evidence.metrics.items()
        if name != gone and name in {row + figure for row in rows for figure in DEFINITIONS}
    }
    assert printed_slice_aurocs(evidence.model_copy(update={"metrics": kept})) == still


def test_counts_lesion_outside_the_brain_mask_as_missed(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["train", "train", "test", "test"])
    with Decoder() as decoder:
        cut = kit(decoder, strip=(70, 78))  # about half of each lesion
        found = evaluate_detection(
            path, ["test"], cut, command="", work=tmp_path, draws=50, only=["intensity"]
        )
    assert found.metrics["pixel_ap"].value < 0.9
    missed = [row["outside_brain_mask"] / row["lesion_pixels"] for row in found.tables["patients"]]
    assert all(0.1 < share < 0.9 for share in missed)
    assert found.metrics["pixel_ap"].value == pytest.approx(1 - np.mean(missed), abs=0.1)


def test_leaves_out_figures_that_do_not_exist(tmp_path: Path) -> None:
    """One patient, whose slices without lesion are all far from those with."""
    path = manifest(tmp_path, ["train", "train", "test"])
    with Decoder() as decoder:
        found = evaluate_detection(
            path,
            ["test"],
            kit(decoder),
            command="",
            work=tmp_path,
            draws=10,
            only=["intensity"],
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
    path = manifest(tmp_path, ["train", "test"])
    with Decoder() as decoder, pytest.raises(SettingsError, match="1 patients with lesion-free"):
        evaluate_detection(path, ["test"], kit(decoder), command="", work=tmp_path)


def test_leaves_slices_next_to_the_lesion_out_and_keeps_lesions_nobody_scored() -> None:
    toy = toy_brain(generator(0, "rows"), slices=10)
    brain = np.ones_like(toy.brain)
    brain[..., 0] = False
    lesion = np.zeros_like(brain)
    lesion[20, 20, [0, 5]] = True
    scores = np.arange(10, dtype=np.float64)
    scores[0] = np.nan
    anomaly = Anomaly(toy.image, toy.image, toy.image, scores, 0.0)
    whole = Preprocessed(toy.image, brain, brain.copy(), toy.affine, 0.0, 1.0)
    rows = slice_rows(anomaly, Case(0, "", whole, lesion))
    assert rows[:, 0].tolist() == [-np.inf, 2, 3, 5, 7, 8, 9]
    assert rows[:, 1].tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert rows[0, 2] == 0.0
    assert rows[-1, 2] == 1.0


def test_draws_a_gallery_that_names_nobody(tmp_path: Path) -> None:
    marker = "Meier-1947"
    folder = tmp_path / marker
    folder.mkdir()
    path = manifest(folder, ["train", "train", "test", "test"], subject=marker)
    with Decoder() as decoder:
        found = evaluate_detection(
            path,
            ["test"],
            kit(decoder),
            command="as tested",
            work=tmp_path,
            draws=10,
            only=["position"],
            gallery=tmp_path / "gallery",
        )
    written = sorted((tmp_path / "gallery").iterdir())
    assert len(written) == 8
    for file in written:
        assert marker.encode() not in file.read_bytes()
    page = (tmp_path / "gallery" / INDEX).read_text(encoding="utf-8")
    numbers = {row["patient"] for row in found.tables["patients"]}
    assert {int(number) for number in re.findall(r"patient (\d+)", page)} <= numbers
    assert ".nii" not in page
