"""What a bundle has learnt of heads: their shape, and the contrast that tells them from others.

The head from the crown 125 mm down is brought to a small fixed grid; how far a scan lies from the
subspace of what was learnt (principal components: Jackson and Mudholkar 1979, Technometrics 21(3),
341-349, the Q statistic) says how little it is like that, and doing the same with its axes swapped
and turned says whether they are named right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.errors import BundleError
from mri_guard.sanitize.look import Look

GRID = (24, 24, 12)
BELOW_CROWN_MM = 125.0
"""Above the chin and neck, which some fields of view show and others do not."""

EDGE = 0.01
"""Share of the head's voxels left out at either end when its box is drawn: ears and noise."""

BRIGHTEST = 3.0
"""Times the head's signal; fat and vessels say little about shape."""

COMPONENTS = 16
CONTRAST = 18
"""Features of `measures.tissue`."""

SWAPS = ((0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0))
TURNS = tuple(product(SWAPS, (1, -1), (1, -1)))
"""Axes swapped, then A and S turned about; left and right of a head look the same."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LearntHeads:
    """Clean heads as a point and directions from it.

    Attributes:
        mean: float32, (n,), of unit vectors on the grid.
        components: float32, (c, n), orthonormal.
        contrast: float32, (18,), direction of `measures.tissue` towards another contrast; None
            where no other was at hand, so that it is not looked for.
    """

    mean: Vector
    components: Vector
    contrast: Vector | None = None

    @classmethod
    def fit(
        cls, vectors: NDArray[np.float32], weights: NDArray[np.float64], count: int = COMPONENTS
    ) -> "LearntHeads":
        """The subspace of these heads.

        Args:
            vectors: (m, n), as `vector` gives them.
            weights: (m,), of each head; their sum is 1.
            count: of components; fewer where there are fewer heads.
        """
        mean = weights @ vectors
        away = np.sqrt(weights)[:, None] * (vectors - mean)
        directions = np.linalg.svd(away, full_matrices=False)[2]
        kept = directions[: min(count, len(vectors) - 1)]
        return cls(mean.astype(np.float32), np.ascontiguousarray(kept, dtype=np.float32))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> "LearntHeads":
        """As `arrays` gave it.

        Raises:
            BundleError: a key or a shape does not fit.
        """
        size = int(np.prod(GRID))
        wanted = {"mean": (size,), "components": (-1, size), "contrast": (CONTRAST,)}
        for key, values in arrays.items():
            shape = wanted.get(key, ())
            if len(shape) != values.ndim or (shape[-1:] != values.shape[-1:]):
                raise BundleError(f"learnt heads have {key} {values.shape}; wanted {shape}")
            if not np.isfinite(values).all():
                raise BundleError(f"learnt heads have {key} that is not finite")
        missing = {"mean", "components"} - set(arrays)
        if missing:
            raise BundleError(f"learnt heads lack {', '.join(sorted(missing))}")
        return cls(**{key: values.astype(np.float32) for key, values in arrays.items()})

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """For the bundle."""
        made = {"mean": self.mean, "components": self.components}
        return made if self.contrast is None else {**made, "contrast": self.contrast}

    def distance(self, vector: Vector) -> float:
        """From the subspace, 0 (in it) to about 1.4 (nothing in common)."""
        away = vector - self.mean
        inside = self.components @ away
        return float(np.sqrt(max(float(away @ away) - float(inside @ inside), 0.0)))

    def turned(self, look: Look) -> float:
        """Distance as the axes are named, less the smallest with them swapped or turned."""
        distances = [
            self.distance(vector(turn(look, axes, anterior, superior)))
            for axes, anterior, superior in TURNS
        ]
        return distances[0] - min(distances[1:])


def turn(look: Look, axes: Sequence[int], anterior: int, superior: int) -> Look:
    """The look with the axes of its small volume swapped, then A and S turned about."""
    order = tuple(axes)
    mm = look.small_mm
    return replace(
        look,
        small=np.transpose(look.small, order)[:, ::anterior, ::superior],
        head=np.transpose(look.head, order)[:, ::anterior, ::superior],
        small_mm=(mm[order[0]], mm[order[1]], mm[order[2]]),
    )


def vector(look: Look) -> Vector:
    """The head on the grid, float32, (n,), of mean 0 and length 1; all 0 where nothing differs."""
    points = np.meshgrid(
        *(np.linspace(low, high, n) for (low, high), n in zip(_box(look), GRID, strict=True)),
        indexing="ij",
    )
    values = ndimage.map_coordinates(look.small, points, order=1, mode="nearest").ravel()
    values = np.clip(values / look.signal, 0, BRIGHTEST)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return np.asarray(values / length if length > 0 else values, dtype=np.float32)


def _box(look: Look) -> list[tuple[float, float]]:
    """First and last voxel of the head along each axis, from the crown down."""
    crown = int(np.flatnonzero(look.head.any(axis=(0, 1)))[-1]) + 1
    slices = BELOW_CROWN_MM / look.small_mm[2]
    part = look.head[..., max(int(crown - slices), 0) : crown]
    sides = []
    for axis in (0, 1):
        share = np.cumsum(part.sum(axis=(1 - axis, 2)))
        low, high = np.interp((EDGE, 1 - EDGE), share / share[-1], np.arange(len(share)))
        sides.append((float(low), float(high)))
    return [*sides, (crown - slices, crown - 1)]
