"""The command line with the shipped bundle, as an engineer would use it."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

import bundles
from mri_guard.cli import app
from mri_guard.determinism import generator
from mri_guard.phantom import (
    LesionKind,
    PhantomParameters,
    draw_parameters,
    render,
    write_dicom_series,
    write_phantoms,
)
from mri_guard.records import Contrast

runner = CliRunner()


def _head(*kinds: LesionKind, contrast: Contrast = Contrast.FLAIR) -> PhantomParameters:
    return draw_parameters(generator(11, "command line"), contrast, kinds, 20, 7.0)


def _large(parameters: PhantomParameters) -> PhantomParameters:
    lesion = parameters.lesions[0].model_copy(update={"radius_mm": 18.0, "strength": 0.6})
    return parameters.model_copy(update={"lesions": (lesion,)})


def _series(folder: Path, parameters: PhantomParameters) -> Path:
    phantom = render(parameters)
    write_dicom_series(phantom.voxels, phantom.affine, folder, parameters.contrast, seed=1)
    return folder


def _screen(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    ran = runner.invoke(app, ["screen", "--json", *map(str, arguments)])
    assert ran.stdout, ran.stderr
    return ran.exit_code, json.loads(ran.stdout)


def test_sends_a_large_lesion_to_review_with_map_and_picture(tmp_path: Path) -> None:
    series = _series(tmp_path / "in", _large(_head(LesionKind.BRIGHT)))
    status, rows = _screen(series, "--out", tmp_path / "out")
    assert status == 1
    decision = rows[0]["examination"]["decision"]
    assert decision["outcome"] == "review"
    assert {Path(file).name for file in rows[0]["files"]} == {
        "examination.json",
        "map.nii.gz",
        "picture.png",
        "signed_map.nii.gz",
    }
    assert nib.load(tmp_path / "out" / "in" / "map.nii.gz").shape == (256, 256, 20)


def test_folder_zip_and_nifti_of_one_scan_get_the_same_score(tmp_path: Path) -> None:
    parameters = _head()
    series = _series(tmp_path / "scan", parameters)
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in series.iterdir():
            file.write(path, path.name)
    phantom = render(parameters)
    nifti = tmp_path / "scan_flair.nii.gz"
    nib.save(nib.Nifti1Image(phantom.voxels, phantom.affine), nifti)
    _, rows = _screen(series, archive, nifti)
    scores = [row["examination"]["calibrated"]["score"] for row in rows]
    assert scores[1] == scores[0]
    assert scores[2] == pytest.approx(scores[0], rel=1e-4)  # DICOM rounds positions


def test_holds_a_contrast_the_bundle_does_not_know(tmp_path: Path) -> None:
    status, rows = _screen(_series(tmp_path / "in", _head(contrast=Contrast.T1)))
    examination = rows[0]["examination"]
    assert status == 1
    assert examination["decision"]["outcome"] == "quarantine"
    assert examination["decision"]["reasons"] == ["contrast-not-in-bundle"]
    assert examination["calibrated"] is None


def test_sanitize_says_what_each_check_found(tmp_path: Path) -> None:
    series = _series(tmp_path / "in", _head())
    ran = runner.invoke(app, ["sanitize", "--json", str(series)])
    assert ran.exit_code == 0
    assert all(check["passed"] for check in json.loads(ran.stdout)[0]["checks"])

    (series / "0003.dcm").write_bytes(b"\xff\xd8\xff\xe0 not DICOM")
    ran = runner.invoke(app, ["sanitize", "--json", str(series)])
    assert ran.exit_code == 1


def test_evaluates_what_stands_before_the_model(tmp_path: Path) -> None:
    _series(tmp_path / "clean", _head())
    _series(tmp_path / "t1", _head(contrast=Contrast.T1))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "scan,mask,subject,label,split,expected\n"
        "clean,,clean,healthy,test,accepted\n"
        "t1,,t1,healthy,test,contrast-not-in-bundle\n"
    )
    out = tmp_path / "evidence.json"
    command = ["evaluate", "sanitization", "--manifest", manifest, "--out", out]
    ran = runner.invoke(app, [*map(str, command)])
    assert ran.exit_code == 0, ran.stderr
    assert "contrast_known" in ran.stdout
    metrics = json.loads(out.read_text())["metrics"]
    assert {name: metrics[name]["value"] for name in ("caught", "named", "false_rejects")} == {
        "caught": 1,
        "named": 1,
        "false_rejects": 0,
    }


def test_writes_the_hostile_corpus_into_a_new_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("somebody's")
    ran = runner.invoke(app, ["hostile", "--out", str(tmp_path)])
    assert ran.exit_code == 3
    assert "not empty" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_learns_no_limits_without_a_manifest(tmp_path: Path) -> None:
    command = ["calibrate-checks", "--manifest", tmp_path / "none.csv", "--out", tmp_path / "out"]
    ran = runner.invoke(app, [*map(str, command), "--version", "1"])
    assert ran.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_exits_3_when_the_bundle_is_broken(tmp_path: Path) -> None:
    broken = tmp_path / "bundle"
    shutil.copytree(bundles.DEFAULT, broken)
    (broken / "model_card.md").write_text("another card")
    scan = tmp_path / "x.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4)), scan)
    ran = runner.invoke(app, ["screen", "--bundle", str(broken), str(scan)])
    assert ran.exit_code == 3
    assert "model_card.md has SHA-256" in ran.stderr.replace("\n", "")


def test_exits_2_when_called_wrongly() -> None:
    assert runner.invoke(app, ["screen"]).exit_code == 2
    assert runner.invoke(app, ["phantom", "--out", "x", "--contrast", "T2"]).exit_code == 2


def test_exits_1_when_there_is_nothing_to_screen(tmp_path: Path) -> None:
    ran = runner.invoke(app, ["screen", str(tmp_path / "nowhere")])
    assert ran.exit_code == 1


def test_evaluates_detection_on_phantoms(tmp_path: Path) -> None:
    manifests = [
        write_phantoms(
            tmp_path / split,
            2,
            seed,
            split=split,
            prefix=split,
            lesioned_share=1.0,
            slices=(20, 20),
        )
        for seed, split in enumerate(("train", "test"))
    ]
    joined = tmp_path / "manifest.csv"
    lines = [path.read_text().splitlines() for path in manifests]
    rows = [lines[0][0]]
    for path, some in zip(manifests, lines, strict=True):
        here = path.parent.name
        for line in some[1:]:
            scan, mask, subject, rest = line.split(",", 3)
            rows.append(f"{here}/{scan},{here}/{mask},{here}-{subject},{rest}")
    joined.write_text("\n".join(rows) + "\n")
    out = tmp_path / "evidence.json"
    asked = ["--manifest", str(joined), "--out", str(out), "--only", "intensity"]
    asked += ["--gallery", str(tmp_path / "gallery")]
    ran = runner.invoke(app, ["evaluate", "detection", *asked])
    assert ran.exit_code == 0, ran.stderr
    assert "data:image/png" in (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    metrics = json.loads(out.read_text())["metrics"]
    for name in ("pixel_ap", "best_dice", "matched_slice_auroc", "intensity_pixel_ap"):
        assert 0 <= metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"] <= 1
        assert metrics[name]["n"] == 2


def test_trains_one_configuration_at_a_time(tmp_path: Path) -> None:
    command = ["train", "--manifest", "none.csv", "--out", str(tmp_path), "--large", "--volume"]
    ran = runner.invoke(app, command)
    assert ran.exit_code == 2
    assert "wanted one" in ran.stderr
