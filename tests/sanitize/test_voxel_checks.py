"""Volumes that are no image of a head, and the reason they are refused for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.records import Contrast, Scan, ScanHeader
from mri_guard.sanitize import VOXEL_CHECKS
from tests.dicom_files import SPACING, head


def scan(voxels: NDArray[np.generic], spacing: tuple[float, float, float]) -> Scan:
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=voxels.shape[2], spacing_mm=spacing)
    return Scan(voxels.astype(np.float32), np.diag([*spacing, 1.0]), header)


def first_reason(made: Scan) -> str | None:
    for check in VOXEL_CHECKS:
        if (rejection := check(made)) is not None:
            return rejection.reason
    return None


HEAD = head().T
MM = (SPACING[2], SPACING[1], SPACING[0])


def changed(value: float, share: float) -> NDArray[np.float32]:
    flat = HEAD.astype(np.float32).ravel()
    flat[: max(1, int(share * flat.size))] = value
    return flat.reshape(HEAD.shape)


def test_accepts_a_head() -> None:
    assert first_reason(scan(HEAD, MM)) is None


@pytest.mark.parametrize(
    ("voxels", "spacing", "reason"),
    [
        (changed(np.nan, 0), MM, "voxels-not-finite"),
        (changed(np.inf, 0), MM, "voxels-not-finite"),
        (changed(-np.inf, 1), MM, "voxels-not-finite"),
        (changed(np.nan, 1), MM, "voxels-not-finite"),
        (np.zeros((28, 32, 24)), MM, "voxels-constant"),
        (np.full((28, 32, 24), 7.5), MM, "voxels-constant"),
        (HEAD > 200, MM, "dynamic-range"),
        (HEAD // 60, MM, "dynamic-range"),
        (np.minimum(HEAD, 350), MM, "dynamic-range"),
        (HEAD[:, :, :5], MM, "too-few-slices"),
        (HEAD[:, :4, :], MM, "too-few-slices"),
        (HEAD, (6.5, 5.5, 13.0), "too-coarse"),
        (HEAD, (1.0, 1.0, 6.0), "extent-not-a-head"),
        (HEAD, (6.5, 5.5, 1.0), "extent-not-a-head"),
        (np.tile(HEAD, (5, 1, 1)), MM, "extent-not-a-head"),
    ],
)
def test_refuses_by_name(
    voxels: NDArray[np.generic], spacing: tuple[float, float, float], reason: str
) -> None:
    assert first_reason(scan(voxels, spacing)) == reason
