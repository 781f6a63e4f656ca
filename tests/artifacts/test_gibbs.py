import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.artifacts import Gibbs
from mri_guard.determinism import generator

OVERSHOOT = 0.0894899
"""Si(pi) / pi - 1 / 2, of a step of height 1."""


@pytest.mark.parametrize("kept", [1 / 8, 1 / 16])
def test_overshoots_a_step_by_nine_percent_however_many_lines_are_kept(kept: float) -> None:
    step = np.ones((4, 2048), dtype=np.float32)
    step[:, 1024:] = 2.0
    result = Gibbs(kept)(step)
    assert result.max() - 2 == pytest.approx(OVERSHOOT, abs=0.003)
    assert 1 - result.min() == pytest.approx(OVERSHOOT, abs=0.003)


def test_keeps_what_is_slower_than_the_limit_and_nothing_that_is_faster() -> None:
    place = 2 * np.pi * np.arange(32) / 32
    slow, fast = np.cos(4 * place), np.cos(9 * place)
    image = np.tile(4 + slow + fast, (8, 1)).astype(np.float32)
    assert np.allclose(Gibbs(0.5)(image), 4 + slow, atol=1e-5)
    assert np.allclose(Gibbs(0.5, axis=0)(image.T), (4 + slow)[:, None], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(kept=st.floats(0, 1))
def test_adds_no_energy(kept: float) -> None:
    image = generator(0, "gibbs").uniform(0, 1, (10, 17, 2)).astype(np.float32)
    assert np.square(Gibbs(kept)(image)).sum() <= np.square(image).sum() * (1 + 1e-5)


def test_keeps_the_mean_of_a_bright_image() -> None:
    image = generator(1, "gibbs").uniform(5, 6, (10, 16)).astype(np.float32)
    assert Gibbs(0.3)(image).mean() == pytest.approx(image.mean(), rel=1e-5)
