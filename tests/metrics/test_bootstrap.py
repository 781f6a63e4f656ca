import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.metrics.bootstrap import interval, patient_counts, summary


def test_draws_as_many_patients_as_there_are() -> None:
    counts = patient_counts(7, generator(0, "draws"), 200)
    assert counts.shape == (200, 7)
    assert (counts.sum(1) == 7).all()
    assert counts.mean() == pytest.approx(1)


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(300):
        rng = generator(0, "coverage", trial)
        sample = rng.normal(3.0, 1.0, 40)
        counts = patient_counts(40, rng, 400)
        drawn = counts @ sample / 40
        found = summary(float(sample.mean()), drawn)
        covered += found.low <= 3.0 <= found.high
    # The percentile interval of a mean of 40 covers about 93.5 %; three binomial spreads around it.
    assert 0.89 <= covered / 300 <= 0.98


def test_holds_its_own_value_for_a_statistic_without_spread() -> None:
    counts = patient_counts(5, generator(0, "constant"), 50)
    found = interval(lambda count: float(count.sum()), counts)
    assert (found.value, found.low, found.high) == (5.0, 5.0, 5.0)


def test_refuses_a_statistic_that_does_not_exist() -> None:
    counts = patient_counts(5, generator(0, "nan"), 50)
    with pytest.raises(ValueError, match="does not exist"):
        interval(lambda _: float("nan"), counts)


def test_leaves_out_resamples_in_which_the_statistic_does_not_exist() -> None:
    found = summary(1.0, np.array([np.nan, 1.0, 1.0, np.nan]))
    assert (found.low, found.high) == (1.0, 1.0)
