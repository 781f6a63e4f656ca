"""A smooth deformation in the plane, as uneven gradients and soft tissue make it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.attacks.engine import Victim
from mri_guard.attacks.physics.distortion import Distortion
from mri_guard.attacks.physics.warp import warp
from mri_guard.preprocess.grid import PIXEL_MM

LARGEST_MM = 4.0
"""Displacement at strength 1."""
KNOTS_MM = 20.0
"""From one control point to the next in the plane. Cubic B-splines fold nowhere while no control
point is displaced by more than 0.48 of that along either axis (Choi and Lee 2000, Graphical Models
62(6), 411-427): 9.6 mm."""
KNOTS_SLICES = 4
"""From one to the next across slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Warping(Distortion):
    """Displaces every voxel in its plane by a cubic B-spline (Rueckert et al. 1999, IEEE TMI 18(8),
    712-721, section II.B).

    A row of two parameters for each control point: displacement along x and y. What lies between
    is a weighted mean of them, so that nothing is displaced further than they are.

    Attributes:
        weights: of the control points along z, x and y at each slice, row and column.
    """

    weights: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, victim: Victim, epsilon: float) -> Self:
        """The deformations of a victim's image."""
        z, _, x, y = victim.image.shape
        knots = KNOTS_MM / PIXEL_MM
        along_z, along_x, along_y = (
            torch.as_tensor(_splines(n, gap)).to(victim.image)
            for n, gap in ((z, KNOTS_SLICES), (x, knots), (y, knots))
        )
        return cls(victim, epsilon, (along_z, along_x, along_y))

    @property
    def shape(self) -> tuple[int, ...]:
        """A row for each control point."""
        z, x, y = self.weights
        return (z.shape[1], x.shape[1], y.shape[1], 2)

    def displacement_px(self, parameters: Tensor) -> Tensor:
        """(z, 2, x, y), pixels."""
        z, x, y = self.weights
        longest = self.epsilon * LARGEST_MM / PIXEL_MM
        return longest * torch.einsum("kijd,zk,xi,yj->zdxy", parameters, z, x, y)

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The deformed image."""
        return warp(image, self.displacement_px(parameters))


def _splines(count: int, gap: float) -> NDArray[np.float64]:
    """Weight of each control point at each place, (count, k); rows add up to 1."""
    knots = np.arange(-1, (count - 1) // gap + 3)
    far = np.abs(np.arange(count)[:, None] / gap - knots)
    near = 2 / 3 - far**2 + far**3 / 2
    return np.where(far < 1, near, np.where(far < 2, (2 - far) ** 3 / 6, 0.0))
