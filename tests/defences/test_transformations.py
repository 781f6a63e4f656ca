from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mri_guard.defences import BitDepth, Jpeg, Median, NonLocalMeans, ResizePad, TotalVariation
from mri_guard.determinism import generator


def _step(noise: float = 0.0) -> NDArray[np.float32]:
    """Two halves, 0 and 1, with noise."""
    image = np.zeros((32, 32, 2), dtype=np.float32)
    image[16:] = 1.0
    return image + noise * generator(0, "step").standard_normal(image.shape).astype(np.float32)


def test_median_removes_a_single_bad_pixel() -> None:
    image = np.zeros((9, 9, 2), dtype=np.float32)
    image[4, 4, 0] = 1.0
    assert not Median()(image).any()


def test_bit_depth_leaves_its_own_grid_alone() -> None:
    image = generator(0, "bits").uniform(-0.2, 1.4, (6, 6, 2)).astype(np.float32)
    once = BitDepth(bits=3)(image)
    assert np.array_equal(BitDepth(bits=3)(once), once)
    assert np.abs(once - image).max() <= 0.5 / 7 + 1e-6


def test_jpeg_is_what_pillow_writes_and_reads() -> None:
    levels = generator(0, "jpeg").integers(0, 256, (24, 16)).astype(np.uint8)
    written = BytesIO()
    Image.fromarray(levels).save(written, format="JPEG", quality=40)
    wanted = np.asarray(Image.open(written)) / 255
    image = (levels / 255).astype(np.float32)[..., None]
    through = Jpeg(quality=40, low=0.0, high=1.0)(image)
    np.testing.assert_allclose(through[..., 0], wanted, atol=1e-6)


def test_jpeg_cuts_off_beyond_its_window() -> None:
    image = np.full((8, 8, 1), 7.0, dtype=np.float32)
    assert (Jpeg()(image) == 2.0).all()
    assert (Jpeg()(-image) == -0.5).all()


def test_jpeg_of_higher_quality_is_nearer() -> None:
    image = _step(0.1)
    worse, better = (np.abs(Jpeg(quality=q)(image) - image).mean() for q in (20, 95))
    assert better < worse / 2


def test_resizing_leaves_straight_lines_where_they_are() -> None:
    x, y = np.mgrid[:40, :30].astype(np.float32)
    image = (0.01 * x + 0.02 * y)[..., None]
    moved = np.abs(ResizePad(seed=3)(image) - image)[2:-2, 2:-2]
    assert moved.max() < 1e-5


def test_resizing_draws_anew_for_another_seed() -> None:
    image = _step(0.1)
    assert not np.array_equal(ResizePad(seed=1)(image), ResizePad(seed=2)(image))


@given(seed=st.integers(0, 10**6))
def test_resizing_never_leaves_the_grid(seed: int) -> None:
    image = _step()
    result = ResizePad(seed, smallest=0.7)(image)
    # A pixel further than the two interpolations reach from the step is what it was.
    assert np.abs(result[:13]).max() < 1e-6
    assert np.abs(result[19:] - 1).max() < 1e-6


@pytest.mark.parametrize(
    "denoise", [NonLocalMeans(noise=0.1), TotalVariation(weight=0.15)], ids=lambda one: one.name
)
def test_denoising_takes_noise_and_leaves_the_edge(
    denoise: NonLocalMeans | TotalVariation,
) -> None:
    clean, noisy = _step(), _step(0.1)
    result = denoise(noisy)
    assert (result - clean).std() < 0.5 * (noisy - clean).std()
    assert (result[16] - result[15]).mean() > 0.8


def test_patches_that_differ_by_more_than_noise_do_not_mix() -> None:
    np.testing.assert_allclose(NonLocalMeans(noise=0.02)(_step()), _step(), atol=1e-6)


def test_alike_pixels_are_averaged_over_the_whole_reach() -> None:
    image = np.zeros((15, 15, 1), dtype=np.float32)
    image[7, 7, 0] = 0.09
    # Patches of 9 pixels differ by at most 2 * 0.09^2 / 9 < 2 * 0.1^2: all weights are 1.
    result = NonLocalMeans(reach=2, patch=3, noise=0.1)(image)
    assert result[7, 7, 0] == pytest.approx(0.09 / 25)


def _objective(u: NDArray[np.float32], image: NDArray[np.float32], weight: float) -> float:
    slope = np.zeros((2, *u.shape))
    slope[0, :-1], slope[1, :, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    variation = np.sqrt((slope**2).sum(0)).sum()
    return float(variation + ((u - image) ** 2).sum() / (2 * weight))


def test_total_variation_finds_the_least_objective() -> None:
    image = _step(0.1)[..., :1]
    denoise = TotalVariation(weight=0.1, steps=2000)
    best = denoise(image)
    least = _objective(best, image, 0.1)
    rng = generator(0, "around")
    for size in (0.003, 0.03):
        for _ in range(20):
            around = best + size * rng.standard_normal(image.shape).astype(np.float32)
            assert _objective(around, image, 0.1) > least
    assert least < _objective(replace(denoise, steps=5)(image), image, 0.1)


def test_total_variation_of_two_halves_is_known() -> None:
    # Each half moves towards the other by weight times the edge's length over the half's area.
    result = TotalVariation(weight=0.4, steps=3000)(_step())
    np.testing.assert_allclose(result[:16], 0.4 / 16, atol=2e-3)
    np.testing.assert_allclose(result[16:], 1 - 0.4 / 16, atol=2e-3)
