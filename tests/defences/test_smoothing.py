from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from mri_guard.defences import bounds, largest_radius, ranks, smoothed
from mri_guard.determinism import generator
from mri_guard.records import Anomaly, Preprocessed
from tests.toys import toy_brain

TOY = toy_brain(generator(0, "smoothing"), slices=3, side=12)
WEIGHTS = generator(0, "weights").standard_normal(TOY.image.shape)


@dataclass(frozen=True)
class _Linear:
    """Scores that are weighted sums: under noise of sigma they are normal with known spread."""

    bad: float = 0.0

    def slices(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        sums = (image.astype(np.float64) * WEIGHTS).sum((0, 1))
        return np.append(sums, np.nan)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        zeros, scores = np.zeros_like(preprocessed.image), self.slices(preprocessed.image)
        scores[0] += self.bad if preprocessed.image[0, 0, 0] > 0 else 0
        return Anomaly(zeros, zeros, zeros, scores, float(np.nansum(scores)))


@given(
    draws=st.integers(1, 3000),
    shift=st.floats(0, 4),
    confidence=st.sampled_from([0.9, 0.99, 0.999]),
)
def test_ranks_are_the_furthest_in_that_binomial_counts_allow(
    draws: int, shift: float, confidence: float
) -> None:
    lower, upper = ranks(draws, shift, confidence)
    tail = (1 - confidence) / 2
    low, high = stats.norm.cdf(-shift), stats.norm.cdf(shift)
    if lower > 0:
        assert stats.binom.sf(lower - 1, draws, low) >= 1 - tail - 1e-12
    assert stats.binom.sf(lower, draws, low) < 1 - tail + 1e-12
    if upper <= draws:
        assert stats.binom.cdf(upper - 1, draws, high) >= 1 - tail - 1e-9
    assert stats.binom.cdf(upper - 2, draws, high) < 1 - tail + 1e-9


def test_ranks_of_the_median_are_the_sign_tests() -> None:
    # Conover, Practical Nonparametric Statistics, 1999, table A3, n = 20: P(Bin <= 5) = 0.0207.
    assert ranks(20, 0.0, 0.95) == (6, 15)


@given(draws=st.integers(2, 2000), confidence=st.sampled_from([0.9, 0.999]))
def test_bounds_exist_up_to_the_largest_radius(draws: int, confidence: float) -> None:
    radius = largest_radius(draws, 0.25, confidence)
    if np.isnan(radius):
        assert ranks(draws, 0.0, confidence) == (0, draws + 1)
        return
    assert ranks(draws, radius / 0.25 * (1 - 1e-9), confidence)[0] >= 1
    assert ranks(draws, radius / 0.25 + 1e-6, confidence) == (0, draws + 1)


def test_bounds_are_the_draws_of_those_ranks() -> None:
    numbered = np.arange(1.0, 501.0)[:, None]
    for shift in (0.0, 0.7, 2.0):
        low, high = bounds(numbered, shift)
        assert (low[0], high[0]) == ranks(500, shift)


def test_says_that_it_knows_nothing_where_draws_are_too_few() -> None:
    low, high = bounds(np.arange(10.0)[:, None], 1.0)
    assert (low[0], high[0]) == (-np.inf, np.inf)


def test_has_no_bounds_where_there_is_no_score() -> None:
    for shift in (0.0, 9.0):
        low, high = bounds(np.full((100, 1), np.nan), shift)
        assert np.isnan([low[0], high[0]]).all()


@given(st.lists(st.floats(0, 3), min_size=2, max_size=2))
def test_wider_radius_never_gives_a_narrower_interval(shifts: list[float]) -> None:
    rising = np.sort(generator(0, "rise").standard_normal((500, 1)), axis=0)
    narrow, wide = (bounds(rising, shift) for shift in sorted(shifts))
    assert wide[0] <= narrow[0] <= np.median(rising) <= narrow[1] <= wide[1]


def test_a_linear_score_has_the_interval_that_geometry_gives_it() -> None:
    # No change of norm r moves a weighted sum further than r |w|, and the interval says just that.
    sigma, radius, draws = 0.1, 0.08, 20_000
    length = float(np.linalg.norm(WEIGHTS[..., 0]))
    rng = generator(1, "linear")
    truth = _Linear().slices(TOY.image)[0]
    rising = np.sort(truth + sigma * length * rng.standard_normal((draws, 1)), axis=0)
    low, high = bounds(rising, radius / sigma)
    assert low[0] == pytest.approx(truth - radius * length, abs=0.08 * sigma * length)
    assert high[0] == pytest.approx(truth + radius * length, abs=0.08 * sigma * length)
    assert low[0] < truth - radius * length
    assert high[0] > truth + radius * length


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["normal", "lumps"])
def test_interval_holds_at_least_as_often_as_it_says(kind: str, shift: float) -> None:
    # The median of what is seen after a shift of the noise's mean is what must lie within.
    rng, confidence, trials = generator(2, "coverage", kind), 0.9, 4000

    def score(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x if kind == "normal" else np.floor(2 * x + 0.3)

    drawn = np.sort(score(rng.standard_normal((200, trials))), axis=0)
    low, high = bounds(drawn, shift, confidence)
    for moved in (-shift, shift):
        median = score(np.array(moved))  # that of score(N(moved, 1)), since score is monotone
        inside = ((low <= median) & (median <= high)).mean()
        assert inside > confidence - 3 * np.sqrt(0.1 * 0.9 / trials)


def test_draws_are_of_the_stated_spread_and_rise() -> None:
    sigma = 0.2
    found = smoothed(_Linear(), TOY, sigma, 2000, generator(3, "draws"))
    assert found.slices.shape == (2000, 4)
    assert (np.diff(found.slices[:, :3], axis=0) >= 0).all()
    assert (np.diff(found.scan) >= 0).all()
    assert np.isnan(found.slices[:, 3]).all()
    for z in range(3):
        spread = sigma * np.linalg.norm(WEIGHTS[..., z])
        centre = _Linear().slices(TOY.image)[z]
        assert stats.kstest(found.slices[:, z], "norm", (centre, spread)).pvalue > 1e-3


def test_gives_the_same_draws_for_the_same_seed() -> None:
    once, again = (smoothed(_Linear(), TOY, 0.1, 5, generator(4, "same")) for _ in range(2))
    assert np.array_equal(once.slices, again.slices, equal_nan=True)


@pytest.mark.parametrize(("sigma", "draws"), [(0.0, 5), (0.1, 0)])
def test_asks_for_noise_and_draws(sigma: float, draws: int) -> None:
    with pytest.raises(ValueError, match="wanted some noise"):
        smoothed(_Linear(), TOY, sigma, draws, generator(0, "none"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_a_draw_without_a_score(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        smoothed(_Linear(bad), TOY, 0.1, 20, generator(5, "bad"))
