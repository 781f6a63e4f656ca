"""Labels of a manifest with the scores that `calibration.label_consistency` holds them against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mri_guard.bundle import Calibration
from mri_guard.calibration.label_consistency import Known, Label, Labelled
from mri_guard.journey import Kit
from mri_guard.readers.manifest import ManifestRow, lesion_on_grid
from mri_guard.records import Journey
from mri_guard.training.calibrate import healthy_part
from mri_guard.training.site import journeys, scored

SCAN = "scan"
REST = "slices without lesion"
NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Said:
    """What a manifest says of a scan or a part of it.

    Attributes:
        scan: file or folder.
        part: `SCAN`, or `REST`: its slices at least two away from the lesion that its mask shows,
            which a training takes for healthy.
        labelled: with the score.
    """

    scan: Path
    part: str
    labelled: Labelled


@dataclass(frozen=True, slots=True)
class Unscored:
    """A scan that never reached the model.

    Attributes:
        scan: file or folder.
        reasons: of the decision.
    """

    scan: Path
    reasons: tuple[str, ...]


def said_of(
    kit: Kit,
    rows: Sequence[ManifestRow],
    work: Path,
    *,
    by: str = "",
    progress: Callable[[], None] = lambda: None,
) -> tuple[list[Said], list[Unscored]]:
    """The labels of a manifest with the scores that the deployed model gives, and what got none.

    An abnormal scan with a mask says two things: that it is abnormal, and that what its mask leaves
    out is not.

    Args:
        kit: from the bundle.
        rows: of the manifest.
        work: folder that archives may be extracted into.
        by: column that says who sent the label; empty: nobody is named.
        progress: called after each scan.
    """
    said: list[Said] = []
    unscored: list[Unscored] = []
    travelled = zip(rows, journeys(kit, rows, work, progress), strict=True)
    for row, (journey, reasons) in travelled:
        anomaly = scored(journey)
        if journey is None or anomaly is None:
            unscored.append(Unscored(row.scan, reasons))
            continue
        sender = row.attributes.get(by) or NOT_STATED
        label = cast(Label, row.label)
        whole = Labelled(label=label, score=anomaly.score, sender=sender)
        said.append(Said(row.scan, SCAN, whole))
        rest = _rest(row, journey, kit)
        if rest is not None:
            outside = Labelled(label="healthy", score=rest, sender=sender)
            said.append(Said(row.scan, REST, outside))
    return said, unscored


def known_from(calibration: Calibration, said: Sequence[Said] = ()) -> Known:
    """What labels are held against: the bundle's scores, or of each kind those of trusted scans.

    Args:
        calibration: of the bundle.
        said: of scans whose labels are beyond doubt.
    """
    healthy, abnormal = (
        tuple(one.labelled.score for one in said if one.labelled.label == label)
        for label in ("healthy", "abnormal")
    )
    own = tuple(score for scores in calibration.healthy_scores.values() for score in scores)
    labelled = calibration.labelled
    return Known(
        healthy=healthy or own,
        abnormal=abnormal or (labelled.abnormal if labelled is not None else ()),
    )


def _rest(row: ManifestRow, journey: Journey, kit: Kit) -> float | None:
    """Score of what an abnormal scan's mask leaves out; None where there is no such part."""
    scan = journey.preprocessed
    if row.label == "healthy" or row.mask is None or scan is None:
        return None
    x, y, z = scan.image.shape
    part = healthy_part(row, scan, lesion_on_grid(row.mask, scan.affine, (x, y, z)), ())
    return None if part is None else kit.scorer(part[1]).score
