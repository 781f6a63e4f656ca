import numpy as np
import pytest

from mri_guard.drawing import (
    BRIGHT,
    DARK,
    MAP_FAINTEST,
    MAP_OPACITY,
    TRUTH,
    color_bar,
    gray,
    outlined,
    signed_overlay,
)

RIGHT_FRONT = (27, 35)  # of 32 x 40, RAS+
SIZE = (32, 40)


def plane(value: float = 1.0, at: tuple[int, int] = RIGHT_FRONT) -> np.ndarray:
    marked = np.zeros(SIZE, dtype=np.float32)
    marked[at] = value
    return marked


def centre(found: np.ndarray) -> list[float]:
    """Row and column of what is true, as shares of the picture."""
    return [
        float(np.mean(index) / side)
        for index, side in zip(np.nonzero(found), found.shape, strict=True)
    ]


@pytest.mark.parametrize("factor", [1, 3])
def test_puts_the_patients_right_on_the_left_and_the_front_on_top_in_every_layer(
    factor: int,
) -> None:
    black = gray(np.zeros(SIZE, dtype=np.float32), factor=factor)
    layers = {
        "gray": gray(plane(), factor=factor)[..., 0] > 100,
        "map": signed_overlay(black, plane(6.0))[..., 0] > 100,
        "outline": outlined(black, plane() > 0)[..., 1] > 100,
    }
    for name, found in layers.items():
        assert found.shape == (40 * factor, 32 * factor), name
        row, column = centre(found)
        assert row < 0.25, name
        assert column < 0.25, name


def test_windows_between_low_and_high() -> None:
    shown = gray(np.array([[-1.0, 0.2], [0.6, 5.0]], dtype=np.float32), low=0.2, high=1.0)
    # (x, y) from right to left and front to back
    assert shown[..., 0].tolist() == [[255, 0], [127, 0]]


def test_draws_brighter_red_darker_blue_and_faint_not_at_all() -> None:
    black = np.zeros((1, 3, 3), dtype=np.uint8)
    signed = np.array([[-6.0], [0.9 * MAP_FAINTEST], [6.0]], dtype=np.float32)
    shown = signed_overlay(black, signed)[0]
    np.testing.assert_allclose(shown[0], MAP_OPACITY * np.array(BRIGHT), atol=1)
    assert not shown[1].any()
    np.testing.assert_allclose(shown[2], MAP_OPACITY * np.array(DARK), atol=1)


def test_outlines_a_mask_and_leaves_its_inside_to_be_seen() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[10:20, 10:20] = True
    drawn = (outlined(gray(plane(0)), mask) == TRUTH).all(axis=2)
    assert drawn.sum() == 4 * 10 - 4


def test_explains_its_colours() -> None:
    bar = np.asarray(color_bar(240, 10))[:10]
    assert bar[5, 0, 2] > bar[5, 0, 0] + 100
    assert bar[5, -1, 0] > bar[5, -1, 2] + 100
    assert len(set(bar[5, 120].tolist())) == 1
