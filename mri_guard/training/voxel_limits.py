"""What clean scans look like voxel by voxel: the shape of a head, and the limits of every measure."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import InputError, NotCalibratedError
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.readers.sources import open_sources
from mri_guard.sanitize.head_shape import HeadShape, Vector, vector
from mri_guard.sanitize.limits import Limits, Normal, group_weights
from mri_guard.sanitize.look import look
from mri_guard.sanitize.measures import MEASURES, Likeness
from mri_guard.sanitize.voxel_checks import VOXEL_CHECKS

logger = logging.getLogger(__name__)

FOLDS = 5
SMALLEST_FIT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One scan as the limits see it.

    Attributes:
        group: where it comes from.
        values: of the measures that need nothing learnt.
        shape: its head on the grid.
    """

    group: str
    values: dict[str, float | None]
    shape: Vector


def learn_voxels(
    rows: Sequence[ManifestRow], *, progress: Callable[[], None] = lambda: None
) -> tuple[HeadShape, Limits]:
    """The shape of clean heads, and limits for every measure.

    Clean scans have lesions or none: a lesion must not look like a bad image. Shape, centres and
    spreads come from the splits `train` and `validation`, every site counting alike; the limit from
    `calibration`, which they have not seen.

    Args:
        rows: of all splits; those of `test` and of none are not looked at.
        progress: called after each scan that is.

    Raises:
        NotCalibratedError: too few scans.
    """
    fit, held = [], []
    with Decoder() as decoder, tempfile.TemporaryDirectory(prefix="mri-guard-") as folder:
        for row in rows:
            if row.split not in {"train", "validation", "calibration"}:
                continue
            try:
                made = measured(row, decoder, Path(folder))
            except InputError as error:
                logger.warning("a scan is left out of the voxel limits: %s", error)
            else:
                (held if row.split == "calibration" else fit).append(made)
            progress()
    return limits_of(fit, held)


def measured(row: ManifestRow, decoder: Decoder, work: Path) -> Measured:
    """One scan of a manifest.

    Args:
        row: of the manifest.
        decoder: reads the scan.
        work: folder that an archive may be extracted into.

    Raises:
        InputError: it cannot be read, or a check that needs nothing learnt refuses it.
    """
    scan = decoder(open_sources(row.scan, work, row.contrast)[0])
    for check in VOXEL_CHECKS:
        if (rejection := check(scan)) is not None:
            raise InputError(rejection.reason, rejection.detail)
    seen = look(scan)
    return Measured(row.site, {one.name: one(seen) for one in MEASURES}, vector(seen))


def limits_of(fit: Sequence[Measured], held: Sequence[Measured]) -> tuple[HeadShape, Limits]:
    """Shape and centres from the one, the limit from the other.

    Raises:
        NotCalibratedError: too few scans.
    """
    if len(fit) < SMALLEST_FIT:
        raise NotCalibratedError(f"{len(fit)} scans to fit on; wanted at least {SMALLEST_FIT}")
    vectors = np.stack([scan.shape for scan in fit])
    weights = group_weights([scan.group for scan in fit])
    shape = HeadShape.fit(vectors, weights)
    normals = {}
    for measure in MEASURES:
        seen = [
            (value, weight)
            for scan, weight in zip(fit, weights, strict=True)
            if (value := scan.values[measure.name]) is not None
        ]
        if len(seen) < SMALLEST_FIT:
            raise NotCalibratedError(f"{measure.name} measured on {len(seen)} scans only")
        values, shares = zip(*seen, strict=True)
        normals[measure.name] = Normal.fit(
            values, shares, measure.resolution, two_sided=measure.two_sided
        )
    likeness = Likeness(shape)
    normals[likeness.name] = Normal.fit(
        _unseen_distances(vectors, weights).tolist(),
        weights.tolist(),
        likeness.resolution,
        two_sided=likeness.two_sided,
    )
    limits = Limits(normals=normals, worst={})
    worst: dict[str, list[float]] = {}
    for scan in held:
        distance = shape.distance(scan.shape)
        deviations = limits.deviations({**scan.values, likeness.name: distance})
        worst.setdefault(scan.group, []).append(max(deviations.values()))
    made = Limits(
        normals=normals, worst={group: tuple(sorted(some)) for group, some in worst.items()}
    )
    _ = made.highest  # raises where there are too few
    return shape, made


def _unseen_distances(
    vectors: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of each head from the subspace of the others: its own would lie too near."""
    distances = np.empty(len(vectors))
    fold = np.arange(len(vectors)) % FOLDS
    for left in range(FOLDS):
        rest = fold != left
        shape = HeadShape.fit(vectors[rest], weights[rest] / weights[rest].sum())
        distances[~rest] = [shape.distance(one) for one in vectors[~rest]]
    return distances
