import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mri_guard.determinism import generator
from mri_guard.metrics.two_samples import compared

sample = st.lists(st.integers(0, 12).map(float), min_size=1, max_size=25)


@given(first=sample, second=sample)
def test_statistics_are_scipys(first: list[float], second: list[float]) -> None:
    found = compared(first, second, generator(0, "two samples"), draws=1)
    u = stats.mannwhitneyu(first, second).statistic
    assert found.above == pytest.approx(u / (len(first) * len(second)), abs=1e-9)
    with np.errstate(divide="ignore"):
        apart = stats.ks_2samp(first, second, method="asymp").statistic
    assert found.apart == pytest.approx(apart, abs=1e-9)


@settings(max_examples=20)
@given(
    first=st.lists(st.integers(0, 9).map(float), min_size=2, max_size=4),
    second=st.lists(st.integers(0, 9).map(float), min_size=2, max_size=4),
)
def test_p_values_are_near_those_of_every_permutation(
    first: list[float], second: list[float]
) -> None:
    # scipy counts all of at most 70 permutations; ours draws 2000 with the sample among them.
    found = compared(first, second, generator(0, "exact"), draws=2000)

    def u(x: list[float], y: list[float]) -> float:
        wins = np.greater.outer(x, y).sum() + 0.5 * np.equal.outer(x, y).sum()
        return float(abs(wins - len(x) * len(y) / 2))

    exact = stats.permutation_test(
        (first, second), u, n_resamples=np.inf, alternative="greater", vectorized=False
    ).pvalue
    assert found.above_p_value == pytest.approx(exact, abs=4 * np.sqrt(0.25 / 2000) + 1 / 2001)


def test_raises_false_alarms_no_more_often_than_stated() -> None:
    rng = generator(0, "exchangeable simulation")
    values = np.array(
        [
            (found.above_p_value, found.apart_p_value, found.p_value)
            for found in (
                compared(rng.normal(size=25), rng.normal(size=40), rng, draws=99)
                for _ in range(400)
            )
        ]
    )
    for level in (0.05, 0.2):
        allowed = stats.binom.ppf(0.999, 400, level)
        assert ((values <= level).sum(0) <= allowed).all()


def test_sees_a_shift_and_a_spread() -> None:
    rng = generator(0, "shifted")
    usual = rng.normal(size=100)
    shifted = compared(rng.normal(0.8, 1, 80), usual, rng)
    assert shifted.above > 0.6
    assert shifted.above_p_value < 0.01
    wider = compared(rng.normal(0, 4, 80), usual, rng)
    assert wider.above_p_value > 0.05  # the rank sum alone would not have noticed
    assert wider.apart_p_value < 0.01
    assert wider.p_value == 2 * wider.apart_p_value


def test_does_not_depend_on_the_scale_of_the_scores() -> None:
    rng = generator(0, "scale")
    first, second = rng.gamma(2, size=30), rng.gamma(2, size=30)
    one, other = (
        compared(f, s, generator(0, "same"), draws=200)
        for f, s in ((first, second), (np.log(first), np.log(second)))
    )
    assert one == other


@pytest.mark.parametrize(("first", "second"), [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_refuses_what_cannot_be_compared(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="wanted finite ones in both"):
        compared(first, second, generator(0, "none"))
