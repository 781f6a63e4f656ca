from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mri_guard.decision import ThresholdPolicy
from mri_guard.errors import UnreadableError
from mri_guard.journey import Kit, examine
from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Contrast,
    DetectorResult,
    Format,
    Outcome,
    Perturbation,
    Preprocessed,
    Priority,
    Scan,
    ScanHeader,
    SecondLook,
    Source,
)

SOURCE = Source(files=(Path("scan.nii.gz"),), format=Format.NIFTI, contrast=Contrast.FLAIR)
PASSED = CheckResult(name="check", passed=True)
FAILED = CheckResult(name="check", passed=False, reason="bad-thing", detail="seen 1, wanted 2")


@dataclass(frozen=True)
class _Sanitizer:
    headers: tuple[CheckResult, ...] = (PASSED,)
    voxels: tuple[CheckResult, ...] = (PASSED,)

    def check_headers(self, source: Source) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
        return self.headers, ("00" * 32,)

    def check_voxels(self, scan: Scan) -> tuple[CheckResult, ...]:
        return self.voxels


def _scan() -> Scan:
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=2, spacing_mm=(2.0, 2.0, 5.0))
    return Scan(np.ones((4, 4, 2), dtype=np.float32), np.eye(4), header)


@dataclass
class _Decoder:
    error: Exception | None = None
    closed: bool = False

    def __call__(self, source: Source, /) -> Scan:
        if self.error:
            raise self.error
        return _scan()

    def close(self) -> None:
        self.closed = True


def _preprocess(scan: Scan) -> Preprocessed:
    inside = np.ones(scan.voxels.shape, dtype=bool)
    return Preprocessed(scan.voxels.copy(), inside, inside.copy(), np.eye(4), 0.0, 1.0)


def _score(preprocessed: Preprocessed) -> Anomaly:
    zeros = np.zeros_like(preprocessed.image)
    return Anomaly(zeros, zeros, zeros, np.zeros(2), 1.0)


@dataclass(frozen=True)
class _Detector:
    name: str = "detector"

    def __call__(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: object
    ) -> DetectorResult:
        return DetectorResult(name=self.name, statistic=0.0, p_value=0.5)


def _combine(results: Sequence[DetectorResult]) -> Perturbation:
    if not results:
        raise ValueError("statistics of []")
    return Perturbation(p_values={result.name: result.p_value for result in results})


def _calibrate(score: float) -> CalibratedScore:
    return CalibratedScore(
        score=score,
        p_value=0.5,
        threshold=2.0,
        alpha=0.05,
        delta=0.05,
        calibration_count=100,
        unusual=score > 2.0,
        guarantee="",
    )


def may_be_alarm(score: float) -> CalibratedScore:
    """Unusual, and within what an alarm attack reaches."""
    update = {"threshold": 0.5, "unusual": True, "attacked_threshold": 1.5}
    return _calibrate(score).model_copy(update=update)


def look_again(preprocessed: Preprocessed) -> SecondLook:
    return SecondLook(
        score=1.0,
        low=0.4,
        high=1.1,
        radius=0.25,
        sigma=0.25,
        draws=100,
        confidence=0.999,
        seed=7,
        threshold=0.5,
        confirmed=False,
    )


KIT = Kit(
    bundle_digest="ab" * 32,
    sanitizer=_Sanitizer(),
    decoder=_Decoder(),
    preprocess=_preprocess,
    scorer=_score,
    detectors=(_Detector(),),
    combine=_combine,
    calibrate=_calibrate,
    policy=ThresholdPolicy(perturbation_alpha=0.01, urgent_p_value=0.01),
)


def _must_not_run(*_: object) -> None:
    raise AssertionError("this step must not be reached")


def test_reaches_a_decision_and_times_every_step() -> None:
    examination = examine(SOURCE, KIT).examination
    assert examination.decision.outcome is Outcome.RELEASE
    assert [step.name for step in examination.steps] == [
        "header-checks",
        "decode",
        "voxel-checks",
        "preprocess",
        "anomaly",
        "perturbation",
        "calibrate",
        "decide",
    ]


def test_failed_header_check_keeps_the_decoder_from_seeing_the_file() -> None:
    kit = replace(KIT, sanitizer=_Sanitizer(headers=(FAILED,)), decoder=_must_not_run)  # type: ignore[arg-type]
    examination = examine(SOURCE, kit).examination
    assert examination.decision.outcome is Outcome.QUARANTINE
    assert examination.decision.reasons == ("bad-thing",)
    assert [step.name for step in examination.steps] == ["header-checks"]


def test_failed_voxel_check_keeps_the_model_from_seeing_the_scan() -> None:
    kit = replace(KIT, sanitizer=_Sanitizer(voxels=(FAILED,)), scorer=_must_not_run)  # type: ignore[arg-type]
    assert examine(SOURCE, kit).examination.decision.reasons == ("bad-thing",)


def test_input_error_ends_in_quarantine_with_its_own_reason() -> None:
    decoder = _Decoder(UnreadableError("decoder-died", "signal 6"))
    journey = examine(SOURCE, replace(KIT, decoder=decoder))
    assert journey.examination.decision.outcome is Outcome.QUARANTINE
    assert journey.examination.decision.reasons == ("decoder-died",)
    assert journey.examination.checks == (PASSED,)


@pytest.mark.parametrize(
    "step", ["decoder", "preprocess", "scorer", "combine", "calibrate", "policy"]
)
def test_whatever_raises_ends_in_quarantine_without_its_message(step: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Doe^Jane was here")

    kit = replace(KIT, **{step: broken})  # type: ignore[arg-type]  # a misfit is the point
    journey = examine(SOURCE, kit)
    decision = journey.examination.decision
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons == ("internal-failure",)
    assert "Doe" not in journey.examination.model_dump_json()


def test_looks_again_at_what_an_alarm_attack_could_have_made() -> None:
    kit = replace(KIT, calibrate=may_be_alarm, second_look=look_again)
    examination = examine(SOURCE, kit).examination
    assert [step.name for step in examination.steps][-3:] == ["calibrate", "second-look", "decide"]
    assert examination.second_look == look_again(_preprocess(_scan()))
    assert examination.decision.outcome is Outcome.REVIEW
    assert examination.decision.priority is Priority.LOW
    assert type(examination).model_validate_json(examination.model_dump_json()) == examination


@pytest.mark.parametrize("attacked_threshold", [None, 0.9])
def test_spends_no_second_look_on_other_scores(attacked_threshold: float | None) -> None:
    def calibrate(score: float) -> CalibratedScore:
        update = {"attacked_threshold": attacked_threshold}
        return may_be_alarm(score).model_copy(update=update)

    kit = replace(KIT, second_look=_must_not_run)  # type: ignore[arg-type]
    assert examine(SOURCE, kit).examination.decision.outcome is Outcome.RELEASE
    examination = examine(SOURCE, replace(kit, calibrate=calibrate)).examination
    assert examination.decision.outcome is Outcome.REVIEW
    assert examination.second_look is None


def test_second_look_that_raises_ends_in_quarantine() -> None:
    kit = replace(KIT, calibrate=may_be_alarm, second_look=_must_not_run)  # type: ignore[arg-type]
    examination = examine(SOURCE, kit).examination
    assert examination.decision.outcome is Outcome.QUARANTINE
    assert examination.decision.reasons == ("internal-failure",)
    assert examination.decision.detail == "AssertionError in step second-look"


def test_kit_without_a_second_look_holds_what_asks_for_one() -> None:
    decision = examine(SOURCE, replace(KIT, calibrate=may_be_alarm)).examination.decision
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons == ("incomplete",)


def test_not_a_number_ends_in_quarantine() -> None:
    def score(preprocessed: Preprocessed) -> Anomaly:
        zeros = np.zeros_like(preprocessed.image)
        return Anomaly(zeros, zeros, zeros, np.zeros(2), float("nan"))

    decision = examine(SOURCE, replace(KIT, scorer=score)).examination.decision
    assert decision.outcome is Outcome.QUARANTINE


def test_kit_without_detectors_releases_nothing() -> None:
    decision = examine(SOURCE, replace(KIT, detectors=())).examination.decision
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons == ("internal-failure",)


def test_holds_what_the_detectors_find_together_and_keeps_what_they_said() -> None:
    def combine(results: Sequence[DetectorResult]) -> Perturbation:
        return Perturbation(p_values={result.name: 0.01 for result in results})

    examination = examine(SOURCE, replace(KIT, combine=combine)).examination
    assert examination.decision.reasons == ("perturbation-suspected", "detector-detector")
    assert examination.perturbation == Perturbation(p_values={"detector": 0.01})


def test_examination_survives_its_own_json() -> None:
    examination = examine(SOURCE, KIT).examination
    assert type(examination).model_validate_json(examination.model_dump_json()) == examination


def test_leaving_the_kit_closes_its_decoder() -> None:
    decoder = _Decoder()
    with replace(KIT, decoder=decoder) as kit:
        examine(SOURCE, kit)
        assert not decoder.closed
    assert decoder.closed
