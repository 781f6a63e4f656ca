"""The brain's own plane of symmetry, and the image seen across it.

A head lies turned and tilted in the scanner, so that the mirror image of the stack compares nothing
with nothing. The plane is found for each brain: x = shift + tilt z + tan(angle) y, three numbers,
by the overlap of the image with its mirror image.
"""

import math
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
        best, errors = Plane(), dict[Plane, float]()
        for reach in ROUNDS:
            for index, name in enumerate(("shift_px", "angle", "tilt_px")):
                width = reach[(1, 0, 2)[index]]
                at = getattr(best, name)
                tries = [
                    _with(best, name, at + float(step) * width)
                    for step in torch.linspace(-1, 1, TRIES)
                ]
                for plane in tries:
                    if plane not in errors:  # the best so far is tried again and again
                        errors[plane] = float(mirror(seen, plane).sub_(seen).abs_().sum())
                best = min(tries, key=errors.__getitem__)
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
    sin, cos = math.sin(math.radians(plane.angle)), math.cos(math.radians(plane.angle))
    last_x, last_y = max(1, width - 1), max(1, height - 1)
    x = torch.arange(width).to(stack) - (width - 1) / 2
    y = torch.arange(height).to(stack) - (height - 1) / 2
    z = torch.linspace(-1, 1, depth).to(stack) if depth > 1 else stack.new_zeros(1)
    shift = (plane.shift_px + plane.tilt_px * z)[:, None, None]
    # Reflection across the line through (shift, 0) along (sin, cos).
    across = cos * (x[None, :, None] - shift) - sin * y
    # grid_sample wants the fastest axis first, y, then x, and both in halves of the box.
    at = stack.new_empty(depth, width, height, 2)
    torch.add(2 / last_y * y, 4 / last_y * sin * across, out=at[..., 0])
    torch.sub(2 / last_x * x[None, :, None], 4 / last_x * cos * across, out=at[..., 1])
    return functional.grid_sample(stack, at, align_corners=True)


def _with(plane: Plane, name: str, value: float) -> Plane:
    values = {"angle": plane.angle, "shift_px": plane.shift_px, "tilt_px": plane.tilt_px}
    return Plane(**(values | {name: value}))
