"""The brain's own plane of symmetry, and the image seen across it.

A head lies turned and tilted in the scanner, so that the mirror image of the stack compares nothing
with nothing. The plane is found for each brain: x = shift + tilt z + tan(angle) y, three numbers,
by the overlap of the image with its mirror image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ROUNDS = ((12.0, 6.0, 6.0), (5.0, 3.0, 3.0), (2.0, 1.2, 1.2), (0.8, 0.5, 0.5))
"""Largest change of angle (degrees), shift (pixels) and tilt (pixels between the middle slice and
the last) in each round of the search."""

TRIES = 5
"""Values tried for each number in each round, evenly spaced."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A sagittal plane through a stack.

    Attributes:
        angle: turn in the axial plane, degrees.
        shift_px: from the middle of the box along x, in the middle slice.
        tilt_px: further shift of the last slice against the middle one.
    """

    angle: float = 0.0
    shift_px: float = 0.0
    tilt_px: float = 0.0


def symmetry_plane(image: Tensor, inside: Tensor) -> Plane:
    """The plane across which a brain looks most like itself, by coarse-to-fine search.

    Args:
        image: (z, x, y), the median of the brain at 0.5 to 0.8; no gradient is taken.
        inside: bool, like image.
    """
    with torch.no_grad():
        # The outline counts as much as what is in it: a lesion must not turn the plane.
        weight = inside.to(image)
        seen = torch.stack([image.clamp(0, 1) * weight, weight], 1)
        seen = functional.avg_pool2d(seen, 3, 1, 1)
        best = Plane()
        for reach in ROUNDS:
            for index, name in enumerate(("shift_px", "angle", "tilt_px")):
                width = reach[(1, 0, 2)[index]]
                at = getattr(best, name)
                tries = [
                    _with(best, name, at + float(step) * width)
                    for step in torch.linspace(-1, 1, TRIES)
                ]
                errors = torch.stack([(mirror(seen, plane) - seen).abs().sum() for plane in tries])
                best = tries[int(errors.argmin())]
    return best


def asymmetry(seen: Tensor, inside: Tensor) -> Tensor:
    """Intensity less that across the plane of symmetry, (z, x, y); NaN where no brain lies there.

    A lesion on one side leaves its negative on the other. Differentiable, but for the plane.

    Args:
        seen: (z, x, y), 0 outside the brain.
        inside: bool, like seen.
    """
    plane = symmetry_plane(seen, inside)
    other, weight = mirror(torch.stack([seen, inside.to(seen)], 1), plane).unbind(1)
    # At the brain's edge the interpolation mixes with the zeros outside: taken out by the weight.
    difference = seen - other / weight.clamp_min(0.5)
    return torch.where(inside & (weight > 0.5), difference, torch.nan)


def mirror(stack: Tensor, plane: Plane) -> Tensor:
    """What lies across the plane from each pixel, like stack; 0 beyond the box. Differentiable.

    Args:
        stack: (z, c, x, y).
        plane: see `Plane`.
    """
    depth, _, width, height = stack.shape
    angle = torch.deg2rad(torch.tensor(plane.angle, device=stack.device))
    x = torch.arange(width, device=stack.device) - (width - 1) / 2
    y = torch.arange(height, device=stack.device) - (height - 1) / 2
    z = torch.linspace(-1, 1, depth, device=stack.device) if depth > 1 else x.new_zeros(1)
    shift = (plane.shift_px + plane.tilt_px * z)[:, None, None]
    # Reflection across the line through (shift, 0) along (sin, cos).
    across = torch.cos(angle) * (x[None, :, None] - shift) - torch.sin(angle) * y[None, None]
    mirrored_x = x[None, :, None] - 2 * torch.cos(angle) * across
    mirrored_y = y[None, None] + 2 * torch.sin(angle) * across
    # grid_sample wants the fastest axis first: y, then x.
    at = torch.stack([mirrored_y * 2 / max(1, height - 1), mirrored_x * 2 / max(1, width - 1)], -1)
    return functional.grid_sample(stack, at.to(stack), align_corners=True)


def _with(plane: Plane, name: str, value: float) -> Plane:
    values = {"angle": plane.angle, "shift_px": plane.shift_px, "tilt_px": plane.tilt_px}
    return Plane(**(values | {name: value}))
