import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mri_guard.determinism import generator
from mri_guard.monitoring.ranks import Ranks, normal_score, online_p_values, smoothed_p_value

FEW = st.lists(st.integers(0, 5).map(float), max_size=20)


def test_counts_ties_as_far_as_tau_says() -> None:
    ranks = Ranks.of([3.0, 1.0, 2.0, 2.0])
    assert ranks(2.0, tau=0.5) == (1 + 0.5 * 3) / 5
    assert ranks(9.0, tau=0.5) == 0.5 / 6
    assert ranks.seen == [1.0, 2.0, 2.0, 2.0, 3.0, 9.0]


@given(scores=FEW, score=st.integers(0, 5).map(float), tau=st.floats(0, 1, exclude_max=True))
def test_lies_between_the_two_ways_to_count_ties(
    scores: list[float], score: float, tau: float
) -> None:
    p = Ranks.of(scores)(score, tau)
    above, at_least = sum(x > score for x in scores), sum(x >= score for x in scores)
    assert above / (len(scores) + 1) <= p + 1e-12
    assert p <= (at_least + 1) / (len(scores) + 1) + 1e-12
    assert 0 < p < 1


@given(scores=st.lists(st.integers(-9, 9), min_size=1, max_size=20), tau=st.floats(0, 0.99))
def test_minds_the_order_of_scores_alone(scores: list[int], tau: float) -> None:
    *before, last = scores
    here = Ranks.of(map(float, before))(last, tau)
    assert Ranks.of(float(x**3) for x in before)(last**3, tau) == here


def test_is_uniform_and_independent_where_ties_abound() -> None:
    rng = generator(0, "ranks")
    p = online_p_values(rng.poisson(2, (2000, 60)).astype(float), 40, rng)
    assert stats.kstest(p.ravel(), "uniform").pvalue > 0.01
    largest = np.abs(np.corrcoef(normal_score_all(p).T) - np.eye(20)).max()
    assert largest < stats.norm.isf(0.001 / 190) / np.sqrt(2000)  # 190 pairs


def normal_score_all(p: np.ndarray) -> np.ndarray:
    return np.array([[normal_score(one) for one in row] for row in p])


def test_ranks_many_streams_as_it_ranks_one() -> None:
    scores = generator(0, "streams").integers(0, 9, (3, 30)).astype(float)
    found = online_p_values(scores, 10, generator(1, "tau"))
    tau = generator(1, "tau").random((3, 20))
    for row, drawn, expected in zip(scores, tau, found, strict=True):
        ranks = Ranks.of(row[:10])
        assert [ranks(x, t) for x, t in zip(row[10:], drawn, strict=True)] == list(expected)


@pytest.mark.parametrize("tau", [0.0, 1 - 2**-53])
def test_keeps_normal_scores_finite(tau: float) -> None:
    assert np.isfinite(normal_score(smoothed_p_value(0, 0, 10**12, tau)))
    assert np.isfinite(normal_score(smoothed_p_value(0, 0, 0, tau)))


def test_gives_an_abnormal_scan_a_positive_normal_score() -> None:
    assert normal_score(0.025) == pytest.approx(1.959964, abs=1e-6)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_refuses_a_score_that_is_no_number(score: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        Ranks()(score, 0.5)
