"""A head that lies otherwise than usual."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_guard.artifacts.motion import LARGEST_DEG, LARGEST_MM
from mri_guard.attacks.physics.distortion import Distortion
from mri_guard.attacks.physics.warp import turn, warp
from mri_guard.preprocess.grid import PIXEL_MM


@dataclass(frozen=True, slots=True, eq=False)
class Pose(Distortion):
    """Shifts and turns the head in the plane, in all slices alike.

    Three parameters, a row each: shift along x, along y, turn; at strength 1 up to
    `artifacts.motion`'s 5 mm and 5 degrees.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows of one."""
        return (3, 1)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image of the head that lies there."""
        x, y, angle = parameters[:, 0] * self.epsilon
        shift_px = torch.stack([x, y]) * (LARGEST_MM / PIXEL_MM)
        turned = turn(image, angle * math.radians(LARGEST_DEG))
        return warp(turned, -shift_px[None, :, None, None].expand(1, -1, *image.shape[2:]))
