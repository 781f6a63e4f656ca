import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from mri_guard.calibration import (
    ScoreCalibrator,
    exact_threshold,
    false_positive_band,
    rank,
    smallest_count,
)
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


@pytest.mark.parametrize("n", [59, 75, 132, 300, 1000])
def test_holds_its_promise_in_simulation_and_the_plain_quantile_does_not(n: int) -> None:
    draws, alpha, delta = 2000, 0.05, 0.05
    scores = generator(0, "threshold simulation", n).normal(size=(draws, n))
    exact = np.sort(scores, axis=1)[:, -rank(n, alpha, delta)]
    assert exact[0] == exact_threshold(scores[0], alpha, delta)
    plain = np.quantile(scores, 1 - alpha, axis=1)
    assert np.sum(stats.norm.sf(exact) > alpha) <= stats.binom.ppf(0.999, draws, delta)
    assert np.mean(stats.norm.sf(plain) > alpha) > 0.4


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


@given(m=st.integers(1, 150), n=st.integers(1, 80), data=st.data())
def test_band_is_the_narrowest_with_a_fortieth_beyond_either_end(
    m: int, n: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, m))
    x = np.arange(n + 1)
    # The formula written out: C(n, x) B(x + k, n - x + m + 1 - k) / B(k, m + 1 - k).
    choices = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    beta = special.betaln(x + k, n - x + m + 1 - k) - special.betaln(k, m + 1 - k)
    probability = np.exp(choices + beta)
    low, high = false_positive_band(k, m, n)
    assert probability[:low].sum() <= 0.025 + 1e-9
    assert probability[high + 1 :].sum() <= 0.025 + 1e-9
    assert probability[: low + 1].sum() >= 0.025 - 1e-9
    assert probability[high:].sum() >= 0.025 - 1e-9


def test_band_covers_what_new_healthy_scans_do() -> None:
    rng = generator(0, "band simulation")
    m, n, draws = 119, 50, 4000
    k = rank(m, 0.10, 0.05)
    limits = np.sort(rng.normal(size=(draws, m)), axis=1)[:, -k]
    flagged = (rng.normal(size=(draws, n)) > limits[:, None]).sum(axis=1)
    low, high = false_positive_band(k, m, n)
    assert np.mean(flagged > high) <= 0.025 + 3 * np.sqrt(0.025 / draws)
    assert np.mean((flagged >= low) & (flagged <= high)) >= 0.95 - 3 * np.sqrt(0.05 / draws)


def test_slices_get_a_threshold_of_their_own_from_one_score_a_scan() -> None:
    scores = {"phantom": [float(i) for i in range(100)]}
    highest = {"phantom": [10 * score for score in scores["phantom"]]}
    fitted = ScoreCalibrator.fit(scores, 0.05, 0.05, highest)
    assert fitted(1.0).slice_threshold == 10 * fitted.threshold
    assert ScoreCalibrator.fit(scores, 0.05, 0.05)(1.0).slice_threshold is None


def test_few_healthy_scans_have_any_slice_above_the_slice_threshold() -> None:
    # Slices of a scan resemble each other: counted slice by slice the promise would break.
    rng = generator(0, "slices simulation")
    m, alpha, delta = 120, 0.10, 0.05

    def highest(scans: int) -> list[float]:
        slices = rng.normal(size=(scans, 1)) + 0.5 * rng.normal(size=(scans, 20))
        return [float(value) for value in slices.max(axis=1)]

    limits = [exact_threshold(highest(m), alpha, delta) for _ in range(200)]
    new = np.array(highest(20_000))
    broken = np.mean([np.mean(new > limit) > alpha for limit in limits])
    assert broken <= delta + 3 * np.sqrt(delta / 200)
