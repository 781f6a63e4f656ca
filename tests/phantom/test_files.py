import csv
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from mri_guard.determinism import generator
from mri_guard.phantom import (
    LesionKind,
    draw_parameters,
    render,
    write_dicom_series,
    write_phantoms,
)
from mri_guard.records import Contrast
from tests.peers import peer


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("phantoms"), 3, seed=1, slices=(10, 12))


def test_manifest_names_files_that_exist_and_fit_each_other(phantoms: Path) -> None:
    with phantoms.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["abnormal", "abnormal", "healthy"]
    for row in rows:
        scan = nib.load(phantoms.parent / row["scan"])
        assert scan.get_data_dtype() == np.int16
        if row["label"] == "abnormal":
            mask = nib.load(phantoms.parent / row["mask"])
            assert mask.shape == scan.shape
            assert np.array_equal(mask.affine, scan.affine)
            assert np.asarray(mask.dataobj).any()
        else:
            assert row["mask"] == ""


def test_same_seed_writes_the_same_bytes(phantoms: Path, tmp_path: Path) -> None:
    again = write_phantoms(tmp_path, 1, seed=1, lesioned_share=1.0, slices=(10, 12))
    first = "scans/phantom0000_flair.nii.gz"
    assert (again.parent / first).read_bytes() == (phantoms.parent / first).read_bytes()


def test_takes_pixels_of_several_sizes_in_turn(tmp_path: Path) -> None:
    written = write_phantoms(tmp_path, 3, seed=1, slices=(10, 12), pixels_mm=(2.0, 3.2))
    scans = [nib.load(path) for path in sorted((written.parent / "scans").iterdir())]
    for scan, pixel_mm in zip(scans, (2.0, 3.2, 2.0), strict=True):
        x_mm, y_mm, _ = scan.header.get_zooms()
        assert (x_mm, y_mm) == pytest.approx((pixel_mm, pixel_mm))
        assert scan.shape[0] * pixel_mm == pytest.approx(256, abs=pixel_mm)
    with pytest.raises(ValueError, match="in_plane"):
        write_phantoms(tmp_path, 1, seed=1, pixels_mm=(0.3,))


@pytest.mark.parametrize("contrast", [Contrast.FLAIR, Contrast.T1])
def test_dicom_has_no_error_line_from_dciodvfy(contrast: Contrast, tmp_path: Path) -> None:
    validator = peer("dciodvfy")
    phantom = render(draw_parameters(generator(2, "dicom"), contrast, slices=8, spacing_mm=15.0))
    paths = write_dicom_series(phantom.voxels, phantom.affine, tmp_path, contrast, seed=2)
    for path in (paths[0], paths[-1]):
        ran = subprocess.run([validator, path], capture_output=True, text=True, check=False)
        report = ran.stdout + ran.stderr
        assert "MRImage" in report
        assert [line for line in report.splitlines() if line.startswith("Error")] == []


def test_dcm2niix_reads_the_same_volume_back(tmp_path: Path) -> None:
    converter = peer("dcm2niix")
    drawn = draw_parameters(generator(3, "dicom"), Contrast.FLAIR, (LesionKind.BRIGHT,), 9, 14.0)
    phantom = render(drawn)
    write_dicom_series(phantom.voxels, phantom.affine, tmp_path / "in", Contrast.FLAIR, seed=3)
    (tmp_path / "out").mkdir()
    subprocess.run(
        [converter, "-o", tmp_path / "out", "-f", "x", tmp_path / "in"],
        capture_output=True,
        check=True,
    )
    converted = nib.as_closest_canonical(nib.load(tmp_path / "out" / "x.nii"))
    assert np.array_equal(np.asarray(converted.dataobj), phantom.voxels)
    np.testing.assert_allclose(converted.affine, phantom.affine, atol=1e-3)


def test_dicom_rounds_fractions_to_the_nearest_integer(tmp_path: Path) -> None:
    voxels = np.full((4, 4, 2), 10.7)
    paths = write_dicom_series(voxels, np.eye(4), tmp_path, Contrast.FLAIR, seed=0)
    assert (dcmread(paths[0]).pixel_array == 11).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_dicom_refuses_a_voxel_that_is_no_intensity(value: float, tmp_path: Path) -> None:
    voxels = np.zeros((4, 4, 2))
    voxels[1, 2, 1] = value
    with pytest.raises(ValueError, match=r"wanted 0\.\.4095"):
        write_dicom_series(voxels, np.eye(4), tmp_path, Contrast.FLAIR, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_dicom_refuses_voxels_that_do_not_fit_twelve_bits(tmp_path: Path) -> None:
    voxels = np.full((4, 4, 2), 4096, dtype=np.int16)
    with pytest.raises(ValueError, match="4096"):
        write_dicom_series(voxels, np.eye(4), tmp_path, Contrast.FLAIR, seed=0)
