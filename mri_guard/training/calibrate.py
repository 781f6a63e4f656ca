"""Scores of clean held-out scans: what the bundle's thresholds and p-values are made from."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.bundle import Calibration
from mri_guard.errors import InputError
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.ports import Scorer
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Anomaly, Preprocessed
from mri_guard.training.data import decoded, prepared_scan, preprocess_digest
from mri_guard.training.perturbation import aligned, statistics_of

logger = logging.getLogger(__name__)


def calibration_of(
    rows: Sequence[ManifestRow],
    lesioned: Sequence[ManifestRow],
    preprocess: Preprocess,
    scorer: Scorer,
    detectors: Sequence[ConformalDetector],
    *,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> Calibration:
    """Scores of the scans, none of which the model or its statistics may have seen.

    A healthy scan gives its score and its highest slice score under its `site`. Where a site has
    none, a scan with a lesion mask stands in with its slices at least two away from the lesion.
    Every scan, whole, gives the detectors a clean statistic: a lesion must not look like a
    perturbation.

    Args:
        rows: the calibration split.
        lesioned: further scans with lesions, for the detectors alone: the model may have learnt
            from their lesion-free slices, never from the lesions, and these scans differ more from
            one another than from what it has not seen.
        preprocess: as the bundle uses it.
        scorer: as the bundle uses it.
        detectors: as the bundle will use them, not yet calibrated.
        cache: folder for preprocessed scans.
        progress: called after each scan.
    """
    maker = preprocess_digest(preprocess)
    healthy: dict[str, list[tuple[float, float]]] = {}
    with_healthy = {row.site for row in rows if row.label == "healthy"}
    statistics: list[dict[str, float]] = []
    with Decoder() as decoder:
        for row in (*rows, *lesioned):
            try:
                scan, lesion = prepared_scan(row, preprocess, maker, decoder, cache)
                anomaly = scorer(scan)
                stored = decoded(row, decoder, cache)
                statistics.append(statistics_of(detectors, stored, scan, anomaly, scorer))
                if row.split == "calibration":
                    part = healthy_part(row, scan, lesion, with_healthy)
                    if part is not None:
                        group, seen = part
                        scores = scan_scores(anomaly if seen is scan else scorer(seen))
                        healthy.setdefault(group, []).append(scores)
            except InputError as error:
                logger.warning("a calibration scan is left out: %s", error)
            progress()
    return Calibration(
        healthy_scores={
            group: tuple(score for score, _ in scores) for group, scores in healthy.items()
        },
        detectors=aligned(statistics),
        highest_slices={
            group: tuple(highest for _, highest in scores) for group, scores in healthy.items()
        },
    )


def scan_scores(anomaly: Anomaly) -> tuple[float, float]:
    """The scan's score and its highest slice's: 0, the lowest there is, where no slice has one."""
    return anomaly.score, float(np.nanmax(anomaly.slice_scores, initial=0.0))


def healthy_part(
    row: ManifestRow,
    scan: Preprocessed,
    lesion: NDArray[np.bool_] | None,
    with_healthy: Collection[str],
) -> tuple[str, Preprocessed] | None:
    """The group that a calibration scan counts in and what of it is healthy; None where it is none.

    Args:
        row: of the scan.
        scan: whole.
        lesion: bool, like the scan; None where nobody drew one.
        with_healthy: sites that have healthy scans, and need no stand-ins.
    """
    if row.label == "healthy":
        return row.site, scan
    if lesion is None or row.site in with_healthy:
        return None
    near = ndimage.binary_dilation(lesion.any(axis=(0, 1)))
    brain = scan.brain & ~near[None, None]
    if not brain.any():
        return None
    return f"{row.site}, slices without lesion", replace(scan, brain=brain)
