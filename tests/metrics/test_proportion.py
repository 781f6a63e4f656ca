import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from mri_guard.metrics.proportion import clopper_pearson, difference

samples = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(n=st.integers(1, 500), data=st.data())
def test_agrees_with_scipys_exact_interval(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    interval = binomtest(count, n).proportion_ci(method="exact")
    assert clopper_pearson(count, n) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_knows_the_rule_of_three() -> None:
    assert clopper_pearson(0, 100, confidence=0.90) == pytest.approx((0, 0.0295), abs=1e-4)


def test_takes_one_proportion_from_another_as_newcombe_does() -> None:
    """With Wilson's intervals: 56/70 less 48/80 (Newcombe 1998, table II, method 10, example a)."""
    low, high = 0.0524, 0.3339
    wilson = [binomtest(*sample).proportion_ci(method="wilson") for sample in ((56, 70), (48, 80))]
    below = math.hypot(56 / 70 - wilson[0].low, wilson[1].high - 48 / 80)
    above = math.hypot(wilson[0].high - 56 / 70, 48 / 80 - wilson[1].low)
    assert (0.2 - below, 0.2 + above) == pytest.approx((low, high), abs=1e-4)
    ours = difference((56, 70), (48, 80))
    assert ours[0] < low < high < ours[1]
    assert ours == pytest.approx((low, high), abs=0.02)


@given(first=samples, second=samples)
def test_the_difference_the_other_way_round_is_its_mirror(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    low, high = difference(first, second)
    assert difference(second, first) == pytest.approx((-high, -low))
    assert -1 - 1e-9 <= low <= first[0] / first[1] - second[0] / second[1] <= high <= 1 + 1e-9


@pytest.mark.parametrize("sizes", [(20, 20), (20, 40)])
def test_the_difference_is_covered_as_often_as_stated(sizes: tuple[int, int]) -> None:
    """No simulation: every pair of counts, weighted by its probability."""
    n, m = sizes
    ends = np.array([[difference((i, n), (j, m)) for j in range(m + 1)] for i in range(n + 1)])
    for p in (0.02, 0.1, 0.3, 0.5, 0.9):
        for q in (0.02, 0.1, 0.3, 0.5, 0.9):
            weights = np.outer(binom.pmf(np.arange(n + 1), n, p), binom.pmf(np.arange(m + 1), m, q))
            covered = (ends[..., 0] <= p - q) & (p - q <= ends[..., 1])
            assert weights[covered].sum() >= 0.95, (p, q)
