"""Scores of clean held-out scans: what the bundle's thresholds and p-values are made from."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scipy import ndimage

from mri_guard.bundle import Calibration
from mri_guard.errors import InputError
from mri_guard.perturbation.detectors import FeatureSqueezing
from mri_guard.ports import Scorer
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.training.data import prepared_scan, preprocess_digest

logger = logging.getLogger(__name__)


def calibration_of(
    rows: Sequence[ManifestRow],
    preprocess: Preprocess,
    scorer: Scorer,
    *,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> Calibration:
    """Scores of the scans, none of which the model or its statistics may have seen.

    A healthy scan gives a healthy score under its `site`. Where a site has none, a scan with a
    lesion mask stands in with its slices at least two away from the lesion. Every scan, whole,
    gives the detectors a clean statistic: a lesion must not look like a perturbation.

    Args:
        rows: the calibration split.
        preprocess: as the bundle uses it.
        scorer: as the bundle uses it.
        cache: folder for preprocessed scans.
        progress: called after each scan.
    """
    maker = preprocess_digest(preprocess)
    detector = FeatureSqueezing(calibration=())
    healthy: dict[str, list[float]] = {}
    with_healthy = {_site(row) for row in rows if row.label == "healthy"}
    statistics: list[float] = []
    with Decoder() as decoder:
        for row in rows:
            try:
                scan, lesion = prepared_scan(row, preprocess, maker, decoder, cache)
                score = scorer(scan).score
                statistics.append(detector.statistic(scan, score, scorer))
                if row.label == "healthy":
                    healthy.setdefault(_site(row), []).append(score)
                elif lesion is not None and _site(row) not in with_healthy:
                    near = ndimage.binary_dilation(lesion.any(axis=(0, 1)))
                    brain = scan.brain & ~near[None, None]
                    if brain.any():
                        group = f"{_site(row)}, slices without lesion"
                        free = scorer(replace(scan, brain=brain)).score
                        healthy.setdefault(group, []).append(free)
            except InputError as error:
                logger.warning("a calibration scan is left out: %s", error)
            progress()
    return Calibration(
        healthy_scores={group: tuple(scores) for group, scores in healthy.items()},
        detectors={detector.name: tuple(sorted(statistics))},
    )


def _site(row: ManifestRow) -> str:
    return row.attributes.get("site") or "site not stated"
