import numpy as np
import pytest
from scipy import stats

from mri_guard.determinism import generator
from mri_guard.monitoring.limits import shipped
from mri_guard.monitoring.rates import CONFIDENCE, Rate, RateState, step

LIMITS = shipped().rates


def fed(rate: Rate, state: RateState, seen: np.ndarray) -> RateState:
    for happened in seen:
        state = rate(state, bool(happened))
    return state


def test_adds_the_log_likelihood_ratio_of_twice_the_odds() -> None:
    # 0.2 has odds of 1/4; odds of 1/2 are a rate of 1/3.
    assert step(1.0, 1.0, 0.2) == pytest.approx(1 + np.log((1 / 3) / 0.2))
    assert step(1.0, 0.0, 0.2) == pytest.approx(1 + np.log((2 / 3) / 0.8))
    assert step(0.0, 0.0, 0.2) == 0.0


@pytest.mark.parametrize(("events", "wanted"), [(0, 0.03), (4, 0.07), (100, 0.6), (200, 0.9)])
def test_accepts_the_next_rate_above_what_it_has_seen_for_sure(events: int, wanted: float) -> None:
    assert Rate(LIMITS).acceptable(events) == wanted


@pytest.mark.parametrize("true", [0.01, 0.05, 0.13, 0.55])
def test_learns_an_acceptable_rate_below_the_true_one_as_seldom_as_it_says(true: float) -> None:
    rate = Rate(LIMITS)
    events = np.arange(rate.learn + 1)
    too_low = [n for n in events if rate.acceptable(int(n)) < true]
    assert stats.binom.pmf(too_low, rate.learn, true).sum() <= 1 - CONFIDENCE


def test_finds_a_rate_that_has_doubled_and_none_that_has_not() -> None:
    rng = generator(0, "rates")
    learnt = fed(Rate(LIMITS), RateState(), rng.random(200) < 0.05)
    same = fed(Rate(LIMITS), learnt, rng.random(3000) < 0.05)
    assert learnt.acceptable is not None
    assert 0.05 < learnt.acceptable < 0.2
    assert not same.alarm
    assert fed(Rate(LIMITS), same, rng.random(200) < 0.35).alarm


def test_says_nothing_while_it_learns() -> None:
    state = fed(Rate(LIMITS), RateState(), np.ones(199))
    assert (state.acceptable, state.statistic, state.alarm) == (None, 0.0, False)
