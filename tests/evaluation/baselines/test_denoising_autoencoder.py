import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.evaluation.baselines.denoising_autoencoder import COARSE_PX, NOISE, coarse_noise


def test_draws_noise_that_is_coarse_and_of_the_spread_wanted() -> None:
    rng = generator(0, "coarse noise")
    fields = np.stack([coarse_noise(64, rng).numpy() for _ in range(40)])
    assert fields.shape[1:] == (64, 64)
    assert fields.mean() == pytest.approx(0, abs=0.02)
    # Linear between draws of spread NOISE: two thirds of its variance along each axis.
    assert fields.var() == pytest.approx(NOISE**2 * 4 / 9, rel=0.15)

    def correlation(shift: int) -> float:
        return float((fields[:, shift:] * fields[:, : 64 - shift]).mean() / fields.var())

    assert correlation(1) > 0.9
    assert abs(correlation(2 * COARSE_PX)) < 0.1


def test_moves_the_noise_from_draw_to_draw() -> None:
    """Kinks, where the second difference is not 0, lie on another grid each time."""
    rng = generator(0, "moved")
    phases = set()
    for _ in range(20):
        bends = np.abs(np.diff(coarse_noise(64, rng).numpy(), n=2, axis=0)).mean(1)
        phases.add(int(np.argmax(bends) % COARSE_PX))
    assert len(phases) > 3
