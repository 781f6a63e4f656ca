import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mri_guard.metrics.proportion import clopper_pearson


@given(n=st.integers(1, 500), data=st.data())
def test_agrees_with_scipys_exact_interval(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    interval = binomtest(count, n).proportion_ci(method="exact")
    assert clopper_pearson(count, n) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_knows_the_rule_of_three() -> None:
    assert clopper_pearson(0, 100, confidence=0.90) == pytest.approx((0, 0.0295), abs=1e-4)
