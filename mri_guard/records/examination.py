"""What one journey leaves behind: every result of every step, ready to store and to audit."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.records.base import Finite, Milliseconds, PValue, Record, Share
from mri_guard.records.scan import Preprocessed, Scan, ScanHeader, readonly


class CheckResult(Record):
    """What one check says of one source. A failed check is data, not an exception.

    Attributes:
        name: the check's name, equal to its file's.
        passed: whether the journey may go on.
        reason: stable code when it failed, e.g. `pixel-data-short`; empty when it passed.
        detail: what was seen and what was wanted, with units; of the reading, what was repaired; no
            patient data.
        milliseconds: how long it took.
    """

    name: str
    passed: bool
    reason: str = ""
    detail: str = ""
    milliseconds: Milliseconds = 0.0


class DetectorResult(Record):
    """What one perturbation detector says of one scan.

    Attributes:
        name: the detector's name.
        statistic: rises with the suspicion.
        p_value: conformal, against the bundle's clean calibration scans.
        milliseconds: how long it took.
    """

    name: str
    statistic: Finite
    p_value: PValue
    milliseconds: Milliseconds = 0.0


class Perturbation(Record):
    """What all perturbation detectors together say of one scan.

    Attributes:
        p_values: of each detector, conformal, adjusted for there being others; the detector most
            out of line first; never empty.
    """

    p_values: dict[str, PValue] = Field(min_length=1)

    @property
    def p_value(self) -> float:
        """Of the whole: at most a share `a` of clean scans have one of `a` or less, if exchangeable
        with the bundle's clean calibration scans.
        """
        return min(self.p_values.values())

    def suspects(self, alpha: float) -> tuple[str, ...]:
        """Detectors that hold the scan at this level, the one most out of line first."""
        return tuple(name for name, value in self.p_values.items() if value <= alpha)


@dataclass(frozen=True, slots=True, eq=False)
class Anomaly:
    """What the model finds unusual, on the model's grid.

    Attributes:
        map: float32, (x, y, z), in the scan's own spreads; 0 outside the brain; rises with
            abnormality.
        signed: float32, (x, y, z), the same with its sign: positive where the image is too bright.
        reconstruction: float32, (x, y, z), normalised intensity: the healthy image the model sees.
        slice_scores: float64, (z,), one per axial slice; NaN where a slice has too little brain.
        score: the scan's score.
    """

    map: NDArray[np.float32]
    signed: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    slice_scores: NDArray[np.float64]
    score: float

    def __post_init__(self) -> None:
        """Freezes the arrays."""
        for array in (self.map, self.signed, self.reconstruction, self.slice_scores):
            readonly(array)

    def slices_above(self, threshold: float) -> tuple[int, ...]:
        """Numbers of the slices whose score is above a threshold, rising, from 0."""
        return tuple(int(z) for z in np.flatnonzero(self.slice_scores > threshold))


class Probability(Record):
    """Probability that a scan is abnormal, with the interval that labelled scans leave open.

    It holds where abnormal scans are as frequent as among those labelled scans.

    Attributes:
        value: between the two.
        low: if the scan is counted as a healthy one among the labelled ...
        high: ... or as an abnormal one.
        healthy: labelled healthy scans behind it.
        abnormal: labelled abnormal ones.
    """

    value: Share
    low: Share
    high: Share
    healthy: int = Field(ge=1)
    abnormal: int = Field(ge=1)

    def __str__(self) -> str:
        """In words, with what it depends on."""
        return (
            f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}) where abnormal scans are as "
            f"frequent as among the labelled ones, {self.abnormal} of "
            f"{self.healthy + self.abnormal}"
        )


class CalibratedScore(Record):
    """A score and what it means among healthy scans.

    Attributes:
        score: the scan's score.
        p_value: conformal p-value among the healthy calibration scores.
        threshold: scores above it are unusual.
        alpha: the false-positive rate that the threshold holds ...
        delta: ... except with this probability over the draw of the calibration scans.
        calibration_count: healthy scores behind it.
        unusual: score > threshold.
        guarantee: what the claim covers, in words.
        slice_threshold: slices with a score above it are flagged; at most `alpha` of healthy scans
            have any. None where the bundle calibrates no slices.
        attacked_threshold: as `threshold`, of healthy scans under an alarm attack: a score between
            the two may be one. None where the bundle has no second look.
        probability: of abnormality; None where the bundle has no labelled scans to say.
    """

    score: Finite
    p_value: PValue
    threshold: Finite
    alpha: PValue
    delta: PValue
    calibration_count: int
    unusual: bool
    guarantee: str
    slice_threshold: Finite | None = None
    attacked_threshold: Finite | None = None
    probability: Probability | None = None

    @property
    def may_be_alarm(self) -> bool:
        """Whether the score is unusual, but no more than an alarm attack makes a healthy scan's."""
        return (
            self.unusual
            and self.attacked_threshold is not None
            and self.score <= self.attacked_threshold
        )


class SecondLook(Record):
    """What the costlier look says of a scan whose score an alarm attack could have made.

    Attributes:
        score: median of the scan's score under noise, a score of its own.
        low: no change of the image up to `radius` takes `score` lower ...
        high: ... or higher, with `confidence` over the draws.
        radius: L2 norm over the stack on the model's grid, normalised intensity.
        sigma: standard deviation of the noise, normalised intensity.
        draws: of the noise.
        confidence: of both ends together.
        seed: of the noise, drawn in secret for this examination; with it the draws can be made
            again.
        threshold: of the healthy calibration scans' medians; it holds the first look's rate.
        confirmed: low > threshold: the scan is unusual whatever was done to it within the radius.
    """

    score: Finite
    low: Finite
    high: Finite
    radius: Finite
    sigma: Finite
    draws: int
    confidence: PValue
    seed: int
    threshold: Finite
    confirmed: bool


class Outcome(StrEnum):
    """The three ends of a journey; never a fourth."""

    RELEASE = "release"
    REVIEW = "review"
    QUARANTINE = "quarantine"


class Priority(StrEnum):
    """Scheduled Procedure Step Priority (0074,1200)."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class Decision(Record):
    """Where a scan goes and why.

    Attributes:
        outcome: release, review or quarantine.
        priority: how soon a human looks; None for a release.
        reasons: stable codes, most important first; never empty.
        detail: the first reason in words.
    """

    outcome: Outcome
    priority: Priority | None
    reasons: tuple[str, ...] = Field(min_length=1)
    detail: str


class StepTiming(Record):
    """How long one step of the journey took."""

    name: str
    milliseconds: Milliseconds


class Examination(Record):
    """The whole journey of one scan: stored with the case, written to the audit log.

    Attributes:
        bundle_digest: SHA-256 of the bundle's manifest of digests, hex.
        source_digests: SHA-256 of each file that was read, hex, sorted.
        header: technical attributes, None when the journey ended before decoding.
        checks: header, series and voxel checks in running order, up to the first failure.
        detectors: perturbation detectors, empty when the journey ended before them.
        perturbation: what they say together; None when the journey ended before.
        calibrated: None when the journey ended before the model.
        second_look: None where the first score needed none.
        decision: always there.
        steps: in running order; a step that was not reached is absent.
        seed: of whatever was random.
    """

    bundle_digest: str
    source_digests: tuple[str, ...]
    header: ScanHeader | None = None
    checks: tuple[CheckResult, ...] = ()
    detectors: tuple[DetectorResult, ...] = ()
    perturbation: Perturbation | None = None
    calibrated: CalibratedScore | None = None
    second_look: SecondLook | None = None
    decision: Decision
    steps: tuple[StepTiming, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """An examination with the arrays it was made from, for maps and pictures.

    Attributes:
        examination: what is stored.
        scan: None when decoding was not reached.
        preprocessed: None when it was not reached.
        anomaly: None when the model was not reached.
    """

    examination: Examination
    scan: Scan | None = None
    preprocessed: Preprocessed | None = None
    anomaly: Anomaly | None = None
