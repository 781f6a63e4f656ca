import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.perturbation.detectors.high_frequency import WEIGHTS, HighFrequency
from mri_guard.perturbation.spectrum import log_ratios
from mri_guard.phantom import draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.phantom.write import on_pixels
from mri_guard.records import Anomaly, Preprocessed, Scan
from mri_guard.training.perturbation import with_signs
from tests.perturbation.scans import noisy, scan_of

SIZE = 128
CLEAN = 0.2
"""What no clean scan exceeds that is held by none, see `docs/decisions/0011`."""


def power_law(exponent: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fields whose amplitude falls as a power of the frequency, (4, 1, 128, 128)."""
    x, y = np.meshgrid(np.fft.fftfreq(SIZE), np.fft.fftfreq(SIZE), indexing="ij")
    amplitude = np.maximum(np.hypot(x, y), 1 / SIZE) ** -exponent
    white = rng.standard_normal((4, 1, SIZE, SIZE))
    field = np.fft.ifft2(np.fft.fft2(white) * amplitude).real
    return np.asarray(field / field.std(), np.float32)


def bend(image: NDArray[np.float32]) -> float:
    tensor = torch.from_numpy(image)
    ratios = log_ratios(tensor, torch.ones_like(tensor, dtype=torch.bool))
    return float(np.dot(WEIGHTS, ratios.numpy()))


def statistic(scan: Scan, seen: Preprocessed) -> float:
    image = seen.image
    anomaly = Anomaly(image, image, image, np.zeros(image.shape[2]), 0.0)
    return HighFrequency(()).statistic(scan, seen, anomaly, lambda _: anomaly)


def phantom(pixel_mm: float, noise: float) -> tuple[Scan, Preprocessed]:
    drawn = draw_parameters(generator(7, "detector"), slices=10, spacing_mm=12.0)
    made = render(on_pixels(drawn.model_copy(update={"noise": noise}), pixel_mm))
    seen, _ = preprocessed(made)
    scan = scan_of(pixel_mm, made.voxels.astype(np.float32))
    return Scan(scan.voxels, made.affine, scan.header), seen


def test_white_noise_does_not_bend_and_a_steeper_spectrum_bends_downwards() -> None:
    found = [bend(power_law(steepness, np.random.default_rng(0))) for steepness in (0, 0.5, 1, 2)]
    assert found[0] == pytest.approx(0, abs=0.02)
    assert np.all(np.diff(found) < -0.05)


def test_something_white_beneath_a_falling_spectrum_bends_it_upwards() -> None:
    rng = np.random.default_rng(1)
    image = power_law(2.0, rng)
    white = rng.standard_normal(image.shape).astype(np.float32)
    assert bend(image + 0.03 * white) > bend(image) + 0.1


@pytest.mark.parametrize("pixel_mm", [0.8, 1.0, 1.3, 2.0, 2.5])
def test_noise_of_the_scanners_own_pixels_does_not_lift_it_at_any_level(pixel_mm: float) -> None:
    for sigma in (0.01, 0.05, 0.2):
        scan, seen = noisy(np.random.default_rng(2), pixel_mm, sigma)
        assert -0.1 < statistic(scan, seen) < CLEAN, sigma


@pytest.mark.parametrize("pixel_mm", [1.0, 1.5])
def test_rises_with_what_is_white_on_the_models_grid(pixel_mm: float) -> None:
    scan, seen = phantom(pixel_mm, 0.03)
    signs = with_signs(seen, 4 / 255, np.random.default_rng(3))
    assert statistic(scan, signs) > statistic(scan, seen) + 0.1


@pytest.mark.parametrize("noise", [0.01, 0.04, 0.1])
def test_a_clean_phantom_of_coarse_pixels_is_not_held(noise: float) -> None:
    assert statistic(*phantom(2.0, noise)) < CLEAN
