import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.errors import SettingsError
from mri_guard.readers import Decoder
from mri_guard.readers.dicom_series import read_series
from mri_guard.records import CheckResult, Contrast, Format, InstanceHeader, Rejection, Source
from mri_guard.sanitize import (
    HEADER_CHECKS,
    NIFTI_CHECKS,
    SERIES_CHECKS,
    VOXEL_CHECKS,
    Sanitizer,
)
from mri_guard.sanitize.sanitizer import READ
from tests.dicom_files import head, write_series


@dataclass(frozen=True)
class Raises:
    name: str = "raises"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        raise ZeroDivisionError("a patient's name")


@dataclass(frozen=True)
class NeverReached:
    name: str = "never_reached"

    def __call__(self, instance: InstanceHeader | Sequence[InstanceHeader], /) -> Rejection | None:
        raise AssertionError("must not run")


def source(paths: list[Path], contrast: Contrast | None = None) -> Source:
    return Source(tuple(paths), Format.DICOM, contrast)


def failed(results: tuple[CheckResult, ...]) -> CheckResult:
    assert all(result.passed for result in results[:-1])
    assert not results[-1].passed
    return results[-1]


def test_gives_one_result_a_check_and_the_digest_of_each_file(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    results, digests = Sanitizer().check_headers(source(paths))
    names = [check.name for check in HEADER_CHECKS] + [check.name for check in SERIES_CHECKS]
    assert [result.name for result in results] == [READ, *names]
    assert all(result.passed and not result.reason for result in results)
    assert sum(result.milliseconds for result in results) > 0
    assert digests == tuple(sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in paths))


def test_records_what_was_repaired(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    whole = [path.read_bytes() for path in paths]
    for path, content in zip(paths[:3], whole, strict=False):
        path.write_bytes(content[132:])
    results, digests = Sanitizer().check_headers(source(paths))
    assert all(result.passed for result in results)
    assert results[0].detail == "preamble derived for 3 of 24"
    assert hashlib.sha256(whole[0][132:]).hexdigest() in digests  # of what came, not of the repair
    with Decoder() as decoder:
        repaired = decoder(source(paths)).voxels
        for path, content in zip(paths, whole, strict=True):
            path.write_bytes(content)
        assert np.array_equal(repaired, decoder(source(paths)).voxels)


def test_runs_every_voxel_check(tmp_path: Path) -> None:
    results = Sanitizer().check_voxels(read_series(write_series(tmp_path)))
    assert [result.name for result in results] == [check.name for check in VOXEL_CHECKS]
    assert all(result.passed for result in results)


def test_says_how_many_instances_failed_and_looks_no_further(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    for path in paths[3:5]:
        path.write_bytes(path.read_bytes()[:-10])
    results, digests = Sanitizer().check_headers(source(paths))
    worst = failed(results)
    assert (worst.name, worst.reason) == ("pixel_geometry", "pixel-data-short")
    assert worst.detail == "2 of 24 instances: 1782 bytes seen; 1792 wanted"
    assert len(digests) == 24


def test_stops_a_family_at_its_first_failure(tmp_path: Path) -> None:
    sanitizer = Sanitizer(header_checks=(Raises(), NeverReached()), series_checks=(NeverReached(),))
    (_, result), _ = sanitizer.check_headers(source(write_series(tmp_path)))
    assert not result.passed


def test_takes_a_check_that_raises_for_a_failed_one(tmp_path: Path) -> None:
    sanitizer = Sanitizer(header_checks=(Raises(),))
    (_, result), _ = sanitizer.check_headers(source(write_series(tmp_path)))
    assert result.reason == "check-failed"
    assert result.detail == "ZeroDivisionError in raises"


@pytest.mark.parametrize(
    "family", ["header_checks", "series_checks", "nifti_checks", "voxel_checks"]
)
def test_cannot_be_made_without_checks(family: str) -> None:
    with pytest.raises(SettingsError, match=f"{family} is empty"):
        Sanitizer(**{family: ()})


def test_knows_the_contrasts_of_its_bundle(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    assert (
        Sanitizer.for_contrasts([Contrast.T1, Contrast.FLAIR])
        .check_headers(source(paths))[0][-1]
        .passed
    )
    worst = failed(Sanitizer.for_contrasts([Contrast.T1]).check_headers(source(paths))[0])
    assert worst.reason == "contrast-not-in-bundle"
    assert worst.detail == "seen FLAIR, the bundle knows T1"


def test_hears_what_the_caller_says_of_the_contrast(tmp_path: Path) -> None:
    worst = failed(Sanitizer().check_headers(source(write_series(tmp_path), Contrast.T1))[0])
    assert worst.reason == "contrast-unknown"  # the header says FLAIR


def nifti(path: Path, contrast: Contrast | None) -> Source:
    nib.save(nib.Nifti1Image(head().T.astype(np.int16), np.eye(4)), path)
    return Source((path,), Format.NIFTI, contrast)


def test_runs_what_applies_to_nifti(tmp_path: Path) -> None:
    said = nifti(tmp_path / "a.nii.gz", Contrast.FLAIR)
    results, digests = Sanitizer().check_headers(said)
    names = [check.name for check in NIFTI_CHECKS]
    assert [result.name for result in results] == [READ, *names, "contrast_known"]
    assert all(result.passed for result in results)
    assert digests == (hashlib.sha256(said.files[0].read_bytes()).hexdigest(),)


def test_refuses_nifti_of_unknown_contrast(tmp_path: Path) -> None:
    worst = failed(Sanitizer().check_headers(nifti(tmp_path / "a.nii", None))[0])
    assert worst.reason == "contrast-unknown"


def test_refuses_what_is_no_nifti(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"no image"))
    said = Source((path,), Format.NIFTI, Contrast.FLAIR)
    assert failed(Sanitizer().check_headers(said)[0]).reason == "not-nifti"
