import numpy as np
import pytest

from mri_guard.defences import TRANSFORMATIONS, BitDepth, Median
from mri_guard.determinism import generator


def test_median_removes_a_single_bad_pixel() -> None:
    image = np.zeros((9, 9, 2), dtype=np.float32)
    image[4, 4, 0] = 1.0
    assert not Median()(image).any()


def test_median_does_not_reach_across_slices() -> None:
    image = np.zeros((5, 5, 3), dtype=np.float32)
    image[..., 1] = 1.0
    assert np.array_equal(Median()(image), image)


def test_bit_depth_leaves_its_own_grid_alone() -> None:
    image = generator(0, "bits").uniform(-0.2, 1.4, (6, 6, 2)).astype(np.float32)
    once = BitDepth(bits=3)(image)
    assert np.array_equal(BitDepth(bits=3)(once), once)
    assert np.abs(once - image).max() <= 0.5 / 7 + 1e-6


@pytest.mark.parametrize("transform", TRANSFORMATIONS, ids=lambda transform: transform.name)
def test_keeps_a_constant_image(transform: BitDepth | Median) -> None:
    image = np.full((7, 7, 3), 1.0, dtype=np.float32)
    result = transform(image)
    assert np.array_equal(result, image)
    assert result.dtype == np.float32
