"""The model's grid: axial slices of 128 x 128 pixels of 2 mm, as far apart as acquired."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import SeriesError
from mri_guard.preprocess.orientation import from_ras, spacing_mm, to_ras
from mri_guard.records import Scan

T = TypeVar("T", bound=np.generic)

SIZE = 128
PIXEL_MM = 2.0
COARSEST_PIXEL_MM = 3.5
COARSEST_SLICES_MM = 12.0


def resample(
    voxels: NDArray[np.float32], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A RAS+ volume with pixels of 2 mm and slices at least 2 mm apart, and its affine.

    Linear between voxels; where the new ones are larger, the triangle widens to their size, so that
    nothing aliases. The field of view keeps its middle.

    Args:
        voxels: float32, (x, y, z), axes closest to RAS+.
        affine: float64, (4, 4), voxel index to RAS+ millimetres.

    Raises:
        SeriesError: too coarse across the axial plane, or slices too far apart.
    """
    spacing = spacing_mm(affine)
    if max(spacing[:2]) > COARSEST_PIXEL_MM:
        raise SeriesError(
            "in-plane-too-coarse",
            f"pixels of {spacing[0]:.2f} x {spacing[1]:.2f} mm across the axial plane, at most "
            f"{COARSEST_PIXEL_MM} mm wanted: thick sagittal and coronal stacks cannot be examined",
        )
    if spacing[2] > COARSEST_SLICES_MM:
        raise SeriesError(
            "slices-too-far-apart",
            f"axial slices {spacing[2]:.2f} mm apart, at most {COARSEST_SLICES_MM} mm wanted",
        )
    wanted = (PIXEL_MM, PIXEL_MM, max(PIXEL_MM, spacing[2]))
    out, to_old = voxels, np.eye(4)
    for axis in (2, 1, 0):
        count, have, want = voxels.shape[axis], spacing[axis], wanted[axis]
        if have == want:
            continue
        positions = _positions(count, have, want)
        out = _along(out, _weights(positions, count, widen=max(1.0, want / have)), axis)
        to_old[axis, axis], to_old[axis, 3] = want / have, positions[0]
    return out, affine @ to_old


def centre(
    volume: NDArray[np.float32], head: NDArray[np.bool_], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    """Volume and head on 128 x 128 pixels with the head's bounding box in the middle, and affine.

    Whole pixels are cut or added (as zeros), so nothing is interpolated again.

    Args:
        volume: float32, (x, y, z), pixels of 2 mm.
        head: bool, (x, y, z), not empty.
        affine: float64, (4, 4).
    """
    starts = []
    for axis in (0, 1):
        other = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(head.any(axis=other))
        starts.append(int(where[0] + where[-1] + 1 - SIZE) // 2)
    shift = np.eye(4)
    shift[:2, 3] = starts
    return _window(volume, starts), _window(head, starts), affine @ shift


def to_scan_grid(
    values: NDArray[np.float32], affine: NDArray[np.float64], scan: Scan
) -> NDArray[np.float32]:
    """A map of the model's grid on the scan's own voxels, float32, same shape as the scan's voxels.

    Linear between the map's voxels, and 0 beyond its edge.

    Args:
        values: float32, (128, 128, z), e.g. an anomaly map.
        affine: float64, (4, 4), of `Preprocessed`.
        scan: the scan that was preprocessed.
    """
    order, ras_affine = to_ras(np.empty(scan.voxels.shape, np.bool_), scan.affine)
    to_map = np.linalg.inv(affine) @ ras_affine
    out = values.astype(np.float32)
    for axis in range(3):
        positions = to_map[axis, axis] * np.arange(order.shape[axis]) + to_map[axis, 3]
        weights = _weights(positions, values.shape[axis], widen=1.0)
        weights[(positions < -0.5) | (positions > values.shape[axis] - 0.5)] = 0
        out = _along(out, weights, axis)
    return np.ascontiguousarray(from_ras(out, scan.affine))


def _positions(count: int, have: float, want: float) -> NDArray[np.float64]:
    """Where the new voxels lie along an axis, in old voxels; both share their middle."""
    new = max(1, round(count * have / want))
    steps = np.arange(new, dtype=np.float64) - (new - 1) / 2
    return (count - 1) / 2 + steps * (want / have)


def _weights(positions: NDArray[np.float64], count: int, widen: float) -> NDArray[np.float32]:
    """Share of each old voxel in each new one, float32, (new, old); rows sum to one."""
    distance = np.abs(positions.clip(0, count - 1)[:, None] - np.arange(count))
    triangle = np.maximum(0, 1 - distance / widen)
    weights: NDArray[np.float64] = triangle / triangle.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def _along(
    volume: NDArray[np.float32], weights: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """The volume resampled along one axis."""
    first = np.tensordot(weights, volume, axes=(1, axis))
    out: NDArray[np.float32] = np.moveaxis(first, 0, axis)
    return out


def _window(volume: NDArray[T], starts: list[int]) -> NDArray[T]:
    """128 x 128 pixels from `starts` on, zero where the volume has none."""
    out = np.zeros((SIZE, SIZE, volume.shape[2]), volume.dtype)
    source, target = [], []
    for start, count in zip(starts, volume.shape[:2], strict=True):
        first, last = max(0, start), min(count, start + SIZE)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    out[tuple(target)] = volume[tuple(source)]
    return out
