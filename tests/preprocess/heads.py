"""A head of ellipsoids, in any geometry, and doubles for the brain mask."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.preprocess.brain_mask import largest_piece
from mri_guard.records import Contrast, Scan, ScanHeader


def scan_of(voxels: NDArray[np.float32], affine: NDArray[np.float64]) -> Scan:
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    header = ScanHeader(
        contrast=Contrast.T1,
        slice_count=voxels.shape[2],
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
    )
    return Scan(voxels, affine, header)


def head_scan(
    spacing: Sequence[float] = (1.0, 1.0, 4.0),
    middle: Sequence[float] = (5.0, -20.0, 12.0),
    scale: float = 1.0,
) -> Scan:
    """Scalp, skull and a brain of two halves with a gradient, centred at `middle` (RAS+ mm)."""
    shape = tuple(
        round(length / step) for length, step in zip((200, 240, 200), spacing, strict=True)
    )
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array([99.0, 119.0, 99.0]) + (3.0, 4.0, 0.0)
    index = np.indices(shape).reshape(3, -1)
    world = (affine[:3, :3] @ index + affine[:3, 3:]) - np.array(middle)[:, None]
    radius = np.sqrt(((world / (scale * np.array([[70.0], [90.0], [75.0]]))) ** 2).sum(axis=0))
    values = np.where(radius < 1.18, 900.0, 0.0)
    values = np.where(radius < 1.10, 60.0, values)
    values = np.where(radius < 1.0, 400.0 + 2.0 * world[0], values)
    return scan_of(values.reshape(shape).astype(np.float32), affine)


def ellipsoid_brain(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    """Stands in for the network: what lies well inside the head and is brighter than its skull."""
    del spacing_mm
    inner = head & (image > 150) & (image < 650)
    return largest_piece(ndimage.binary_opening(inner, iterations=2))
