from hypothesis import given
from hypothesis import strategies as st

from mri_guard.decision import ThresholdPolicy
from mri_guard.records import CalibratedScore, CheckResult, DetectorResult, Outcome, Priority

POLICY = ThresholdPolicy(perturbation_alpha=0.02, urgent_p_value=0.01)
PASSED = CheckResult(name="a", passed=True)


def _detector(p_value: float, name: str = "d") -> DetectorResult:
    return DetectorResult(name=name, statistic=0.0, p_value=p_value)


def _score(unusual: bool, p_value: float = 0.5) -> CalibratedScore:
    return CalibratedScore(
        score=1.0,
        p_value=p_value,
        threshold=1.5,
        alpha=0.05,
        delta=0.05,
        calibration_count=100,
        unusual=unusual,
        guarantee="",
    )


def test_releases_what_nothing_speaks_against() -> None:
    decision = POLICY([PASSED], [_detector(0.5)], _score(unusual=False))
    assert decision.outcome is Outcome.RELEASE
    assert decision.priority is None


def test_sends_the_most_unusual_to_a_reader_first() -> None:
    urgent = POLICY([PASSED], [_detector(0.5)], _score(unusual=True, p_value=0.01))
    later = POLICY([PASSED], [_detector(0.5)], _score(unusual=True, p_value=0.02))
    assert (urgent.outcome, urgent.priority) == (Outcome.REVIEW, Priority.HIGH)
    assert (later.outcome, later.priority) == (Outcome.REVIEW, Priority.MEDIUM)


def test_holds_a_perturbed_scan_even_when_its_score_is_low() -> None:
    decision = POLICY([PASSED], [_detector(0.01), _detector(0.5)], _score(unusual=False))
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons[0] == "perturbation-suspected"


def test_shares_the_false_alarms_among_the_detectors() -> None:
    alone = POLICY([PASSED], [_detector(0.02)], _score(unusual=False))
    one_of_two = POLICY([PASSED], [_detector(0.02), _detector(0.5)], _score(unusual=False))
    assert alone.outcome is Outcome.QUARANTINE
    assert one_of_two.outcome is Outcome.RELEASE


@given(
    checks=st.lists(st.booleans(), max_size=3),
    detectors=st.lists(st.floats(0.001, 1.0), max_size=3),
    unusual=st.none() | st.booleans(),
)
def test_never_releases_what_is_incomplete_or_failed(
    checks: list[bool], detectors: list[float], unusual: bool | None
) -> None:
    results = [CheckResult(name=str(i), passed=ok, reason="r") for i, ok in enumerate(checks)]
    calibrated = None if unusual is None else _score(unusual)
    decision = POLICY(results, [_detector(p) for p in detectors], calibrated)
    if decision.outcome is Outcome.RELEASE:
        assert checks
        assert all(checks)
        assert detectors
        assert min(detectors) > 0.02 / len(detectors)
        assert unusual is False
