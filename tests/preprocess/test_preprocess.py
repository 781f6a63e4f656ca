import numpy as np
import pytest

from mri_guard.errors import SeriesError
from mri_guard.preprocess import Preprocess, check_plausible
from mri_guard.preprocess.orientation import to_ras
from mri_guard.records import Scan
from tests.preprocess.heads import ellipsoid_brain, head_scan, scan_of

PREPROCESS = Preprocess(ellipsoid_brain)


def world_centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    world: np.ndarray = affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
    return world


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 4.0), (0.8, 0.8, 1.0), (2.0, 2.0, 6.5)])
def test_puts_any_geometry_on_the_models_grid(spacing: tuple[float, float, float]) -> None:
    result = PREPROCESS(head_scan(spacing))
    assert result.image.shape == result.brain.shape == result.head.shape
    assert result.image.shape[:2] == (128, 128)
    assert np.percentile(result.image[result.brain], (1, 99)) == pytest.approx((0, 1), abs=1e-5)
    assert not result.image[~result.head].any()
    assert not (result.brain & ~result.head).any()
    away = world_centre(result.brain, result.affine) - (5, -20, 12)
    assert np.abs(away).max() < 1.0
    volume_ml = result.brain.sum() * abs(np.linalg.det(result.affine[:3, :3])) / 1000
    assert volume_ml == pytest.approx(4 / 3 * np.pi * 7.0 * 9.0 * 7.5, rel=0.08)


def test_gives_the_same_image_however_the_axes_are_stored() -> None:
    scan = head_scan((1.5, 1.5, 3.0))
    sagittal = np.ascontiguousarray(np.transpose(scan.voxels, (1, 2, 0))[::-1, ::-1])
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    affine[:, 0], affine[:, 1], affine[:, 2] = -scan.affine[:, 1], -scan.affine[:, 2], 0
    affine[:3, 2] = scan.affine[:3, 0]
    last = np.array(scan.voxels.shape) - 1
    affine[:3, 3] = scan.affine[:3, :3] @ (0, last[1], last[2]) + scan.affine[:3, 3]
    np.testing.assert_array_equal(to_ras(sagittal, affine)[0], scan.voxels)

    one, two = PREPROCESS(scan), PREPROCESS(scan_of(sagittal, affine))
    np.testing.assert_allclose(one.image, two.image, atol=1e-5)
    np.testing.assert_allclose(one.affine, two.affine, atol=1e-9)


def test_leaves_the_scan_as_it_was() -> None:
    scan = head_scan((2.0, 2.0, 5.0))
    before = scan.voxels.copy()
    PREPROCESS(scan)
    np.testing.assert_array_equal(scan.voxels, before)


def refuse(scan: Scan, preprocess: Preprocess = PREPROCESS) -> str:
    with pytest.raises(SeriesError) as caught:
        preprocess(scan)
    return caught.value.reason


def test_refuses_an_empty_image() -> None:
    assert refuse(scan_of(np.zeros((64, 64, 5), np.float32), np.eye(4))) == "no-head-found"


def test_refuses_what_has_no_brain() -> None:
    none = Preprocess(lambda image, head, spacing_mm: np.zeros_like(head))
    assert refuse(head_scan((2.0, 2.0, 5.0)), none) == "no-brain-found"


def test_refuses_a_whole_brain_of_the_wrong_size() -> None:
    small = np.zeros((128, 128, 11), np.bool_)
    small[40:75, 40:75, 3:8] = True
    with pytest.raises(SeriesError, match=r"brain-implausible: brain of 98 ml, 500 to 3500 ml"):
        check_plausible(small, 4.0)
    with pytest.raises(SeriesError, match="brain-implausible"):
        check_plausible(np.ones((128, 128, 60), np.bool_), 4.0)


def test_accepts_part_of_a_brain_cut_by_the_stacks_end() -> None:
    slab = np.zeros((128, 128, 3), np.bool_)
    slab[40:90, 40:90] = True
    check_plausible(slab, 5.0)
