from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.artifacts import Motion
from mri_guard.artifacts.motion import Move
from mri_guard.determinism import generator


def blob(side: int = 33, slices: int = 2) -> NDArray[np.float32]:
    """Smooth, off the middle, and dark at the edge of the image."""
    image = np.zeros((side, side, slices), dtype=np.float32)
    image[side // 3, side // 2] = 1
    image[side // 2, side // 2 + 5] = 2
    return np.asarray(ndimage.gaussian_filter(image, (2, 2, 0)), dtype=np.float32)


def test_shows_a_head_that_lay_elsewhere_all_the_time_where_it_lay() -> None:
    moved = Motion((Move(0, 1, 6.0, -4.0, 0),), pixel_mm=2.0)(blob())
    assert np.allclose(moved, np.roll(blob(), (3, -2), (0, 1)), atol=1e-5)


def test_turns_a_head_from_x_towards_y() -> None:
    turned = Motion((Move(0, 1, 0, 0, 90.0),))(blob())
    assert np.allclose(turned, np.rot90(blob(), axes=(0, 1)), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_takes_each_line_from_where_the_head_lay_when_it_was_acquired(axis: Literal[0, 1]) -> None:
    """The first quarter of the lines was acquired 2 pixels further along x."""
    image = generator(0, "motion").uniform(1, 2, (16, 16)).astype(np.float32)
    moves = (Move(0, 0.25, 4.0, 0, 0),)
    expected = np.fft.fftshift(np.fft.fft2(image))
    elsewhere = np.fft.fftshift(np.fft.fft2(np.roll(image, 2, 0)))
    if axis == 0:
        expected[:4] = elsewhere[:4]
    else:
        expected[:, :4] = elsewhere[:, :4]
    result = Motion(moves, axis)(image)
    assert np.allclose(result, np.abs(np.fft.ifft2(np.fft.ifftshift(expected))), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    edge=st.floats(0, 1), x_mm=st.floats(-9, 9), y_mm=st.floats(-9, 9), axis=st.sampled_from([0, 1])
)
def test_keeps_the_energy_however_the_head_is_shifted(
    edge: float, x_mm: float, y_mm: float, axis: Literal[0, 1]
) -> None:
    """A shift only turns phases (Parseval); odd sides, which have no sample at Nyquist's limit."""
    before = blob()
    after = Motion((Move(0, edge, x_mm, y_mm, 0),), axis)(before)
    assert np.square(after).sum() == pytest.approx(np.square(before).sum(), rel=1e-4)


def test_draws_heads_that_lie_at_rest_while_the_middle_of_k_space_is_acquired() -> None:
    for seed in range(40):
        for move in Motion.draw(generator(seed, "motion"), 1.0).moves:
            assert not move.start <= 0.5 < move.end
            assert max(abs(move.x_mm), abs(move.y_mm), abs(move.turn_deg)) <= 5
