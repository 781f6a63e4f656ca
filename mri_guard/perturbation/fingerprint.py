"""Fingerprint of a scan's voxels: near-duplicates share much of it, other heads next to nothing.

Blacklight (Li et al. 2022, USENIX Security, arXiv:2006.14042, section 4): an attack that only sees
answers must ask many questions about images that hardly differ. Quantise, hash every sliding
segment of the pixels, keep a few of the hashes; images that share many are near-duplicates. Theirs
hashes raw pixels of one fixed size. Ours hashes means of coarse cells of the head's own box, since
a scan comes in any matrix, shifted, rescaled and rounded, and a small perturbation of every voxel
leaves the mean of a cell nearly where it was.

The hashes are keyed and of coarse means: without the key nobody can tell a head from them or make
two heads meet.
"""

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.errors import SeriesError
from mri_guard.preprocess.orientation import to_ras
from mri_guard.records import Scan

CELLS = (14, 16, 10)
"""Along x, y, z of the head's box."""

RADIUS = 0.9
"""Cells inside an ellipsoid of so much of the box: head and little else."""

LOOK = 64
"""Points along each axis among which the box is sought."""

MARGIN = 0.02
"""Share of the brightness that may lie beyond either end of the box along an axis."""

DARK = 0.15
"""Below so much of the range a voxel is background, where the box is sought."""

STEP = 0.3
"""Width of a level, in units of the cells' spread."""

SEGMENT = 10
"""Cells in a segment."""

COUNT = 50
"""Hashes that are kept, as Blacklight keeps."""


def fingerprint(scan: Scan, key: bytes) -> frozenset[int]:
    """The smallest hashes of a scan's segments, at most `COUNT`, each of 63 bits.

    Args:
        scan: as decoded.
        key: secret; other keys give other hashes.

    Raises:
        SeriesError: `fingerprint-failed`: nothing stands out from the background.
    """
    means = cell_means(scan)
    drawn = generator(int.from_bytes(hashlib.sha256(key).digest()[:8]), "fingerprint")
    # A level of its own for each cell, so that nobody can tell where the next one begins.
    levels = np.floor(means / STEP + drawn.random(means.size)).astype(np.int8)
    order = drawn.permutation(means.size)
    hashes = set()
    for start in range(means.size - SEGMENT + 1):
        cells = order[start : start + SEGMENT]
        segment = start.to_bytes(4) + levels[cells].tobytes()
        digest = hmac.digest(key, segment, "sha256")
        hashes.add(int.from_bytes(digest[:8]) >> 1)
    return frozenset(sorted(hashes)[:COUNT])


def cell_means(scan: Scan) -> NDArray[np.float64]:
    """Mean of each cell of the head's box, (n,), in spreads around their middle, within +-10.

    Raises:
        SeriesError: `fingerprint-failed`.
    """
    voxels, _ = to_ras(scan.voxels, scan.affine)
    small = voxels
    for axis in range(3):
        size = small.shape[axis]
        small = _along(small, _cells(0, size, min(LOOK, size), size), axis)
    low, high = np.percentile(small, (5, 98))
    if not high > low:
        raise SeriesError("fingerprint-failed", "nothing stands out from the background")
    bright = np.clip((small - low) / (high - low), 0, 1)
    bright[bright < DARK] = 0
    cells = voxels
    for axis, count in enumerate(CELLS):
        profile = bright.sum(axis=tuple(other for other in range(3) if other != axis))
        ends = _quantiles(profile, (MARGIN, 1 - MARGIN)) * (voxels.shape[axis] / profile.size)
        cells = _along(cells, _cells(ends[0], ends[1], count, voxels.shape[axis]), axis)
    means = cells[_inside()].astype(np.float64)
    first, middle, third = np.percentile(means, (25, 50, 75))
    if not third > first:
        raise SeriesError("fingerprint-failed", "nothing stands out from the background")
    return np.clip((means - middle) / (third - first), -10, 10)


def overlap(one: frozenset[int], other: frozenset[int]) -> int:
    """How many hashes two fingerprints share, 0..COUNT."""
    return len(one & other)


def _inside() -> NDArray[np.bool_]:
    axes = [(np.arange(count) + 0.5) / count * 2 - 1 for count in CELLS]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 < RADIUS**2)


def _quantiles(profile: NDArray[np.float32], shares: tuple[float, float]) -> NDArray[np.float64]:
    """Where along a profile so much of its mass lies below, in its own steps."""
    mass = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    return np.interp(np.asarray(shares) * mass[-1], mass, np.arange(mass.size))


def _cells(start: float, stop: float, count: int, size: int) -> NDArray[np.float32]:
    """Share of each voxel in each of so many cells from start to stop, (count, size)."""
    edges = np.linspace(start, stop, count + 1)
    voxels = np.arange(size)
    covered = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    covered = np.clip(covered, 0, None)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def _along(
    volume: NDArray[np.float32], weights: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    return np.moveaxis(np.tensordot(weights, volume, axes=(1, axis)), 0, axis)
