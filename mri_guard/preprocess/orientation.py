"""Turns a volume's axes to the nearest of right, anterior, superior, and back again."""

from typing import TypeVar

import nibabel
import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def to_ras(
    voxels: NDArray[T], affine: NDArray[np.float64]
) -> tuple[NDArray[T], NDArray[np.float64]]:
    """The same volume with axes running closest to R, A, S, and its affine.

    Axes are swapped and flipped, never interpolated: an oblique volume stays oblique.

    Args:
        voxels: (x, y, z), axes as stored.
        affine: float64, (4, 4), voxel index to RAS+ millimetres.
    """
    turn = nibabel.orientations.io_orientation(affine)
    turned: NDArray[T] = nibabel.orientations.apply_orientation(voxels, turn)
    back: NDArray[np.float64] = nibabel.orientations.inv_ornt_aff(turn, voxels.shape)
    return turned, affine @ back


def from_ras(voxels: NDArray[T], affine: NDArray[np.float64]) -> NDArray[T]:
    """What `to_ras` turned, with its axes as stored.

    Args:
        voxels: (x, y, z), as `to_ras` gives it.
        affine: float64, (4, 4), of the volume as stored.
    """
    turn = nibabel.orientations.io_orientation(affine)
    as_ras = nibabel.orientations.axcodes2ornt("RAS")
    back = nibabel.orientations.ornt_transform(as_ras, turn)
    turned: NDArray[T] = nibabel.orientations.apply_orientation(voxels, back)
    return turned


def spacing_mm(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Distance from one voxel to the next along each axis."""
    x, y, z = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return float(x), float(y), float(z)
