from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.errors import SettingsError
from mri_guard.readers.manifest import digest, lesion_on_grid, read_manifest
from mri_guard.records import Contrast

HEADER = "scan,mask,subject,label,split,sequence,sex\n"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "a.nii").touch()
    (folder / "m.nii").touch()
    path = folder / "manifest.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def test_reads_paths_beside_the_manifest_and_further_columns_as_attributes(tmp_path: Path) -> None:
    one, two = read_manifest(
        write(tmp_path, "a.nii,m.nii,s1,abnormal,test,flair,F", "a.nii,,s2,healthy,,,M")
    )
    assert (one.scan, one.mask) == (tmp_path / "a.nii", tmp_path / "m.nii")
    assert (one.contrast, one.attributes) == (Contrast.FLAIR, {"sex": "F"})
    assert (two.mask, two.contrast, two.split) == (None, None, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.nii,,s1,ill,test,,", "line 2: label"),
        ("a.nii,,s1,healthy,exam,,", "line 2: split"),
        ("gone.nii,,s1,healthy,test,,", "line 2: the scan or its mask"),
        ("a.nii,gone.nii,s1,healthy,test,,", "line 2: the scan or its mask"),
        ("a.nii,,s1,healthy,test,CT,", "line 2: a column"),
    ],
)
def test_names_the_line_that_does_not_fit(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_manifest(write(tmp_path, line))


def test_refuses_a_manifest_without_its_columns(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lacks the columns mask, label, split"):
        read_manifest(write(tmp_path, "a.nii,s1", header="scan,subject\n"))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_manifest(tmp_path / "gone.csv")


def test_changes_its_digest_with_a_byte(tmp_path: Path) -> None:
    path = write(tmp_path, "a.nii,,s1,healthy,,,")
    before = digest(path)
    path.write_text(path.read_text() + "\n")
    assert digest(path) != before


def test_brings_a_lesion_to_a_grid_half_as_fine_wherever_it_lies(tmp_path: Path) -> None:
    lesion = np.zeros((16, 16, 4), dtype=np.uint8)
    lesion[4:8, 6:10, 2] = 1
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])  # axes run to the left and to the back
    nib.save(nib.Nifti1Image(lesion, affine), tmp_path / "lesion.nii.gz")
    grid = np.diag([2.0, 2.0, 5.0, 1.0])
    grid[:2, 3] = -14.5  # the middle of each new pixel lies between four old ones
    found = lesion_on_grid(tmp_path / "lesion.nii.gz", grid, (8, 8, 4))
    assert found.sum() == 4
    assert found[4:6, 3:5, 2].all()
