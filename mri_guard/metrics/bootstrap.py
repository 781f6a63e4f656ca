"""Percentile bootstrap over patients: what differs is who came, not which pixel."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mri_guard.records import Finite, Record

DRAWS = 1000

FEWEST = 5
"""Patients that a bootstrap is made over; fewer are too much alike from resample to resample."""


class Interval(Record):
    """A value and its interval.

    Attributes:
        value: on the sample itself.
        low: lower end.
        high: upper end.
    """

    value: Finite
    low: Finite
    high: Finite


def patient_counts(
    patients: int, rng: np.random.Generator, draws: int = DRAWS
) -> NDArray[np.int64]:
    """How often each patient is drawn in each resample, int64, (draws, patients); rows sum to n."""
    return rng.multinomial(patients, np.full(patients, 1 / patients), size=draws)


def interval(
    statistic: Callable[[NDArray[np.int64]], float],
    counts: NDArray[np.int64],
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic (Efron and Tibshirani 1993, section 13.3).

    Resamples in which the statistic does not exist (NaN) are left out.

    Args:
        statistic: value when each patient counts this often, int64, (patients,).
        counts: as `patient_counts` gives it.
        level: coverage.

    Raises:
        ValueError: the statistic does not exist on the sample itself.
    """
    value = statistic(np.ones(counts.shape[1], dtype=np.int64))
    if not np.isfinite(value):
        raise ValueError("the statistic does not exist on this sample")
    drawn = np.array([statistic(count) for count in counts])
    return summary(value, drawn, level)


def summary(value: float, drawn: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Percentile interval around a value from the statistic's resampled values, NaN left out."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Interval(value=float(value), low=float(low), high=float(high))
