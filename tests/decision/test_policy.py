import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.decision import ThresholdPolicy
from mri_guard.records import (
    CalibratedScore,
    CheckResult,
    Outcome,
    Perturbation,
    Priority,
    SecondLook,
)

POLICY = ThresholdPolicy(perturbation_alpha=0.02, urgent_p_value=0.01)
PASSED = CheckResult(name="a", passed=True)


def _together(*p_values: float) -> Perturbation:
    return Perturbation(p_values=dict(zip("abc", p_values, strict=False)))


def _second_look(confirmed: bool) -> SecondLook:
    return SecondLook(
        score=1.0,
        low=0.9,
        high=1.1,
        radius=0.25,
        sigma=0.25,
        draws=100,
        confidence=0.999,
        seed=7,
        threshold=0.8 if confirmed else 1.0,
        confirmed=confirmed,
    )


def _score(
    unusual: bool, p_value: float = 0.5, attacked_threshold: float | None = None
) -> CalibratedScore:
    return CalibratedScore(
        score=1.0,
        p_value=p_value,
        threshold=1.5,
        alpha=0.05,
        delta=0.05,
        calibration_count=100,
        unusual=unusual,
        guarantee="",
        attacked_threshold=attacked_threshold,
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


@pytest.mark.parametrize(("p_value", "own"), [(0.01, Priority.HIGH), (0.02, Priority.MEDIUM)])
def test_what_the_second_look_confirms_keeps_its_priority(p_value: float, own: Priority) -> None:
    score = _score(unusual=True, p_value=p_value, attacked_threshold=2.0)
    decision = POLICY([PASSED], _together(0.5), score, _second_look(confirmed=True))
    assert (decision.outcome, decision.priority) == (Outcome.REVIEW, own)
    assert decision.reasons == ("unusual",)


@pytest.mark.parametrize("p_value", [0.01, 0.02])
def test_what_the_second_look_does_not_confirm_is_reviewed_later(p_value: float) -> None:
    score = _score(unusual=True, p_value=p_value, attacked_threshold=2.0)
    decision = POLICY([PASSED], _together(0.5), score, _second_look(confirmed=False))
    assert (decision.outcome, decision.priority) == (Outcome.REVIEW, Priority.LOW)
    assert decision.reasons == ("unusual", "not-confirmed")


def test_a_score_beyond_what_an_attack_reaches_needs_no_second_look() -> None:
    score = _score(unusual=True, p_value=0.01, attacked_threshold=0.9)
    for look in (None, _second_look(confirmed=False)):
        decision = POLICY([PASSED], _together(0.5), score, look)
        assert (decision.outcome, decision.priority) == (Outcome.REVIEW, Priority.HIGH)


def test_holds_what_should_have_been_looked_at_again_and_was_not() -> None:
    score = _score(unusual=True, attacked_threshold=2.0)
    decision = POLICY([PASSED], _together(0.5), score)
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.reasons == ("incomplete",)


def test_a_suspected_perturbation_is_held_whatever_the_second_look_says() -> None:
    score = _score(unusual=True, attacked_threshold=2.0)
    decision = POLICY([PASSED], _together(0.01), score, _second_look(confirmed=True))
    assert decision.outcome is Outcome.QUARANTINE


@given(
    unusual=st.booleans(),
    confirmed=st.none() | st.booleans(),
    attacked=st.none() | st.floats(0, 3),
    p_value=st.floats(0.001, 1.0),
)
def test_second_look_neither_releases_nor_hides(
    unusual: bool, confirmed: bool | None, attacked: float | None, p_value: float
) -> None:
    score = _score(unusual, p_value, attacked)
    look = None if confirmed is None else _second_look(confirmed)
    decision = POLICY([PASSED], _together(0.5), score, look)
    assert (decision.outcome is Outcome.RELEASE) == (not unusual)
    if unusual:
        assert decision.priority is not None
