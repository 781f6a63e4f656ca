import pytest
import torch
from torch import Tensor

from mri_guard.attacks import Universal, Victim
from mri_guard.attacks.universal import SIDE, applied
from mri_guard.determinism import generator

PATTERN = torch.cos(torch.arange(SIDE * SIDE) * 0.37).reshape(1, 1, SIDE, SIDE)
"""Weights on the square, by which every victim here is scored."""


def at(shape: tuple[int, int, int]) -> Victim:
    """A victim of (z, x, y) that is scored by the middle of `PATTERN`."""
    depth, width, height = shape
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    weights = torch.zeros(1, 1, width, height)
    for x in range(width):
        for y in range(height):
            if 0 <= x - left < SIDE and 0 <= y - top < SIDE:
                weights[0, 0, x, y] = PATTERN[0, 0, x - left, y - top]
    image = torch.full((depth, 1, width, height), 0.5)

    def scores(x: Tensor) -> Tensor:
        return ((x - 0.5) * weights).sum((1, 2, 3))

    return Victim(image, torch.ones_like(image).bool(), scores, "alarm", threshold=1.0)


def test_changes_every_slice_alike() -> None:
    victim = at((3, 20, 24))
    found = Universal()(victim, 0.02, generator(0, "test"))
    change = found.image - victim.image
    assert change.abs().max() <= 0.02 + 1e-6
    for part in change:
        torch.testing.assert_close(part, change[0])


@pytest.mark.parametrize("shape", [(2, 18, 22), (1, 20, 30)])
def test_finds_what_serves_victims_of_other_shapes(shape: tuple[int, int, int]) -> None:
    change = Universal().fit([at((2, 24, 24)), at((1, 20, 32))], 0.02, generator(0, "test"))
    assert change.shape == (1, 1, SIDE, SIDE)
    stranger = at(shape)
    image = applied(stranger, change)
    _, _, width, height = image.shape
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    seen = PATTERN[..., left : left + width, top : top + height]
    best = 0.02 * seen.abs().sum()
    assert stranger.scores(image).min() > 0.8 * best


def test_stays_within_a_stranger_s_mask() -> None:
    stranger = at((1, 140, 12))  # wider than the square
    mask = torch.zeros_like(stranger.mask)
    mask[..., 3:, 2:9] = True
    masked = Victim(stranger.image, mask, stranger.scores, "alarm", 0.0)
    change = torch.full((1, 1, SIDE, SIDE), 0.1)
    moved = applied(masked, change) != masked.image
    assert not moved[~mask].any()
    assert not moved[..., :6, :].any()
    assert moved[..., 6:134, 2:9].all()


def test_serves_a_slice_where_slices_want_opposite_changes() -> None:
    image = torch.full((2, 1, 16, 16), 0.5)
    sign = torch.tensor([1.0, -1.0])
    victim = Victim(
        image,
        torch.ones_like(image).bool(),
        lambda x: sign * (x.mean((1, 2, 3)) - 0.5) + 0.01 * sign,
        "alarm",
        threshold=0.0,
    )
    found = Universal()(victim, 0.05, generator(0, "test"))
    assert float(found.margins.max()) > 0.04
