"""How far probabilities can be believed: calibration error, Brier score and its parts, diagram.

Each figure is a function of how often each patient counts, as in `by_patient`: `counts`, int64,
(draws, patients), to one value for each draw; a row of ones gives the figure on the sample itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.metrics.bootstrap import Interval, summary
from mri_guard.metrics.by_patient import Counts, Values
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.metrics.ranking import Truth

BINS = 10
"""Of equal width; a probability on an edge belongs to the bin below, as in scikit-learn."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A point of the reliability diagram.

    Attributes:
        low: lower edge of the bin.
        high: upper edge.
        n: scans in it.
        probability: mean of theirs.
        share: of them that are abnormal.
        share_low: lower end of the exact 95 % interval of that, scans taken as independent.
        share_high: upper end.
    """

    low: float
    high: float
    n: int
    probability: float
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Probabilities of abnormality, and what came.

    Attributes:
        probability: float64, (n,), in [0, 1].
        truth: bool, (n,), whether the scan is abnormal.
        patient: int64, (n,), index of the patient.
        patients: how many there are.
    """

    probability: Values
    truth: Truth
    patient: NDArray[np.int64]
    patients: int

    def __post_init__(self) -> None:
        """Refuses what is no probability: a NaN would fall into a bin.

        Raises:
            ValueError: a probability below 0, above 1 or not a number.
        """
        if not ((self.probability >= 0) & (self.probability <= 1)).all():
            raise ValueError("a probability is not in [0, 1]")

    def brier(self, counts: Counts) -> Values:
        """Mean squared difference of probability and truth (Brier 1950), (draws,)."""
        weight = counts[:, self.patient].astype(np.float64)
        missed = np.square(self.probability - self.truth)
        return np.asarray(weight @ missed / weight.sum(1))

    def calibration_error(self, counts: Counts) -> Values:
        """Expected calibration error (Naeini et al. 2015, AAAI, equation 3), (draws,).

        Mean over scans of the distance between mean probability and share abnormal of their bin. It
        is above 0 even for perfect probabilities, since shares scatter: `by_chance` says how far.
        """
        n, probability, abnormal = self._sums(counts)
        return np.asarray(np.abs(probability - abnormal).sum(1) / n.sum(1))

    def reliability(self, counts: Counts) -> Values:
        """Brier score's part that calibration would take away (Murphy 1973, equation 9), (draws,).

        brier = reliability - resolution + uncertainty + within_bins.
        """
        n, probability, abnormal = self._sums(counts)
        return np.asarray(_over(np.square(probability - abnormal), n).sum(1) / n.sum(1))

    def resolution(self, counts: Counts) -> Values:
        """How far the bins' shares lie from the share of all: what telling apart is worth."""
        n, _, abnormal = self._sums(counts)
        total = n.sum(1, keepdims=True)
        of_all = abnormal.sum(1, keepdims=True) / total
        return np.asarray((n * np.square(_over(abnormal, n) - of_all)).sum(1) / total[:, 0])

    def uncertainty(self, counts: Counts) -> Values:
        """Brier score of the share of abnormal scans as everybody's probability, (draws,)."""
        n, _, abnormal = self._sums(counts)
        share = abnormal.sum(1) / n.sum(1)
        return np.asarray(share * (1 - share))

    def within_bins(self, counts: Counts) -> Values:
        """What bins hide: variance of the probabilities within them less twice their covariance
        with the truth (Stephenson, Coelho and Jolliffe 2008, Weather and Forecasting 23, 752);
        0 where each bin holds one probability, as in Murphy's decomposition.
        """
        parts = self.reliability(counts) - self.resolution(counts) + self.uncertainty(counts)
        return self.brier(counts) - parts

    def by_chance(self, rng: np.random.Generator, draws: int = 1000) -> Values:
        """Calibration errors of these very probabilities, were they true: (draws,).

        Args:
            rng: draws which scans would be abnormal.
            draws: how often.
        """
        came = rng.random((draws, len(self.probability))) < self.probability
        inside = self._inside()
        gaps = self.probability @ inside - came.astype(np.float64) @ inside
        return np.asarray(np.abs(gaps).sum(1) / len(self.probability))

    def error_interval(self, counts: Counts, rng: np.random.Generator) -> Interval:
        """The calibration error with a 95 % interval over patients.

        Resampling adds scatter to scatter, so that a percentile interval of this figure lies above
        the truth and never reaches 0. The upper end is the percentile; the lower one is reversed
        around the figure (Efron and Tibshirani 1993, section 13.4), and 0 where chance alone makes
        as large an error (`by_chance`). How often it covers: `benchmarks/coverage.py`.

        Args:
            counts: as `patient_counts` gives it.
            rng: for `by_chance`.
        """
        once = np.ones((1, self.patients), dtype=np.int64)
        value = float(self.calibration_error(once)[0])
        drawn = summary(value, self.calibration_error(counts))
        explained = value <= np.quantile(self.by_chance(rng), 0.975)
        low = 0.0 if explained else max(0.0, 2 * value - drawn.high)
        return Interval(value=value, low=low, high=max(value, drawn.high))

    def diagram(self) -> tuple[Bin, ...]:
        """Points of the reliability diagram, of the bins that hold a scan."""
        once = np.ones((1, self.patients), dtype=np.int64)
        n, probability, abnormal = (sums[0] for sums in self._sums(once))
        return tuple(
            Bin(
                place / BINS,
                (place + 1) / BINS,
                int(n[place]),
                float(probability[place] / n[place]),
                float(abnormal[place] / n[place]),
                *clopper_pearson(int(abnormal[place]), int(n[place])),
            )
            for place in map(int, np.flatnonzero(n))
        )

    def _inside(self) -> NDArray[np.float64]:
        """Whether a scan lies in a bin, (n, bins)."""
        place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], self.probability)
        return np.equal.outer(place, np.arange(BINS)).astype(np.float64)

    def _sums(self, counts: Counts) -> tuple[Values, Values, Values]:
        """Scans, their probabilities and the abnormal ones, summed by bin, each (draws, bins)."""
        weight, inside = counts[:, self.patient].astype(np.float64), self._inside()
        return (
            weight @ inside,
            (weight * self.probability) @ inside,
            (weight * self.truth) @ inside,
        )


def _over(part: Values, n: Values) -> Values:
    """part / n, and 0 in an empty bin."""
    return np.divide(part, n, out=np.zeros_like(part), where=n > 0)
