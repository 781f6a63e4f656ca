"""What a score means among healthy scans, with guarantees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mri_guard.calibration.budget import Budget, Rate, Workload
from mri_guard.calibration.probability import LabelledScores, VennAbers
from mri_guard.calibration.threshold import (
    exact_threshold,
    false_positive_band,
    held_rate,
    largest,
    rank,
    smallest_count,
    workload_count,
    workload_rank,
    workload_threshold,
)
from mri_guard.errors import NotCalibratedError
from mri_guard.metrics.conformal import p_value
from mri_guard.records import CalibratedScore

__all__ = [
    "Budget",
    "LabelledScores",
    "Rate",
    "ScoreCalibrator",
    "VennAbers",
    "Workload",
    "exact_threshold",
    "false_positive_band",
    "held_rate",
    "largest",
    "rank",
    "smallest_count",
    "workload_count",
    "workload_rank",
    "workload_threshold",
]


@dataclass(frozen=True, slots=True)
class ScoreCalibrator:
    """Turns a score into a p-value and a verdict; satisfies the `Calibrator` port.

    Attributes:
        scores: healthy calibration scores.
        alpha: false-positive rate that the threshold holds ...
        delta: ... except with this probability over the draw of the calibration scans.
        threshold: scores above it are unusual.
        guarantee: what the claim covers, in words.
        slice_threshold: at most `alpha` of healthy scans have any slice above it, as `threshold`
            holds it; None where no slices were calibrated on.
        attacked_threshold: at most `alpha` of healthy scans under the alarm attack of the second
            look's calibration score above it, as `threshold` holds it; None without one.
        probability: of abnormality by score; None where no labelled scans tell.
    """

    scores: tuple[float, ...]
    alpha: float
    delta: float
    threshold: float
    guarantee: str
    slice_threshold: float | None = None
    attacked_threshold: float | None = None
    probability: VennAbers | None = None

    @classmethod
    def fit(
        cls,
        scores_by_group: Mapping[str, Sequence[float]],
        alpha: float,
        delta: float,
        highest_slices: Mapping[str, Sequence[float]] | None = None,
        attacked: Mapping[str, Sequence[float]] | None = None,
        *,
        workload: Workload | None = None,
        labelled: LabelledScores | None = None,
    ) -> "ScoreCalibrator":
        """Pooled exact thresholds over all groups.

        Args:
            scores_by_group: healthy scores by where they come from, e.g. `phantom`.
            alpha: false-positive rate to hold.
            delta: probability of not holding it.
            highest_slices: the highest slice score of each scan, by group. One score a scan:
                scans are exchangeable, the slices of a scan are not.
            attacked: scores of the healthy scans under an alarm attack, by group.
            workload: that the threshold of `alpha` was chosen to hold too; None: there is none.
            labelled: scores of labelled scans; None: they give no probability.

        Raises:
            NotCalibratedError: too few scores in all, or the threshold does not hold the workload.
        """
        pooled = _pooled(scores_by_group)
        chosen = rank(len(pooled), alpha, delta)
        if workload is not None and chosen > workload.rank(len(pooled), delta):
            raise NotCalibratedError(
                f"the {chosen}. largest of {len(pooled)} healthy scores holds a rate of {alpha:g}, "
                f"and not {workload}"
            )
        smallest = smallest_count(alpha, delta)
        counts = ", ".join(
            f"{group} n = {len(scores)}"
            + ("" if len(scores) >= smallest else f" (no group guarantee, {smallest} wanted)")
            for group, scores in sorted(scores_by_group.items())
        )
        a_day = "" if workload is None else f", and {workload} with the same probability,"
        guarantee = (
            f"false-positive rate at most {alpha:g} with probability {1 - delta:g}{a_day} for "
            f"clean scans exchangeable with the pooled calibration scans: {counts}; "
            "not under attack, not for other scanners"
        )
        return cls(
            scores=pooled,
            alpha=alpha,
            delta=delta,
            threshold=largest(pooled, chosen),
            guarantee=guarantee,
            slice_threshold=None
            if highest_slices is None
            else exact_threshold(_pooled(highest_slices), alpha, delta),
            attacked_threshold=None
            if attacked is None
            else exact_threshold(_pooled(attacked), alpha, delta),
            probability=None if labelled is None else VennAbers(labelled),
        )

    def __call__(self, score: float) -> CalibratedScore:
        """p-value and verdict for one scan's score."""
        return CalibratedScore(
            score=score,
            p_value=p_value(score, self.scores),
            threshold=self.threshold,
            alpha=self.alpha,
            delta=self.delta,
            calibration_count=len(self.scores),
            unusual=score > self.threshold,
            guarantee=self.guarantee,
            slice_threshold=self.slice_threshold,
            attacked_threshold=self.attacked_threshold,
            probability=None if self.probability is None else self.probability(score),
        )


def _pooled(by_group: Mapping[str, Sequence[float]]) -> tuple[float, ...]:
    return tuple(score for scores in by_group.values() for score in scores)
