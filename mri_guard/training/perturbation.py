"""What the perturbation detectors learn, and what clean scans have of their statistics."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mri_guard.determinism import generator
from mri_guard.errors import InputError, NotCalibratedError
from mri_guard.perturbation.asked_once import AskedOnce
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors import (
    DETECTORS,
    FeatureSqueezing,
    Fragility,
    HighFrequency,
    Learnt,
)
from mri_guard.perturbation.detectors.learnt import discriminant
from mri_guard.perturbation.spectrum import excess
from mri_guard.ports import Scorer
from mri_guard.preprocess import Preprocess
from mri_guard.preprocess.grid import PIXEL_MM
from mri_guard.preprocess.orientation import spacing_mm, to_ras
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Anomaly, Preprocessed, Scan
from mri_guard.training.data import decoded, prepared_scan, preprocess_digest

logger = logging.getLogger(__name__)

LEARNT_FROM = "validation"
"""Split that the detectors learn from; no scan of it calibrates them."""

EPSILON = 4 / 255
SMALLEST_FIT = 10


def learn_from(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Those of the rows that the detectors learn from."""
    return [row for row in rows if row.split == LEARNT_FROM]


def calibrate_on(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Those that calibrate them: the split `calibration`, and scans with lesions of `train`.

    Of the latter the model may have learnt the lesion-free slices, never the lesions; they differ
    more from one another than from what it has not seen, and real scans are few.
    """
    return [
        row
        for row in rows
        if row.split == "calibration" or (row.split == "train" and row.label == "abnormal")
    ]


def learn_detectors(
    rows: Sequence[ManifestRow],
    preprocess: Preprocess,
    *,
    seed: int,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> tuple[ConformalDetector, ...]:
    """Every detector, in running order, none of them calibrated.

    Args:
        rows: as `learn_from` chooses them; clean, with lesions or without.
        preprocess: as the bundle uses it.
        seed: root seed.
        cache: folder for preprocessed scans.
        progress: called after each scan.

    Raises:
        NotCalibratedError: too few scans.
    """
    maker = preprocess_digest(preprocess)
    clean, changed, coarsest_mm = [], [], 0.0
    with Decoder() as decoder:
        for number, row in enumerate(rows):
            try:
                prepared, _ = prepared_scan(row, preprocess, maker, decoder, cache)
                scan = decoded(row, decoder, cache)
            except InputError as error:
                logger.warning("a scan that detectors learn from is left out: %s", error)
            else:
                signs = generator(seed, "detectors", "signs", number)
                coarsest_mm = max(coarsest_mm, *pixel_mm(scan))
                clean.append(excess(scan, prepared))
                changed.append(excess(scan, with_signs(prepared, EPSILON, signs)))
            progress()
    if len(clean) < SMALLEST_FIT:
        raise NotCalibratedError(
            f"{len(clean)} scans of the split {LEARNT_FROM} for the detectors to learn from; "
            f"wanted at least {SMALLEST_FIT}"
        )
    if coarsest_mm < PIXEL_MM:
        logger.warning(
            "the detectors learn from pixels of up to %.2f mm; clean scans of coarser ones, whose "
            "noise is whiter, may be held: add some, such as `mri-guard phantom --pixel-mm 2`",
            coarsest_mm,
        )
    direction = discriminant(np.stack(clean), np.stack(changed))
    every: dict[type[ConformalDetector], ConformalDetector] = {
        HighFrequency: HighFrequency(()),
        Learnt: Learnt((), tuple(float(weight) for weight in direction)),
        FeatureSqueezing: FeatureSqueezing(()),
        Fragility: Fragility(()),
    }
    return tuple(every[kind] for kind in DETECTORS)


def pixel_mm(scan: Scan) -> tuple[float, float]:
    """Size of a scan's pixels across the axial plane."""
    _, affine = to_ras(np.empty(scan.voxels.shape, np.bool_), scan.affine)
    return spacing_mm(affine)[:2]


def with_signs(
    preprocessed: Preprocessed, epsilon: float, rng: np.random.Generator
) -> Preprocessed:
    """The scan with `epsilon` added or taken away at random in each voxel of the head."""
    signs = 2 * rng.integers(0, 2, preprocessed.image.shape).astype(np.float32) - 1
    changed = preprocessed.image + np.float32(epsilon) * signs * preprocessed.head
    return replace(preprocessed, image=changed.astype(np.float32))


def statistics_of(
    detectors: Sequence[ConformalDetector],
    scan: Scan,
    preprocessed: Preprocessed,
    anomaly: Anomaly,
    scorer: Scorer,
) -> dict[str, float]:
    """Each detector's statistic of one scan."""
    asked = AskedOnce(scorer)
    return {
        detector.name: detector.statistic(scan, preprocessed, anomaly, asked)
        for detector in detectors
    }


def clean_statistics(
    rows: Sequence[ManifestRow],
    detectors: Sequence[ConformalDetector],
    preprocess: Preprocess,
    scorer: Scorer,
    *,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, tuple[float, ...]]:
    """Each detector's statistic of clean scans, in the same order for each.

    Args:
        rows: as `calibrate_on` chooses them.
        detectors: calibrated or not.
        preprocess: as the bundle uses it.
        scorer: as the bundle uses it.
        cache: folder for preprocessed scans.
        progress: called after each scan.
    """
    maker = preprocess_digest(preprocess)
    found: list[dict[str, float]] = []
    with Decoder() as decoder:
        for row in rows:
            try:
                prepared, _ = prepared_scan(row, preprocess, maker, decoder, cache)
                scan = decoded(row, decoder, cache)
                anomaly = scorer(prepared)
                found.append(statistics_of(detectors, scan, prepared, anomaly, scorer))
            except InputError as error:
                logger.warning("a calibration scan is left out: %s", error)
            progress()
    return aligned(found)


def aligned(found: Sequence[dict[str, float]]) -> dict[str, tuple[float, ...]]:
    """Statistics by detector, from those by scan."""
    names = found[0] if found else {}
    return {name: tuple(one[name] for one in found) for name in names}
