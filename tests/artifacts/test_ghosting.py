import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.artifacts import Ghosting
from mri_guard.determinism import generator


def box() -> np.ndarray:
    image = np.zeros((16, 64), dtype=np.float32)
    image[6:10, 10:18] = 1.0
    return image


def test_puts_a_ghost_at_half_the_field_of_view_where_every_other_line_differs() -> None:
    result = Ghosting(depth=0.3, shift=0.5, phase_rad=0.0)(box())
    assert np.allclose(result, box() + 0.3 * np.roll(box(), 32, 1), atol=1e-5)


def test_puts_ghosts_on_both_sides_each_half_as_bright_as_the_modulation_is_deep() -> None:
    result = Ghosting(depth=0.4, shift=1 / 4, phase_rad=1.0)(box())
    ghosts = 0.2 * (np.roll(box(), 16, 1) + np.roll(box(), -16, 1))
    assert np.allclose(result, box() + ghosts, atol=1e-5)


def test_ghosts_along_phase_encoding_alone() -> None:
    result = Ghosting(depth=0.3, shift=0.5, phase_rad=0.0, axis=0)(box())
    assert np.allclose(result, box() + 0.3 * np.roll(box(), 8, 0), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(depth=st.floats(0, 1), shift=st.floats(0, 0.5), phase=st.floats(0, 6.3))
def test_adds_no_more_energy_than_the_deepest_line_has(
    depth: float, shift: float, phase: float
) -> None:
    image = generator(0, "ghost").uniform(0, 1, (12, 18, 2)).astype(np.float32)
    result = Ghosting(depth, shift, phase)(image)
    assert np.square(result).sum() <= (1 + depth) ** 2 * np.square(image).sum() * (1 + 1e-5)
    assert np.square(result).sum() >= (1 - depth) ** 2 * np.square(image).sum() * (1 - 1e-5)


def test_scales_the_mean_by_the_modulation_of_the_middle_line() -> None:
    """Small ghosts on a bright image leave it positive, so that magnitude takes nothing away."""
    image = generator(1, "ghost").uniform(5, 6, (12, 18)).astype(np.float32)
    result = Ghosting(depth=0.2, shift=0.5, phase_rad=0.0)(image)
    assert result.mean() == pytest.approx(1.2 * image.mean(), rel=1e-5)
