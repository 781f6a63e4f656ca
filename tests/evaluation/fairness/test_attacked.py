from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.attacks import Pgd
from mri_guard.calibration import ScoreCalibrator
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.fairness import evaluate_fairness
from mri_guard.evaluation.robustness.plan import suite
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from tests.evaluation.robustness.test_command import Here, head_is_brain
from tests.test_journey import KIT
from tests.toys import TINY, plain_fusion, toy_brain, with_lesion


@pytest.fixture(scope="module")
def kit() -> Kit:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Vae(TINY.model).eval().requires_grad_(False)
    return replace(
        KIT,
        decoder=Here(),
        preprocess=Preprocess(head_is_brain),
        scorer=VaeScorer(model, plain_fusion(0.1), TINY),
        calibrate=ScoreCalibrator((3.0, 4.0, 5.0), 0.05, 0.05, 5.2, "none", 4.9),
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    lines = ["scan,mask,subject,label,split,sequence,sex"]
    for number, (label, sex) in enumerate([("abnormal", "F"), ("healthy", "M")]):
        toy, mask = toy_brain(generator(0, "fair", number), slices=4, side=64, noise=0.02), ""
        if label == "abnormal":
            toy, lesion = with_lesion(toy, amount=0.8, radius=5.0)
            mask = "lesion.nii.gz"
            nib.save(nib.Nifti1Image(lesion.astype(np.uint8), toy.affine), folder / mask)
        voxels = np.where(toy.brain, 400 + 1000 * toy.image, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, toy.affine), folder / f"{number}.nii.gz")
        lines.append(f"{number}.nii.gz,{mask},p{number},{label},test,FLAIR,{sex}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def evaluate(manifest: Path, kit: Kit, work: Path, of_255: float, attack: Pgd) -> Evidence:
    return evaluate_fairness(
        manifest,
        ["test"],
        kit,
        command="x",
        work=work,
        attacks=[attack],
        of_255=[of_255],
        draws=20,
    )


def test_counts_the_furthest_that_attacks_took_each_score(
    manifest: Path, kit: Kit, tmp_path: Path
) -> None:
    evidence = evaluate(manifest, kit, tmp_path, 16.0, Pgd(steps=3))
    ill, well = evidence.tables["scans"]
    moved, clean = ill["attacked"]["16"], ill["clean"]
    assert moved["scan"] < clean["scan"]
    pairs = zip(moved["slices"], clean["slices"], ill["lesion"], strict=True)
    assert all(after <= before if lesion else after >= before for after, before, lesion in pairs)
    assert well["attacked"]["16"]["scan"] > well["clean"]["scan"]
    assert {row["of_255"] for row in evidence.tables["figures"]} == {None, 16.0}
    assert "slice_sensitivity_16_255" in evidence.metrics
    # Answers lie where evaluate robustness looks for them, and are not asked for again.
    answers = {path: path.stat().st_mtime_ns for path in (tmp_path / "robustness").iterdir()}
    again = evaluate(manifest, kit, tmp_path, 16.0, Pgd(steps=3))
    assert again.tables == evidence.tables
    assert answers == {path: path.stat().st_mtime_ns for path in answers}


def test_refuses_an_attack_that_is_not_on_every_voxel(
    manifest: Path, kit: Kit, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="pgd_l2: not an attack on every voxel"):
        evaluate_fairness(
            manifest, ["test"], kit, command="x", work=tmp_path, attacks=suite(["pgd_l2"]),
            of_255=[4.0],
        )  # fmt: skip
