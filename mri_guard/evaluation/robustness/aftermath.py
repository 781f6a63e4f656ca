"""What the kit makes of an attacked image: as a float tensor, and once it has been a DICOM series.

An attacker who cannot write into the model's memory must send files. So the change is carried back
to the scanner's own voxels, rounded to 12 bits, written as DICOM (one MR Image Storage instance a
slice, PS3.3 A.4), and goes the whole journey. The clean scan goes the same way beside it: only the
difference between the two is the attack's.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.decision import PERTURBED
from mri_guard.journey import Kit, examine
from mri_guard.perturbation.asked_once import detections
from mri_guard.phantom import write_dicom_series
from mri_guard.preprocess.changed import changed_voxels
from mri_guard.readers import open_sources
from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Decision,
    Finite,
    Outcome,
    Preprocessed,
    Record,
    Scan,
    SecondLook,
)

LARGEST = 4095
"""Value of 12 bits; a scan is scaled so that its brightest voxel has it."""


class Aftermath(Record):
    """What the kit made of one image.

    Attributes:
        outcome: where it ended.
        reasons: of that.
        score: the scan's; None where the model was not reached.
        slices: score of each; None where a slice, or the scan, has none.
        p_values: of each perturbation detector.
        stands: whether the scan is unusual and no look puts that down to an alarm attack,
            whatever the detectors say: it keeps its priority.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    score: Finite | None = None
    slices: tuple[Finite | None, ...] = ()
    p_values: dict[str, Finite] = Field(default_factory=dict)
    stands: bool = False

    @property
    def noticed(self) -> bool:
        """Whether the perturbation detectors held it."""
        return PERTURBED in self.reasons

    def scores(self, goals: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of some slices, or of the scan where the goal is -1, NaN where there are none."""
        known = (*self.slices, self.score)
        return np.array(
            [known[goal] if goal < len(known) - 1 else None for goal in goals], dtype=np.float64
        )


def as_tensor(scan: Scan, image: Preprocessed, kit: Kit) -> Aftermath:
    """What becomes of an image that reaches the model as it is; its voxels pass no check.

    Args:
        scan: as it was acquired.
        image: attacked, on the model's grid.
        kit: from the bundle.
    """
    anomaly = kit.scorer(image)
    detectors = detections(kit.detectors, scan, image, anomaly, kit.scorer)
    calibrated = kit.calibrate(anomaly.score)
    again = kit.second_look(image) if calibrated.may_be_alarm and kit.second_look else None
    unasked = (CheckResult(name="float-tensor", passed=True),)
    decision = kit.policy(unasked, kit.combine(detectors), calibrated, again)
    p_values = {one.name: one.p_value for one in detectors}
    return _aftermath(decision, anomaly, p_values, calibrated, again)


def through_scanner(scan: Scan, clean: Preprocessed, image: Preprocessed, kit: Kit) -> Aftermath:
    """What becomes of an image that is written as 12-bit DICOM, and examined.

    Args:
        scan: as it was acquired; its axes orthogonal.
        clean: on the model's grid.
        image: the same, attacked, or the clean one itself.
        kit: from the bundle.
    """
    voxels = changed_voxels(scan, clean, image.image - clean.image)
    full = voxels * (LARGEST / max(float(scan.voxels.max()), 1e-6))
    with tempfile.TemporaryDirectory(prefix="mri-guard-") as folder:
        series = Path(folder) / "series"
        write_dicom_series(
            np.clip(full, 0, LARGEST), scan.affine, series, scan.header.contrast, "attacked"
        )
        journey = examine(open_sources(series, Path(folder))[0], kit)
    examination = journey.examination
    return _aftermath(
        examination.decision,
        journey.anomaly,
        {one.name: one.p_value for one in examination.detectors},
        examination.calibrated,
        examination.second_look,
    )


def _aftermath(
    decision: Decision,
    anomaly: Anomaly | None,
    p_values: dict[str, float],
    calibrated: CalibratedScore | None,
    again: SecondLook | None,
) -> Aftermath:
    unusual = calibrated is not None and calibrated.unusual
    beyond = calibrated is not None and not calibrated.may_be_alarm
    scores = () if anomaly is None else anomaly.slice_scores.tolist()
    return Aftermath(
        outcome=decision.outcome,
        reasons=decision.reasons,
        score=None if anomaly is None else anomaly.score,
        slices=tuple(one if np.isfinite(one) else None for one in scores),
        p_values=p_values,
        stands=unusual and (beyond or (again is not None and again.confirmed)),
    )
