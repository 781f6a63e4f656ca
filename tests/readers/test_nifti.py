import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.errors import InputError
from mri_guard.readers.nifti import read_nifti
from mri_guard.records import Contrast

AFFINE = np.array([[-2.0, 0, 0.1, 90], [0, 2, 0.3, -126], [0.1, -0.3, 4, -72], [0, 0, 0, 1]])


def saved(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_reads_voxels_and_affine_as_nibabel_does(tmp_path: Path, name: str) -> None:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scan = read_nifti(saved(tmp_path / name, voxels), Contrast.FLAIR)
    assert np.array_equal(scan.voxels, voxels)
    assert np.allclose(scan.affine, AFFINE, atol=1e-6)
    assert scan.header.contrast is Contrast.FLAIR
    assert scan.header.slice_count == 4  # along the coarsest axis
    assert np.allclose(scan.header.spacing_mm, np.linalg.norm(AFFINE[:3, :3], axis=0))


def test_applies_slope_and_intercept(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), AFFINE)
    image.header.set_slope_inter(2.0, -3.0)
    nib.save(image, tmp_path / "a.nii")
    stored = np.asarray(nib.load(tmp_path / "a.nii").dataobj)
    assert np.array_equal(read_nifti(tmp_path / "a.nii").voxels, stored)


def test_accepts_one_volume_on_a_fourth_axis(tmp_path: Path) -> None:
    scan = read_nifti(saved(tmp_path / "a.nii", np.ones((2, 3, 4, 1), dtype=np.float32)))
    assert scan.voxels.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.ones((2, 3, 4, 5), np.int16), "several-volumes"),
        (np.ones((2, 3), np.int16), "no-volume"),
        (np.ones((2, 3, 4), np.complex64), "not-real-numbers"),
    ],
)
def test_refuses_what_is_not_one_volume_of_numbers(
    tmp_path: Path, voxels: NDArray[np.generic], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_nifti(saved(tmp_path / "a.nii", voxels))
    assert caught.value.reason == reason


@pytest.mark.parametrize("row", [(np.nan, 0, 0, 0), (np.inf, 0, 0, 0), (0, 0, 0, 5)])
def test_refuses_an_affine_that_maps_nowhere(tmp_path: Path, row: tuple[float, ...]) -> None:
    header = bytearray(claiming((2, 2, 2)))
    header[280:296] = np.array(row, "<f4").tobytes()  # srow_x
    (tmp_path / "a.nii").write_bytes(header + b"\0" * 16)
    with pytest.raises(InputError) as caught:
        read_nifti(tmp_path / "a.nii")
    assert caught.value.reason == "affine-not-sane"


def claiming(shape: tuple[int, int, int]) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(AFFINE, code=1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return bytes(header.binaryblock) + b"\0" * 4


def test_refuses_a_claim_of_ten_gigabytes_by_arithmetic(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(claiming((1500, 1500, 1200))))
    with pytest.raises(InputError) as caught:
        read_nifti(tmp_path / "a.nii.gz")
    assert caught.value.reason == "too-many-voxels"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_refuses_voxels_that_end_early(tmp_path: Path, name: str) -> None:
    content = claiming((64, 64, 64)) + b"\0" * 1000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError) as caught:
        read_nifti(tmp_path / name)
    assert caught.value.reason == "pixel-data-short"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0", b"\x1f\x8b\x08\0 broken", b"\0" * 400]
)
def test_refuses_what_is_no_nifti(tmp_path: Path, content: bytes) -> None:
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_nifti(tmp_path / name)
        assert caught.value.reason == "not-nifti"
