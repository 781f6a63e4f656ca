from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from mri_guard.calibration import (
    Rate,
    Workload,
    held_rate,
    rank,
    workload_count,
    workload_rank,
    workload_threshold,
)
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError

DRAWS = 2000
DELTA = 0.05
MARGIN = float(stats.binom.ppf(0.999, DRAWS, DELTA)) / DRAWS
"""Share of draws that a guarantee of 1 - delta breaks in no more than one run in a thousand."""


def _flagged(days: NDArray[Any], limits: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray((days > limits[:, None]).sum(axis=1))


@pytest.mark.parametrize(("n", "at_most", "per_day"), [(60, 3, 20), (120, 3, 40), (400, 5, 100)])
def test_workload_is_held_in_as_many_draws_as_stated_and_by_a_plain_quantile_in_fewer(
    n: int, at_most: int, per_day: int
) -> None:
    rng = generator(0, "workload simulation", n)
    scores, days = rng.normal(size=(DRAWS, n)), rng.normal(size=(DRAWS, per_day))
    limits = np.sort(scores, axis=1)[:, -workload_rank(n, at_most, per_day, DELTA)]
    assert limits[0] == workload_threshold(scores[0], at_most, per_day, DELTA)
    assert np.mean(_flagged(days, limits) > at_most) <= MARGIN
    plain = np.quantile(scores, 1 - at_most / per_day, axis=1)
    assert np.mean(_flagged(days, plain) > at_most) > 0.3


def test_ties_break_neither_promise() -> None:
    rng = generator(0, "tied simulation")
    scores, days = (rng.integers(0, 40, size=(DRAWS, size)) for size in (120, 40))
    ordered = np.sort(scores, axis=1)
    assert np.mean((39 - ordered[:, -rank(120, 0.05, DELTA)]) / 40 > 0.05) <= MARGIN
    limits = ordered[:, -workload_rank(120, 3, 40, DELTA)]
    assert np.mean(_flagged(days, limits) > 3) <= MARGIN


@given(
    n=st.integers(1, 200),
    per_day=st.integers(2, 60),
    delta=st.floats(0.01, 0.3),
    data=st.data(),
)
def test_takes_the_largest_rank_that_holds_the_day(
    n: int, per_day: int, delta: float, data: st.DataObject
) -> None:
    at_most = data.draw(st.integers(0, per_day - 1))

    def more(k: int) -> float:
        return float(stats.betabinom.sf(at_most, per_day, k, n + 1 - k))

    if n < workload_count(at_most, per_day, delta):
        assert more(1) > delta
        with pytest.raises(NotCalibratedError, match=f"{n} healthy scores"):
            workload_rank(n, at_most, per_day, delta)
        return
    k = workload_rank(n, at_most, per_day, delta)
    assert more(k) <= delta
    assert k == n or more(k + 1) > delta


def test_names_the_smallest_count_that_allows_a_day() -> None:
    # None of ten above the highest of n: n / (n + 10) >= 0.95.
    assert workload_count(0, 10, 0.05) == 190
    with pytest.raises(NotCalibratedError, match="189 healthy scores; wanted at least 190"):
        workload_rank(189, 0, 10, 0.05)
    assert workload_rank(190, 0, 10, 0.05) == 1


@given(n=st.integers(1, 400), delta=st.floats(0.01, 0.3), data=st.data())
def test_rate_that_a_rank_holds_gives_that_rank_again(
    n: int, delta: float, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, n))
    alpha = held_rate(k, n, delta)
    assert rank(n, alpha, delta) == k
    assert stats.binom.cdf(k - 1, n, alpha) == pytest.approx(delta, abs=1e-6)


def test_refuses_scores_that_are_no_numbers() -> None:
    with pytest.raises(NotCalibratedError, match="not finite"):
        workload_threshold([*np.arange(300.0), float("nan")], 3, 40, 0.05)


def test_budgets_say_what_they_promise() -> None:
    assert (Rate(alpha=0.1).name, Rate(alpha=0.075).name) == ("0.10", "0.075")
    day = Workload(at_most=3, per_day=40)
    assert day.name == "3_of_40_a_day"
    assert str(day) == "at most 3 false flags among 40 healthy scans a day"
    for budget in (day, Rate(alpha=0.1)):
        smallest = budget.smallest_count(DELTA)
        assert budget.rank(smallest, DELTA) == 1
        with pytest.raises(NotCalibratedError, match=f"at least {smallest}"):
            budget.rank(smallest - 1, DELTA)


def test_refuses_a_day_that_limits_nothing() -> None:
    with pytest.raises(ValidationError, match="at most 40 of 40 scans a day is no limit"):
        Workload(at_most=40, per_day=40)
