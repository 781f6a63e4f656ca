"""What clean scans look like voxel by voxel: the heads, and the limits of every measure."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import InputError, NotCalibratedError
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.readers.sources import open_sources
from mri_guard.records import Contrast
from mri_guard.sanitize.learnt_heads import LearntHeads, Vector, vector
from mri_guard.sanitize.limits import Limits, Normal, group_weights
from mri_guard.sanitize.look import look
from mri_guard.sanitize.measures import MEASURES, Measure, measures
from mri_guard.sanitize.measures.tissue import direction, tissue_features
from mri_guard.sanitize.voxel_checks import VOXEL_CHECKS

logger = logging.getLogger(__name__)

FOLDS = 5
SMALLEST_FIT = 10
USED = frozenset({"train", "validation", "calibration"})


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One scan as the limits see it.

    Attributes:
        group: where it comes from.
        values: of the measures that need nothing learnt.
        shape: its head on the grid.
        tissue: float32, (18,); None where they cannot be measured.
    """

    group: str
    values: dict[str, float | None]
    shape: Vector
    tissue: Vector | None


def learn_voxels(
    rows: Sequence[ManifestRow],
    contrast: Contrast,
    *,
    progress: Callable[[], None] = lambda: None,
) -> tuple[LearntHeads, Limits]:
    """The heads of clean scans, and limits for every measure.

    Clean scans have lesions or none: a lesion must not look like a bad image. Heads, centres and
    spreads come from the splits `train` and `validation`, every site counting alike; the limit from
    `calibration`, which they have not seen. Scans of another contrast show what this one is not.

    Args:
        rows: of all splits; those of `test` and of none are not looked at.
        contrast: what the bundle's scans are; a row that names none is taken for it.
        progress: called after each scan that is looked at.

    Raises:
        NotCalibratedError: too few scans.
    """
    fit: list[Measured] = []
    held: list[Measured] = []
    others: list[Measured] = []
    with Decoder() as decoder, tempfile.TemporaryDirectory(prefix="mri-guard-") as folder:
        for row in used(rows):
            try:
                made = measured(row, decoder, Path(folder))
            except InputError as error:
                logger.warning("a scan is left out of the voxel limits: %s", error)
            else:
                other = row.contrast not in (None, contrast)
                (others if other else held if row.split == "calibration" else fit).append(made)
            progress()
    return limits_of(fit, held, others)


def used(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Those of the rows that limits are learnt from."""
    return [row for row in rows if row.split in USED]


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
    values = {one.name: one(seen) for one in MEASURES}
    return Measured(row.site, values, vector(seen), tissue_features(seen))


def limits_of(
    fit: Sequence[Measured], held: Sequence[Measured], others: Sequence[Measured]
) -> tuple[LearntHeads, Limits]:
    """Heads, centres and spreads from the first, the limit from the second.

    Args:
        fit: clean scans.
        held: clean calibration scans, none of which is among the first.
        others: of another contrast; may be none.

    Raises:
        NotCalibratedError: too few scans.
    """
    if len(fit) < SMALLEST_FIT:
        raise NotCalibratedError(f"{len(fit)} scans to fit on; wanted at least {SMALLEST_FIT}")
    heads = _heads(fit, others)
    unseen = _of_the_others(fit, others)
    weights = group_weights([scan.group for scan in fit])
    normals = {
        measure.name: _normal(measure, [values[measure.name] for values in unseen], weights)
        for measure in measures(heads)
    }
    made = Limits(normals=normals, worst={})
    worst: dict[str, list[float]] = {}
    for scan in held:
        deviations = made.deviations(_values(scan, heads))
        worst.setdefault(scan.group, []).append(max(deviations.values()))
    made = made.model_copy(
        update={"worst": {group: tuple(sorted(some)) for group, some in worst.items()}}
    )
    made.rank()
    return heads, made


def _heads(fit: Sequence[Measured], others: Sequence[Measured]) -> LearntHeads:
    weights = group_weights([scan.group for scan in fit])
    heads = LearntHeads.fit(np.stack([scan.shape for scan in fit]), weights)
    elsewhere = [scan.tissue for scan in others if scan.tissue is not None]
    here = [scan for scan in fit if scan.tissue is not None]
    if min(len(elsewhere), len(here)) < SMALLEST_FIT:
        return heads
    features = np.stack([scan.tissue for scan in here if scan.tissue is not None])
    shares = group_weights([scan.group for scan in here])
    return replace(heads, contrast=direction(features, shares, np.stack(elsewhere)))


def _values(scan: Measured, heads: LearntHeads) -> dict[str, float | None]:
    """Every measure of a scan."""
    values = {**scan.values, "likeness": heads.distance(scan.shape)}
    if heads.contrast is not None:
        values["tissue"] = None if scan.tissue is None else float(scan.tissue @ heads.contrast)
    return values


def _of_the_others(
    fit: Sequence[Measured], others: Sequence[Measured]
) -> list[dict[str, float | None]]:
    """Every measure of each scan, by heads learnt from the others: by its own it lies too near."""
    found: dict[int, dict[str, float | None]] = {}
    for left in range(FOLDS):
        heads = _heads([scan for at, scan in enumerate(fit) if at % FOLDS != left], others)
        found |= {at: _values(scan, heads) for at, scan in enumerate(fit) if at % FOLDS == left}
    return [found[at] for at in range(len(fit))]


def _normal(
    measure: Measure, values: Sequence[float | None], weights: NDArray[np.float64]
) -> Normal:
    seen = [
        (value, weight) for value, weight in zip(values, weights, strict=True) if value is not None
    ]
    if len(seen) < SMALLEST_FIT:
        raise NotCalibratedError(
            f"{measure.name} was measured on {len(seen)} of {len(values)} scans"
        )
    return Normal.fit(
        [value for value, _ in seen], [float(weight) for _, weight in seen], measure.resolution
    )
