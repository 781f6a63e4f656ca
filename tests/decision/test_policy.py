from hypothesis import given
from hypothesis import strategies as st

from mri_guard.decision import ThresholdPolicy
from mri_guard.records import CalibratedScore, CheckResult, Outcome, Perturbation, Priority

POLICY = ThresholdPolicy(perturbation_alpha=0.02, urgent_p_value=0.01)
PASSED = CheckResult(name="a", passed=True)


def _together(*p_values: float) -> Perturbation:
    return Perturbation(p_values=dict(zip("abc", p_values, strict=False)))


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
    decision = POLICY([PASSED], _together(0.5), _score(unusual=False))
    assert decision.outcome is Outcome.RELEASE
    assert decision.priority is None


def test_sends_the_most_unusual_to_a_reader_first() -> None:
    urgent = POLICY([PASSED], _together(0.5), _score(unusual=True, p_value=0.01))
    later = POLICY([PASSED], _together(0.5), _score(unusual=True, p_value=0.02))
    assert (urgent.outcome, urgent.priority) == (Outcome.REVIEW, Priority.HIGH)
    assert (later.outcome, later.priority) == (Outcome.REVIEW, Priority.MEDIUM)


def test_holds_a_perturbed_scan_even_when_its_score_is_low() -> None:
    decision = POLICY([PASSED], _together(0.01, 0.5), _score(unusual=False))
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons[0] == "perturbation-suspected"


def test_names_the_detectors_that_hold_it_and_no_other() -> None:
    decision = POLICY([PASSED], _together(0.001, 0.02, 0.021), _score(unusual=False))
    assert decision.reasons == ("perturbation-suspected", "detector-a", "detector-b")
    assert POLICY([PASSED], _together(0.021), _score(unusual=False)).outcome is Outcome.RELEASE


@given(
    checks=st.lists(st.booleans(), max_size=3),
    p_values=st.lists(st.floats(0.001, 1.0), max_size=3),
    unusual=st.none() | st.booleans(),
)
def test_never_releases_what_is_incomplete_or_failed(
    checks: list[bool], p_values: list[float], unusual: bool | None
) -> None:
    results = [CheckResult(name=str(i), passed=ok, reason="r") for i, ok in enumerate(checks)]
    calibrated = None if unusual is None else _score(unusual)
    together = _together(*p_values) if p_values else None
    decision = POLICY(results, together, calibrated)
    if decision.outcome is Outcome.RELEASE:
        assert checks
        assert all(checks)
        assert p_values
        assert min(p_values) > 0.02
        assert unusual is False
