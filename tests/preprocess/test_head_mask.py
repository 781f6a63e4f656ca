import numpy as np
import pytest

from mri_guard.preprocess.grid import resample
from mri_guard.preprocess.head_mask import head_mask
from tests.preprocess.heads import head_scan


@pytest.mark.parametrize("noise", [0.0, 40.0, 100.0])
def test_covers_the_head_and_little_else_under_noise(noise: float) -> None:
    scan = head_scan()
    image, _ = resample(scan.voxels, scan.affine)
    truth = image > 30
    rng = np.random.default_rng(0)
    noisy = np.hypot(
        image + noise * rng.standard_normal(image.shape), noise * rng.standard_normal(image.shape)
    )
    mask = head_mask(noisy.astype(np.float32))
    overlap = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert overlap > 0.95


def test_is_empty_for_an_image_of_one_value() -> None:
    assert not head_mask(np.full((20, 20, 3), 5, np.float32)).any()
