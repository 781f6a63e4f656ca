"""Release, review or quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.records import (
    CalibratedScore,
    CheckResult,
    Decision,
    Outcome,
    Perturbation,
    Priority,
    SecondLook,
)

PERTURBED = "perturbation-suspected"
"""Reason of a scan that the perturbation detectors hold."""


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Quarantine what we cannot vouch for, review what is unusual, release the rest.

    Fails closed: whatever is missing ends in quarantine.

    Attributes:
        perturbation_alpha: share of clean scans that may be held as perturbed, over all
            detectors together.
        urgent_p_value: an unusual scan with a p-value up to this is of HIGH priority.
    """

    perturbation_alpha: float
    urgent_p_value: float

    def __call__(
        self,
        checks: Sequence[CheckResult],
        perturbation: Perturbation | None,
        calibrated: CalibratedScore | None,
        second_look: SecondLook | None = None,
    ) -> Decision:
        """Where the scan goes, and why."""
        failed = [check for check in checks if not check.passed]
        if failed:
            return _held(Priority.MEDIUM, [check.reason for check in failed], failed[0].detail)
        if not checks or perturbation is None or calibrated is None:
            missing = [
                name
                for name, value in (
                    ("checks", checks),
                    ("perturbation detectors", perturbation),
                    ("calibrated score", calibrated),
                )
                if not value
            ]
            return _held(Priority.MEDIUM, ["incomplete"], f"missing: {', '.join(missing)}")
        if perturbation.p_value <= self.perturbation_alpha:
            suspects = perturbation.suspects(self.perturbation_alpha)
            return _held(
                Priority.HIGH,
                [PERTURBED, *(f"detector-{name}" for name in suspects)],
                f"all detectors together p = {perturbation.p_value:.3g}, held at "
                f"{self.perturbation_alpha:g} and below; most out of line: {', '.join(suspects)}",
            )
        if calibrated.unusual:
            return self._unusual(calibrated, second_look)
        return Decision(
            outcome=Outcome.RELEASE,
            priority=None,
            reasons=("nothing-unusual",),
            detail=_against(calibrated),
        )

    def _unusual(self, calibrated: CalibratedScore, second_look: SecondLook | None) -> Decision:
        """Review, in any case: what the second look does not confirm only waits longer."""
        detail = f"{_against(calibrated)}, p = {calibrated.p_value:.3g} among healthy scans"
        urgent = calibrated.p_value <= self.urgent_p_value
        priority = Priority.HIGH if urgent else Priority.MEDIUM
        reasons = ["unusual"]
        if calibrated.may_be_alarm:
            if second_look is None:
                return _held(Priority.MEDIUM, ["incomplete"], "missing: second look")
            detail += (
                f"; second look at least {second_look.low:.3f}, threshold "
                f"{second_look.threshold:.3f}, up to an L2 norm of {second_look.radius:g}"
            )
            if not second_look.confirmed:
                priority = Priority.LOW
                reasons.append("not-confirmed")
        return Decision(
            outcome=Outcome.REVIEW, priority=priority, reasons=tuple(reasons), detail=detail
        )


def _against(calibrated: CalibratedScore) -> str:
    return f"score {calibrated.score:.3f}, threshold {calibrated.threshold:.3f}"


def _held(priority: Priority, reasons: Sequence[str], detail: str) -> Decision:
    return Decision(
        outcome=Outcome.QUARANTINE, priority=priority, reasons=tuple(reasons), detail=detail
    )
