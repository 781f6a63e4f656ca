import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.errors import SeriesError
from mri_guard.preprocess.grid import centre, resample, to_scan_grid
from mri_guard.preprocess.orientation import spacing_mm, to_ras
from tests.preprocess.heads import scan_of


def blob(
    shape: tuple[int, int, int], affine: np.ndarray, at: np.ndarray, width_mm: float = 8.0
) -> np.ndarray:
    index = np.indices(shape).reshape(3, -1)
    away = affine[:3, :3] @ index + affine[:3, 3:] - at[:, None]
    values: np.ndarray = np.exp(-0.5 * (away**2).sum(axis=0) / width_mm**2)
    return values.reshape(shape).astype(np.float32)


def centre_of_mass(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    index = np.indices(volume.shape).reshape(3, -1)
    weights = volume.ravel() / volume.sum()
    world: np.ndarray = affine[:3, :3] @ (index @ weights) + affine[:3, 3]
    return world


@settings(max_examples=12, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.5, 3.0), st.floats(0.5, 3.0), st.floats(0.8, 6.0)),
    tilt=st.floats(-0.3, 0.3),
    seed=st.integers(0, 1000),
)
def test_keeps_a_blob_where_it_is_in_the_world(
    spacing: tuple[float, float, float], tilt: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(spacing)
    affine[:3, 3] = rng.uniform(-90, 0, 3)
    shape = tuple(int(110 / step) for step in spacing)
    at = affine[:3, :3] @ (np.array(shape) / 2) + affine[:3, 3] + rng.uniform(-10, 10, 3)

    image, new_affine = resample(blob(shape, affine, at), affine)  # type: ignore[arg-type]
    head = image > 0.5
    image, head, new_affine = centre(image, head, new_affine)

    assert image.shape[:2] == head.shape[:2] == (128, 128)
    assert spacing_mm(new_affine) == pytest.approx((2.0, 2.0, max(2.0, spacing[2])))
    assert np.linalg.norm(centre_of_mass(image, new_affine) - at) < 0.5
    x, y = (np.flatnonzero(head.any(axis=other)) for other in ((1, 2), (0, 2)))
    assert abs(x[0] + x[-1] - 127) <= 1
    assert abs(y[0] + y[-1] - 127) <= 1


def test_averages_thin_slices_and_leaves_thick_ones_alone() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((40, 40, 40)).astype(np.float32)
    thin, _ = resample(noise, np.diag([2.0, 2.0, 0.5, 1.0]))
    thick, _ = resample(noise, np.diag([2.0, 2.0, 3.1, 1.0]))
    assert thin.shape == (40, 40, 10)
    assert thin.std() < 0.6
    np.testing.assert_array_equal(thick, noise)


def test_does_not_alias_a_pattern_finer_than_its_pixels() -> None:
    stripes = np.tile(np.array([0.0, 1.0], np.float32)[:, None, None], (100, 200, 4))
    image, _ = resample(stripes, np.diag([0.5, 0.5, 3.0, 1.0]))
    np.testing.assert_allclose(image[1:-1], 0.5, atol=0.02)


def test_keeps_a_constant_constant() -> None:
    image, _ = resample(np.full((31, 47, 13), 7, np.float32), np.diag([0.7, 3.0, 1.3, 1.0]))
    np.testing.assert_allclose(image, 7, rtol=1e-6)


def test_accepts_a_single_slice() -> None:
    image, affine = resample(np.ones((50, 50, 1), np.float32), np.eye(4))
    assert image.shape == (25, 25, 1)
    assert affine[2, 3] == 0


@pytest.mark.parametrize(
    ("spacing", "reason"),
    [((5.0, 1.0, 1.0), "in-plane-too-coarse"), ((1.0, 1.0, 13.0), "slices-too-far-apart")],
)
def test_refuses_spacing_the_model_cannot_use(
    spacing: tuple[float, float, float], reason: str
) -> None:
    with pytest.raises(SeriesError) as caught:
        resample(np.ones((8, 8, 8), np.float32), np.diag([*spacing, 1.0]))
    assert caught.value.reason == reason
    assert "mm" in caught.value.detail


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_brings_a_map_back_onto_the_scan_however_it_was_stored(
    axes: tuple[int, int, int], sign: int
) -> None:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, axis in enumerate(axes):
        affine[axis, column] = (1.2, sign * 1.5, 2.6)[axis]
    shape = tuple((90, 80, 40)[axis] for axis in axes)
    middle = affine[:3, :3] @ (np.array(shape) / 2)
    original = blob(shape, affine, middle, width_mm=15)  # type: ignore[arg-type]
    scan = scan_of(original, affine)

    ras, ras_affine = to_ras(scan.voxels, scan.affine)
    image, model_affine = resample(ras, ras_affine)
    image, _, model_affine = centre(image, image > 0.3, model_affine)
    back = to_scan_grid(image, model_affine, scan)

    assert back.shape == original.shape
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, original, atol=0.02)


def test_is_zero_where_the_map_does_not_reach() -> None:
    scan = scan_of(np.zeros((300, 20, 5), np.float32), np.diag([1.0, 1.0, 4.0, 1.0]))
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    back = to_scan_grid(np.ones((128, 128, 5), np.float32), affine, scan)
    np.testing.assert_array_equal(back[:255], 1)
    np.testing.assert_array_equal(back[256:], 0)
