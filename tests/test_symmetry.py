import math

import pytest
import torch
from torch import Tensor

from mri_guard.symmetry import Plane, mirror, symmetry_plane


def symmetric_brain(plane: Plane, slices: int = 16) -> tuple[Tensor, Tensor]:
    """An ellipsoid with folds, alike on both sides of a plane, and where it is."""
    x, y = torch.arange(72) - 35.5, torch.arange(96) - 47.5
    shift = plane.shift_px + plane.tilt_px * torch.linspace(-1, 1, slices)[:, None, None]
    angle = math.radians(plane.angle)
    across = math.cos(angle) * (x[None, :, None] - shift) - math.sin(angle) * y
    along = math.sin(angle) * (x[None, :, None] - shift) + math.cos(angle) * y
    inside = (across / 26) ** 2 + (along / 38) ** 2 < 1
    folds = 0.5 + 0.3 * torch.cos(across.abs() / 4) + 0.2 * torch.sin(along / 7)
    return folds * inside, inside


@pytest.mark.parametrize(
    "plane", [Plane(), Plane(7, 2, -3), Plane(-11, -4, 4), Plane(3, 0, 1)], ids=str
)
def test_finds_the_plane_that_a_brain_was_made_around(plane: Plane) -> None:
    image, inside = symmetric_brain(plane)
    found = symmetry_plane(image, inside)
    assert found.angle == pytest.approx(plane.angle, abs=1.0)
    assert found.shift_px == pytest.approx(plane.shift_px, abs=0.6)
    assert found.tilt_px == pytest.approx(plane.tilt_px, abs=0.6)


def test_is_not_turned_by_a_lesion_on_one_side() -> None:
    image, inside = symmetric_brain(Plane(5, 1, 0))
    image[4:10, 14:26, 40:60] = 1.6
    found = symmetry_plane(image * inside, inside)
    assert found.angle == pytest.approx(5, abs=1.5)


def test_gives_back_what_lies_across_the_plane() -> None:
    stack = torch.zeros(3, 1, 21, 31)
    stack[:, 0, 4, 7] = 1.0
    assert mirror(stack, Plane())[1, 0, 16, 7] == pytest.approx(1, abs=1e-4)
    moved = mirror(stack, Plane(shift_px=2.0))
    assert moved[1, 0, 20, 7] == pytest.approx(1, abs=1e-4)
    twice = mirror(mirror(stack, Plane(shift_px=2.0)), Plane(shift_px=2.0))
    torch.testing.assert_close(twice, stack, atol=1e-4, rtol=0)


def test_passes_a_gradient() -> None:
    stack = torch.rand(2, 1, 9, 9, requires_grad=True)
    mirror(stack, Plane(3.0, 0.5, 0.0)).sum().backward()  # type: ignore[no-untyped-call]
    assert stack.grad is not None
    assert stack.grad.abs().sum() > 0
