"""A manifest's scans as attacks are run on them, and the bench that runs them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mri_guard.anomaly import VaeScorer
from mri_guard.calibration import ScoreCalibrator
from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.robustness.attacked import Bench, Detectors, Target
from mri_guard.evaluation.robustness.scene import slice_threshold
from mri_guard.journey import Kit
from mri_guard.readers.manifest import ManifestRow, lesion_on_grid
from mri_guard.readers.sources import open_sources
from mri_guard.records import Anomaly, Scan


def read_scan(row: ManifestRow, kit: Kit, work: Path) -> Scan:
    """The scan as it was acquired.

    Raises:
        InputError: it cannot be read.
    """
    return kit.decoder(open_sources(row.scan, work, row.contrast)[0])


def target_of(row: ManifestRow, kit: Kit, work: Path) -> Target:
    """The scan as attacks see it.

    Raises:
        InputError: it cannot be read or preprocessed.
    """
    preprocessed = kit.preprocess(read_scan(row, kit, work))
    x, y, z = preprocessed.image.shape
    lesion = None
    if row.mask is not None:
        lesion = lesion_on_grid(row.mask, preprocessed.affine, (x, y, z))
    elif row.label == "healthy":
        lesion = np.zeros((x, y, z), dtype=np.bool_)
    return Target(row, preprocessed, lesion)


def targets_of(
    rows: Sequence[ManifestRow], kit: Kit, work: Path, console: Console | None
) -> tuple[list[Target], list[dict[str, Any]]]:
    """What could be examined, and the reason for each that could not."""
    targets, refused = [], []
    for row in track(rows, "reading", console=console, disable=console is None):
        try:
            targets.append(target_of(row, kit, work))
        except InputError as error:
            refused.append({"reason": error.reason, "detail": error.detail})
    return targets, refused


def bench_of(
    kit: Kit,
    targets: Sequence[Target],
    clean: Sequence[Anomaly],
    *,
    folder: Path,
    seed: int,
    hidden: Callable[[Target], Detectors] | None,
) -> Bench:
    """The bench with the bundle's thresholds.

    Raises:
        SettingsError: the kit's score has no gradient or no threshold.
    """
    if not isinstance(kit.scorer, VaeScorer):
        raise SettingsError("the bundle's score has no gradient to attack")
    if not isinstance(kit.calibrate, ScoreCalibrator):
        raise SettingsError("the bundle's calibration has no threshold to attack")
    return Bench(
        scorer=kit.scorer,
        thresholds={
            "slices": slice_threshold(kit.calibrate, targets, clean),
            "scan": kit.calibrate.threshold,
        },
        scale=float(np.std(kit.calibrate.scores)),
        folder=folder,
        seed=seed,
        hidden=hidden,
        known="" if hidden is None else kit.bundle_digest,
    )
