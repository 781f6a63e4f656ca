import numpy as np
import pytest
import torch

from mri_guard.perturbation.spectrum import KINDS, binomial, excess, log_ratios, noise_log_ratios
from tests.perturbation.scans import noisy, scan_of


def test_filters_are_of_norm_one_and_blind_to_what_they_take_differences_of() -> None:
    line = np.arange(20.0)
    for differences in range(5):
        made = binomial(differences)
        assert np.linalg.norm(made) == pytest.approx(1)
        for power in range(differences):
            assert np.convolve(line**power, made, "valid") == pytest.approx(0, abs=1e-9)


def test_white_noise_on_the_models_grid_has_as_much_everywhere() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.standard_normal((20, 1, 96, 96)).astype(np.float32))
    found = log_ratios(image, torch.ones_like(image, dtype=torch.bool))
    assert found.numpy() == pytest.approx(np.zeros(len(KINDS)), abs=0.02)
    assert noise_log_ratios(scan_of(2.0)) == pytest.approx(np.zeros(len(KINDS)), abs=1e-6)


def test_a_chequerboard_is_all_corner_and_a_stripe_all_edge() -> None:
    x, y = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    brain = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    chequers, stripes = (
        torch.from_numpy((-1.0) ** some).float()[None, None] for some in (x + y, x)
    )
    assert log_ratios(chequers, brain)[0] > 5
    assert log_ratios(stripes, brain)[0] < -3


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 1.6, 2.0])
def test_knows_what_interpolation_leaves_of_a_scanners_noise(pixel_mm: float) -> None:
    rng = np.random.default_rng(1)
    found = [excess(*noisy(rng, pixel_mm)) for _ in range(3)]
    assert np.mean(found, axis=0) == pytest.approx(np.zeros(len(KINDS)), abs=0.1)


def test_a_gain_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    image = torch.from_numpy(rng.standard_normal((4, 1, 64, 64)).astype(np.float32))
    brain = torch.ones_like(image, dtype=torch.bool)
    assert log_ratios(image, brain).numpy() == pytest.approx(
        log_ratios(30 * image, brain).numpy(), abs=1e-3
    )


def test_is_finite_where_there_is_nothing_and_in_the_smallest_brain() -> None:
    image = torch.zeros(1, 1, 32, 32)
    brain = torch.zeros_like(image, dtype=torch.bool)
    brain[0, 0, 16, 16] = True
    assert log_ratios(image, brain).numpy() == pytest.approx(np.zeros(len(KINDS)))
