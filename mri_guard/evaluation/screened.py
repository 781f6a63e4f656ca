"""What the whole journey makes of a manifest's scan, computed once for all evaluations that ask."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from mri_guard.calibration.second_look import SmoothedLook
from mri_guard.determinism import generator
from mri_guard.evaluation.robustness.attacked import CODE
from mri_guard.journey import Kit, examine
from mri_guard.kept import code_digest, digest_of, digest_of_path, once
from mri_guard.readers.manifest import ManifestRow, lesion_on_grid
from mri_guard.readers.sources import open_sources
from mri_guard.records import Contrast, Examination, Finite, Record

JOURNEY = (
    *CODE,
    "bundle.py",
    "calibration",
    "decision",
    "journey.py",
    "readers",
    "records",
    "sanitize",
    "evaluation/screened.py",
)
"""Source that it depends on, below the package."""


class Screened(Record):
    """One scan after the journey.

    Attributes:
        examination: as it would be stored with the case; its times are of the first computation.
        score: of the scan; None where the model was not reached.
        slices: score of every slice; None where one has none; empty with no score.
        lesion_px: pixels of lesion in each slice; None where nobody knows, or the model's grid was
            not reached.
    """

    examination: Examination
    score: Finite | None = None
    slices: tuple[Finite | None, ...] = ()
    lesion_px: tuple[int, ...] | None = None


SCREENED = TypeAdapter(Screened)
"""How it is kept."""


def screened(row: ManifestRow, kit: Kit, work: Path) -> Screened:
    """What becomes of a scan, with the truth of its slices where it is known.

    A service draws the noise of a second look in secret; here it comes from the kit's seed, so that
    evidence can be made again.

    Args:
        row: of the manifest.
        kit: from the bundle.
        work: folder of what has been computed.

    Raises:
        InputError: there is nothing at the row's path that could be examined.
    """
    of = source_digests(row)
    look = kit.second_look
    if isinstance(look, SmoothedLook):
        drawn = int(generator(kit.seed, "screened, second look", *of).integers(2**63))
        kit = replace(kit, second_look=replace(look, seed=lambda: drawn))
    key = digest_of("screened", kit.bundle_digest, kit.seed, code_digest(*JOURNEY), *of)
    return once(work / "screened" / f"{key}.json", SCREENED, lambda: _screened(row, kit, work))


def source_digests(row: ManifestRow) -> tuple[str, ...]:
    """All of a manifest's row that scores depend on."""
    mask = "" if row.mask is None else digest_of_path(row.mask)
    return digest_of_path(row.scan), mask, row.label, row.contrast or ""


def _screened(row: ManifestRow, kit: Kit, work: Path) -> Screened:
    source = open_sources(row.scan, work, row.contrast or Contrast.UNKNOWN)[0]
    journey = examine(source, kit)
    anomaly, preprocessed, lesion_px = journey.anomaly, journey.preprocessed, None
    if preprocessed is not None:
        x, y, z = preprocessed.image.shape
        if row.mask is not None:
            lesion = lesion_on_grid(row.mask, preprocessed.affine, (x, y, z))
            lesion_px = tuple(lesion.sum(axis=(0, 1)).tolist())
        elif row.label == "healthy":
            lesion_px = (0,) * z
    if anomaly is None:
        return Screened(examination=journey.examination, lesion_px=lesion_px)
    return Screened(
        examination=journey.examination,
        score=anomaly.score if np.isfinite(anomaly.score) else None,
        slices=tuple(one if np.isfinite(one) else None for one in anomaly.slice_scores.tolist()),
        lesion_px=lesion_px,
    )
