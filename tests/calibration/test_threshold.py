import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mri_guard.calibration import ScoreCalibrator, exact_threshold, rank, smallest_count
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError


@pytest.mark.parametrize(("n", "expected"), [(59, 1), (92, 1), (93, 2), (124, 3), (153, 4)])
def test_agrees_with_the_published_one_sided_tolerance_ranks(n: int, expected: int) -> None:
    # Wilks (1941): 59, 93, 124 and 153 samples for 95 % coverage with 95 % confidence.
    assert rank(n, 0.05, 0.05) == expected


def test_names_the_smallest_count_when_there_are_too_few() -> None:
    assert smallest_count(0.05, 0.05) == 59
    with pytest.raises(NotCalibratedError, match="58 healthy scores; wanted at least 59"):
        rank(58, 0.05, 0.05)


@given(n=st.integers(1, 400), alpha=st.floats(0.01, 0.3), delta=st.floats(0.01, 0.3))
def test_takes_the_largest_rank_that_holds(n: int, alpha: float, delta: float) -> None:
    if n < smallest_count(alpha, delta):
        with pytest.raises(NotCalibratedError):
            rank(n, alpha, delta)
        return
    k = rank(n, alpha, delta)
    assert stats.binom.cdf(k - 1, n, alpha) <= delta + 1e-9  # the same event, counted in draws
    if k < n:
        assert stats.binom.cdf(k, n, alpha) > delta - 1e-9


def test_holds_its_promise_in_simulation_and_the_plain_quantile_does_not() -> None:
    rng = generator(0, "threshold simulation")
    n, draws, alpha, delta = 132, 2000, 0.05, 0.05
    scores = rng.normal(size=(draws, n))
    exact = np.array([exact_threshold(row, alpha, delta) for row in scores])
    plain = np.quantile(scores, 1 - alpha, axis=1)
    exact_broken = np.mean(stats.norm.sf(exact) > alpha)
    plain_broken = np.mean(stats.norm.sf(plain) > alpha)
    margin = 3 * np.sqrt(delta * (1 - delta) / draws)
    assert exact_broken <= delta + margin
    assert plain_broken > 0.4


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_scores_that_are_no_numbers(bad: float) -> None:
    with pytest.raises(NotCalibratedError, match="not finite"):
        exact_threshold([*np.arange(100.0), bad], 0.05, 0.05)


def test_says_which_group_has_no_guarantee_of_its_own() -> None:
    fitted = ScoreCalibrator.fit(
        {"phantom": [float(i) for i in range(100)], "real": [1000.0] * 12}, 0.05, 0.05
    )
    assert "real n = 12 (no group guarantee, 59 wanted)" in fitted.guarantee
    assert fitted.threshold == 1000.0
    assert not fitted(1000.0).unusual
    assert fitted(1000.1).unusual
    assert fitted(1000.1).p_value == pytest.approx(1 / 113)
