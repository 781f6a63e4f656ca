"""What the voxel checks look at: a small volume, where the head is in it, and a few whole slices.

Made once a scan and kept as long as the scan is: the checks are independent of one another, but
each of them would begin with this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.otsu import otsu
from mri_guard.records import Scan

SMALL_MM = 4.0
AIR_MM = 12.0
"""Air begins this far from the head: fat shift, eyes and noise blur its edge."""

RIM_MM = 16.0
"""Scalp and skull."""

LEAST_AIR_PIXELS = 500

PLANE_PIXELS = 6 * 256 * 256
"""At most as many pixels of whole slices are looked at."""

SPREAD_SLICES = 10
"""Slices from one end of the stack to the other, for what they all share."""

THICK = 1.5
"""Slices run across the axis whose voxels are this many times longer than the others'."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A scan as the voxel checks see it; axes run closest to R, A, S.

    Attributes:
        small: float32, (x, y, z), means over about 4 mm, scanner units.
        small_mm: voxel size of `small`.
        head: bool, like `small`: the largest bright piece, filled slice by slice; may be empty.
        inner: bool, like `small`: the head without its rim, which is scalp and skull.
        air: bool, like `small`: about 12 mm or more from the head, in its slices.
        signal: median of `small` in the head, scanner units; above 0 unless there is no head.
        top: 99th percentile of `small` in the head.
        planes: float32, (k, a, b), whole slices of the acquisition through the middle of the head.
        planes_mm: pixel size along a and b.
        plane_head: bool, like `planes`.
        plane_air: bool, like `planes`.
        lowest: float32, (a, b), the lowest value of each pixel over slices of the whole stack.
        highest: float32, (a, b), the highest.
    """

    small: NDArray[np.float32]
    small_mm: tuple[float, float, float]
    head: NDArray[np.bool_]
    inner: NDArray[np.bool_]
    air: NDArray[np.bool_]
    signal: float
    top: float
    planes: NDArray[np.float32]
    planes_mm: tuple[float, float]
    plane_head: NDArray[np.bool_]
    plane_air: NDArray[np.bool_]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def measured_air(self) -> NDArray[np.float32] | None:
        """Air of `planes`, (n,); None where there is too little, or most of it is 0: masked."""
        air = self.planes[self.plane_air]
        if air.size < LEAST_AIR_PIXELS or np.count_nonzero(air) < air.size / 2:
            return None
        return air


_LOOKS: WeakKeyDictionary[Scan, Look] = WeakKeyDictionary()


def look(scan: Scan) -> Look:
    """The scan as the voxel checks see it, made at the first call.

    Args:
        scan: finite, and not of a single value.
    """
    made = _LOOKS.get(scan)
    if made is None:
        made = _LOOKS[scan] = _make(scan)
    return made


def _make(scan: Scan) -> Look:
    turn = nibabel.orientations.io_orientation(scan.affine)
    voxels = nibabel.orientations.apply_orientation(scan.voxels, turn)
    back = scan.affine @ nibabel.orientations.inv_ornt_aff(turn, scan.voxels.shape)
    mm = [float(length) for length in np.linalg.norm(back[:3, :3], axis=0)]
    pooling = [max(1, round(SMALL_MM / length)) for length in mm]
    small = pooled(voxels, pooling)
    small_mm = (mm[0] * pooling[0], mm[1] * pooling[1], mm[2] * pooling[2])
    head = _head(small)
    air = _air(head, small_mm)
    inside = small[head]
    across = _slice_axis(mm)
    numbers = _numbers(head, across, pooling[across], voxels.shape)
    in_plane = [axis for axis in range(3) if axis != across]
    planes = np.ascontiguousarray(np.moveaxis(voxels, across, 0)[numbers], dtype=np.float32)
    spread = np.unique(np.linspace(0, voxels.shape[across] - 1, SPREAD_SLICES).astype(int))
    stack = np.moveaxis(voxels, across, 0)[spread]
    return Look(
        small=small,
        small_mm=small_mm,
        head=head,
        inner=_inner(head, small_mm),
        air=air,
        signal=float(np.median(inside)) if inside.size else 0.0,
        top=float(np.percentile(inside, 99)) if inside.size else 0.0,
        planes=planes,
        planes_mm=(mm[in_plane[0]], mm[in_plane[1]]),
        plane_head=_whole(head, across, numbers, pooling, planes.shape),
        plane_air=_whole(air, across, numbers, pooling, planes.shape),
        lowest=stack.min(axis=0),
        highest=stack.max(axis=0),
    )


def pooled(voxels: NDArray[np.float32], pooling: Sequence[int]) -> NDArray[np.float32]:
    """Means over blocks, float32; what does not fill a block at the far ends is left out."""
    made = voxels
    for axis, size in enumerate(pooling):
        if size > 1:
            count = made.shape[axis] // size
            made = _pool(made, axis, size, count)
    return np.ascontiguousarray(made, dtype=np.float32)


def _pool(voxels: NDArray[np.float32], axis: int, size: int, count: int) -> NDArray[np.float32]:
    """Adds strided views, which is several times faster than a reduction over a short axis."""
    cut = [slice(None)] * 3
    total = np.zeros((), dtype=np.float32)
    for offset in range(size):
        cut[axis] = slice(offset, count * size, size)
        total = total + voxels[tuple(cut)]
    return np.asarray(total / np.float32(size), dtype=np.float32)


def _head(small: NDArray[np.float32]) -> NDArray[np.bool_]:
    """As `preprocess.head_mask` finds it, on a coarser grid; that package needs torch."""
    low, top = (float(value) for value in np.percentile(small, (1, 99)))
    if not top > low:
        return np.zeros(small.shape, np.bool_)
    bright = small > low + (otsu(np.clip(small, low, top), 128) - low) / 2
    plane = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
    # The scalp is thin: it is opened only after it was filled, or the brain alone would be left.
    pieces, count = ndimage.label(bright)
    if count == 0:
        return np.zeros(small.shape, np.bool_)
    piece = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    closed = ndimage.binary_closing(np.pad(piece, ((2, 2), (2, 2), (0, 0))), plane, iterations=2)
    filled = ndimage.binary_fill_holes(closed[2:-2, 2:-2], plane)
    return np.asarray(ndimage.binary_opening(filled, plane, iterations=2))


def _inner(head: NDArray[np.bool_], mm: Sequence[float]) -> NDArray[np.bool_]:
    plane = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
    rim = max(1, round(RIM_MM / mm[0]))
    return np.asarray(ndimage.binary_erosion(head, plane, iterations=rim))


def _air(head: NDArray[np.bool_], mm: Sequence[float]) -> NDArray[np.bool_]:
    """Away from the head and from what it encloses, in the slices that show it."""
    hull = np.zeros_like(head)
    for axis in (0, 1):
        before = np.logical_or.accumulate(head, axis=axis)
        behind = np.flip(np.logical_or.accumulate(np.flip(head, axis), axis=axis), axis)
        hull |= before & behind
    plane = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
    near = ndimage.binary_dilation(hull, plane, iterations=max(1, round(AIR_MM / mm[0])))
    return np.asarray(~near & head.any(axis=(0, 1)))


def _slice_axis(mm: Sequence[float]) -> int:
    """The axis the slices are stacked along: the coarsest, or the third where none is."""
    longest = int(np.argmax(mm))
    others = max(length for axis, length in enumerate(mm) if axis != longest)
    return longest if mm[longest] > THICK * others else 2


def _numbers(
    head: NDArray[np.bool_], across: int, size: int, shape: Sequence[int]
) -> NDArray[np.int64]:
    """Slices through the middle of the head, at most as many as their pixels allow."""
    shown = np.flatnonzero(head.any(axis=tuple(axis for axis in range(3) if axis != across)))
    low, high = (shown[0], shown[-1]) if shown.size else (0, head.shape[across] - 1)
    pixels = int(np.prod(shape)) // shape[across]
    count = int(np.clip(PLANE_PIXELS // pixels, 2, 12))
    middle = low + np.linspace(0.35, 0.8, count) * (high - low)
    return np.unique(np.clip(middle * size, 0, shape[across] - 1).astype(np.int64))


def _whole(
    mask: NDArray[np.bool_],
    across: int,
    numbers: NDArray[np.int64],
    pooling: Sequence[int],
    shape: Sequence[int],
) -> NDArray[np.bool_]:
    """A mask of the small volume on the whole slices; false where no block was."""
    moved = np.moveaxis(mask, across, 0)
    rows = moved[np.clip(numbers // pooling[across], 0, len(moved) - 1)]
    for axis, size in enumerate([pooling[axis] for axis in range(3) if axis != across], start=1):
        rows = rows.repeat(size, axis=axis)
    missing = [(0, 0)] + [(0, shape[axis] - rows.shape[axis]) for axis in (1, 2)]
    return np.pad(rows, missing)
