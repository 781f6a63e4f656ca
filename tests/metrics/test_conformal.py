import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError
from mri_guard.metrics.conformal import p_value

finite = st.floats(-1e6, 1e6)


def test_counts_ties_against_the_scan() -> None:
    assert p_value(2.0, [1.0, 2.0, 3.0]) == 3 / 4
    assert p_value(4.0, [1.0, 2.0, 3.0]) == 1 / 4
    assert p_value(0.0, [1.0, 2.0, 3.0]) == 1.0


@given(score=finite, higher=finite, calibration=st.lists(finite, min_size=1, max_size=50))
def test_falls_as_the_score_rises(score: float, higher: float, calibration: list[float]) -> None:
    low, high = sorted((score, higher))
    assert 0 < p_value(high, calibration) <= p_value(low, calibration) <= 1


def test_is_no_smaller_than_it_says_for_exchangeable_scores() -> None:
    rng = generator(0, "conformal simulation")
    draws = rng.normal(size=(4000, 20))
    values = np.array([p_value(row[0], row[1:]) for row in draws])
    for level in (0.05, 0.1, 0.25, 0.5):
        margin = 3 * np.sqrt(level * (1 - level) / len(values))
        assert np.mean(values <= level) <= level + margin


def test_refuses_a_score_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="not finite"):
        p_value(float("nan"), [1.0])


def test_refuses_to_guess_without_calibration() -> None:
    with pytest.raises(NotCalibratedError):
        p_value(1.0, [])
