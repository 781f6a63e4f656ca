import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from mri_guard.determinism import generator
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.probability import BINS, Forecasts


def _forecasts(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> Forecasts:
    return Forecasts(probability, truth, np.arange(len(truth)), len(truth))


def _once(forecasts: Forecasts) -> NDArray[np.int64]:
    return np.ones((1, forecasts.patients), dtype=np.int64)


def _drawn(n: int, name: str, sharpness: float = 1.0) -> Forecasts:
    """True probabilities; sharper than true where asked."""
    rng = generator(0, name)
    probability = rng.beta(0.6, 0.9, size=n)
    truth = rng.random(n) < probability
    claimed = stats.norm.cdf(sharpness * stats.norm.ppf(probability))
    return _forecasts(claimed, truth)


def test_agrees_with_scikit_learn_on_brier_score_and_diagram() -> None:
    forecasts = _drawn(500, "forecasts")
    ours = forecasts.brier(_once(forecasts))[0]
    theirs = brier_score_loss(forecasts.truth, forecasts.probability)
    assert ours == pytest.approx(theirs, abs=1e-12)
    share, mean = calibration_curve(forecasts.truth, forecasts.probability, n_bins=BINS)
    points = forecasts.diagram()
    assert [point.share for point in points] == pytest.approx(list(share), abs=1e-9)
    assert [point.probability for point in points] == pytest.approx(list(mean), abs=1e-9)
    weights = np.array([point.n for point in points])
    error = float(np.average(np.abs(share - mean), weights=weights))
    assert forecasts.calibration_error(_once(forecasts))[0] == pytest.approx(error, abs=1e-9)


def test_an_edge_belongs_to_the_bin_below() -> None:
    probability = np.array([0.0, 0.1, 0.1000001, 0.5, 1.0])
    points = _forecasts(probability, np.zeros(5, bool)).diagram()
    assert [(point.low, point.n) for point in points] == [(0, 2), (0.1, 1), (0.4, 1), (0.9, 1)]


def test_parts_of_the_brier_score_are_murphys_where_each_bin_holds_one_probability() -> None:
    rng = generator(0, "murphy")
    probability = rng.choice([0.05, 0.35, 0.85], size=300)
    truth = rng.random(300) < 0.8 * probability + 0.1
    forecasts = _forecasts(probability, truth)
    once = _once(forecasts)
    of_all, reliability, resolution = truth.mean(), 0.0, 0.0
    for value in (0.05, 0.35, 0.85):
        came = truth[probability == value]
        reliability += len(came) * (value - came.mean()) ** 2 / 300
        resolution += len(came) * (came.mean() - of_all) ** 2 / 300
    assert forecasts.reliability(once)[0] == pytest.approx(reliability, abs=1e-12)
    assert forecasts.resolution(once)[0] == pytest.approx(resolution, abs=1e-12)
    assert forecasts.uncertainty(once)[0] == pytest.approx(of_all * (1 - of_all), abs=1e-12)
    assert forecasts.within_bins(once)[0] == pytest.approx(0, abs=1e-12)


def test_what_bins_hide_is_variance_less_twice_the_covariance() -> None:
    forecasts = _drawn(400, "within")
    place = np.minimum((forecasts.probability * BINS).astype(int), BINS - 1)
    hidden = 0.0
    for bin_ in np.unique(place):
        inside = place == bin_
        gap = forecasts.probability[inside] - forecasts.probability[inside].mean()
        came = forecasts.truth[inside] - forecasts.truth[inside].mean()
        hidden += (gap**2).sum() - 2 * (gap * came).sum()
    assert forecasts.within_bins(_once(forecasts))[0] == pytest.approx(hidden / 400, abs=1e-12)


def test_counting_a_patient_twice_is_having_him_twice() -> None:
    some = _drawn(60, "twice")
    counts = patient_counts(60, generator(0, "counts"), draws=5)
    for row in counts:
        again = np.repeat(np.arange(60), row)
        repeated = _forecasts(some.probability[again], some.truth[again])
        for name in ("brier", "calibration_error", "reliability", "resolution", "within_bins"):
            one, other = (
                getattr(forecasts, name)(weights)[0]
                for forecasts, weights in ((some, row[None]), (repeated, _once(repeated)))
            )
            assert one == pytest.approx(other, abs=1e-12), name


def test_scans_of_a_patient_are_drawn_together() -> None:
    # Two patients: one always right, one always wrong.
    probability, truth = np.array([1.0, 1.0, 1.0, 1.0]), np.array([True, True, False, False])
    forecasts = Forecasts(probability, truth, np.array([0, 0, 1, 1]), 2)
    assert list(forecasts.brier(np.array([[2, 0], [1, 1], [0, 2]]))) == [0, 0.5, 1]


def test_error_of_true_probabilities_is_one_that_chance_makes_and_of_sharpened_ones_not() -> None:
    true, sharpened = _drawn(600, "true"), _drawn(600, "true", sharpness=3)
    for forecasts, believable in ((true, True), (sharpened, False)):
        chance = forecasts.by_chance(generator(0, "chance"))
        error = forecasts.calibration_error(_once(forecasts))[0]
        assert bool(error <= np.quantile(chance, 0.99)) is believable
        assert chance.mean() > 0


@pytest.mark.parametrize("bad", [float("nan"), -0.01, 1.01])
def test_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        _forecasts(np.array([0.5, bad]), np.array([True, False]))
