import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mri_guard.determinism import generator
from mri_guard.fairness import SHARES, Groups, Rate, rate_gaps
from mri_guard.fairness.gaps import POWER, RateGaps, shuffled

MODELS, PERMUTATIONS = 150, 200


def groups(n: int, of: int) -> Groups:
    return Groups(
        tuple(f"g={one}" for one in range(n)), np.repeat(np.eye(n, dtype=np.bool_), of, axis=1)
    )


def sensitivity(hits: np.ndarray, alpha: float = 0.05) -> Rate:
    return Rate("sensitivity", hits.astype(np.float64), np.ones(len(hits)), "low", alpha)


def gaps_of(rate: Rate, some: Groups, *key: str | int) -> RateGaps:
    strata = np.zeros(len(rate.of), dtype=np.int64)
    return rate_gaps([rate], some, strata, generator(0, *key), permutations=PERMUTATIONS)[0]


def test_two_groups_have_the_permutation_p_value_of_fisher() -> None:
    hits = np.repeat([True, False, True, False], [6, 14, 16, 4])
    some = groups(2, 20)
    strata = np.zeros(40, dtype=np.int64)
    found = rate_gaps([sensitivity(hits)], some, strata, generator(0), permutations=20000)[0]
    one_sided = stats.fisher_exact([[6, 14], [16, 4]], alternative="less").pvalue
    # The larger of two opposite gaps is compared: twice the one-sided p-value.
    assert found.gaps[0].p_value == pytest.approx(2 * one_sided, abs=0.002)
    assert found.gaps[0].gap == pytest.approx(0.5)
    assert (found.worst, found.gaps[0].verdict) == ("g=0", "gap")
    low, high = found.gaps[0].low, found.gaps[0].high
    assert low is not None
    assert high is not None
    # Where the test finds a gap its interval leaves out nought.
    assert 0 < low < 0.5 < high
    assert found.gaps[1].gap == pytest.approx(-0.5)
    assert found.gaps[1].verdict == "cannot tell"


def test_counts_from_a_formula_are_those_of_shuffled_people() -> None:
    rng = generator(0, "overlapping")
    some = Groups(("a", "b", "c"), rng.random((3, 60)) < np.array([[0.5], [0.3], [0.8]]))
    strata = np.repeat([1, 2], 30)
    of = (strata == 2).astype(np.float64)
    hits = of * (rng.random(60) < 0.7)
    rate = Rate("sensitivity", hits, of, "low", 0.05)
    quick = shuffled(rate, some.members, strata, rng, 4000)
    twice = Rate("sensitivity", 2 * hits, 2 * of, "low", 0.05)  # each has two scans: no formula
    slow = shuffled(twice, some.members, strata, rng, 4000)
    for fast, people in zip(quick, slow, strict=True):
        assert fast[0] == pytest.approx(people[0] / 2)
        # Five standard errors of a mean of 4,000 whose spread is below 2.
        assert fast.mean(0) == pytest.approx(people.mean(0) / 2, abs=0.16)
        assert np.cov(fast.T) == pytest.approx(np.cov(people.T / 2), abs=0.25)


def test_finds_a_planted_gap_of_ten_points_and_none_in_fair_models() -> None:
    # The power that 346 patients in each of two groups give, see the next test; 350 are looked at.
    # A binomial of 150 at 0.95 stays above 0.88 with probability 0.999, one at 0.05 below 0.12.
    found = alarms = 0
    for number in range(MODELS):
        rng = generator(0, "planted", number)
        for worse in (True, False):
            rates = [
                Rate(
                    name,
                    (rng.random(700) < (base - 0.1 * worse * (np.arange(700) < 350))).astype(float)
                    if name == "sensitivity"
                    else (rng.random(700) < base).astype(float),
                    np.ones(700),
                    "low" if name == "sensitivity" else "high",
                    SHARES[name],
                )
                for name, base in (("sensitivity", 0.9), ("false_positive_rate", 0.05))
            ]
            strata = np.zeros(700, dtype=np.int64)
            each = rate_gaps(rates, groups(2, 350), strata, rng, permutations=PERMUTATIONS)
            if worse:
                found += each[0].gaps[0].verdict == "gap"
            else:
                alarms += any(gap.verdict == "gap" for one in each for gap in one.gaps)
    assert found / MODELS >= stats.binom.ppf(0.001, MODELS, 0.95) / MODELS
    assert alarms / MODELS <= stats.binom.ppf(0.999, MODELS, 0.05) / MODELS


def test_so_many_as_would_be_needed_show_the_gap_as_often_as_said() -> None:
    small = gaps_of(sensitivity(np.tile([True] * 9 + [False], 10)), groups(2, 50), "small")
    needed = small.gaps[0].needed
    assert small.gaps[0].verdict == "cannot tell"
    assert small.gaps[0].words == f"cannot tell (n = 50, would need {needed})"
    assert needed is not None
    assert 300 < needed < 400
    seen = 0
    for number in range(MODELS):
        rng = generator(1, "needed", number)
        chance = np.repeat([0.8, 0.9], needed)
        rate = sensitivity(rng.random(2 * needed) < chance)
        seen += gaps_of(rate, groups(2, needed), "needed", number).gaps[0].verdict == "gap"
    low, high = stats.binom.ppf([0.001, 0.999], MODELS, POWER)
    assert low <= seen <= high


def test_says_what_it_would_have_seen() -> None:
    fair = gaps_of(sensitivity(np.tile([True] * 9 + [False], 120)), groups(2, 600), "large")
    assert fair.gaps[0].verdict == "no gap seen"
    assert fair.gaps[0].sees == pytest.approx(0.072, abs=0.005)
    assert fair.gaps[0].words == "no gap seen (would have seen 7 points)"


def test_twelve_groups_of_fifty_show_nine_points_with_no_disparity() -> None:
    rng = generator(0, "twelve")
    found = gaps_of(sensitivity(rng.random(600) < 0.85), groups(12, 50), "twelve")
    assert found.expected == pytest.approx(0.09, abs=0.01)
    assert found.observed is not None
    assert found.gaps[0].verdict == "cannot tell"


def test_groups_too_small_to_be_shuffled_are_not_tested() -> None:
    rate = sensitivity(np.repeat([False, True], [4, 96]))
    members = np.array([np.arange(100) < 4, np.arange(100) >= 4])
    found = gaps_of(rate, Groups(("few", "rest"), members), "few")
    assert [one.p_value for one in found.gaps] == [None, None]
    assert found.worst is None
    assert found.gaps[0].gap == 1.0
    assert found.gaps[0].verdict == "cannot tell"


def test_everybody_and_nobody_have_no_gap() -> None:
    rate = sensitivity(np.ones(20))
    members = np.array([[True] * 20, [False] * 20])
    found = gaps_of(rate, Groups(("all", "none"), members), "all")
    assert [one.gap for one in found.gaps] == [None, None]
    assert [one.n for one in found.gaps] == [20, 0]


def test_claims_no_certainty_where_nobody_was_missed() -> None:
    found = gaps_of(sensitivity(np.ones(40)), groups(2, 20), "sure")
    low, high = found.gaps[0].low, found.gaps[0].high
    assert low is not None
    assert high is not None
    assert low < 0 < high
    assert found.gaps[0].verdict == "cannot tell"


def test_higher_false_positives_harm() -> None:
    rate = Rate("false_positive_rate", np.repeat([1.0, 0.0], 50), np.ones(100), "high", 0.05)
    found = gaps_of(rate, groups(2, 50), "harm")
    assert found.gaps[0].gap == 1.0
    assert found.gaps[0].verdict == "gap"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_p_values_are_never_below_what_so_many_shuffles_can_tell(seed: int) -> None:
    rng = generator(seed, "any")
    rate = Rate("r", rng.integers(0, 4, 30).astype(float), np.full(30, 3.0), "high", 0.05)
    found = gaps_of(rate, Groups(("a", "b"), rng.random((2, 30)) < 0.5), "any", seed)
    for one in found.gaps:
        assert one.p_value is None or 1 / (PERMUTATIONS + 1) <= one.p_value <= 1
