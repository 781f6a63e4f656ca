import numpy as np
import pytest
from scipy import stats

from mri_guard.artifacts import RicianNoise

N = 120_000


def test_has_the_mean_and_variance_of_rayleigh_where_there_is_no_signal() -> None:
    noise = RicianNoise(0.2, seed=3)(np.zeros(N, dtype=np.float32)).astype(np.float64)
    assert noise.mean() == pytest.approx(0.2 * np.sqrt(np.pi / 2), rel=0.01)
    assert noise.var() == pytest.approx(0.2**2 * (2 - np.pi / 2), rel=0.02)


@pytest.mark.parametrize("signal", [0.1, 0.3, 1.0])
def test_follows_the_rice_distribution(signal: float) -> None:
    sigma = 0.15
    noisy = RicianNoise(sigma, seed=4)(np.full(N, signal, dtype=np.float32))
    known = stats.rice(signal / sigma, scale=sigma)
    assert stats.kstest(noisy, known.cdf).pvalue > 1e-3
    assert np.square(noisy, dtype=np.float64).mean() == pytest.approx(
        signal**2 + 2 * sigma**2, rel=0.02
    )


def test_draws_other_noise_from_another_seed() -> None:
    image = np.ones(100, dtype=np.float32)
    assert not np.array_equal(RicianNoise(0.1, 0)(image), RicianNoise(0.1, 1)(image))
