"""Thresholds whose false-positive rate is guaranteed, not hoped for.

The false-positive rate of the rule "score > k-th largest of n healthy scores" is distributed as
Beta(k, n + 1 - k), whatever the scores' continuous distribution (order statistics of the uniform:
David and Nagaraja, Order Statistics, 2003, section 2.3; as training-conditional conformal
coverage: Vovk 2012, arXiv:1209.2673). The plain quantile misses its target more than half the
time. How many of a day's healthy scans such a rule flags is beta-binomial, so that a daily budget
of false flags is held in the same way. Ties only make either smaller: at a threshold is not above.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mri_guard.errors import NotCalibratedError


def rank(n: int, alpha: float, delta: float) -> int:
    """Largest k with P(FPR <= alpha) >= 1 - delta for the k-th largest of n healthy scores.

    Args:
        n: healthy calibration scores, exchangeable with what will be screened.
        alpha: false-positive rate to hold, in (0, 1).
        delta: probability, over the draw of the calibration scans, of not holding it.

    Returns:
        k in 1..n.

    Raises:
        NotCalibratedError: no k will do; the message names the smallest n that allows one.
    """
    ranks = np.arange(1, n + 1)
    held = ranks[stats.beta.cdf(alpha, ranks, n + 1 - ranks) >= 1 - delta]
    if held.size == 0:
        raise NotCalibratedError(
            f"{n} healthy scores; wanted at least {smallest_count(alpha, delta)} "
            f"for a false-positive rate of {alpha:g} with probability {1 - delta:g}"
        )
    return int(held[-1])


def workload_rank(n: int, at_most: int, per_day: int, delta: float) -> int:
    """Largest k with P(X <= at_most) >= 1 - delta for the k-th largest of n healthy scores.

    X is how many of a day's healthy scans score above it, BetaBinomial(per_day, k, n + 1 - k) as in
    `false_positive_band`. The probability is over the draw of the calibration scans and of the day
    together: of one day, not of every day that the same threshold will see.

    Args:
        n: healthy calibration scores, exchangeable with what will be screened.
        at_most: false flags a day that are affordable.
        per_day: healthy scans a day, at least 1.
        delta: probability of a day with more.

    Returns:
        k in 1..n.

    Raises:
        NotCalibratedError: no k will do; the message names the smallest n that allows one.
    """

    def broken(k: int) -> bool:
        return bool(stats.betabinom.sf(at_most, per_day, k, n + 1 - k) > delta)

    held = bisect_left(range(1, n + 1), True, key=broken)  # the more, the higher the rank
    if held == 0:
        raise NotCalibratedError(
            f"{n} healthy scores; wanted at least {workload_count(at_most, per_day, delta)} "
            f"for at most {at_most} false flags among {per_day} healthy scans a day "
            f"with probability {1 - delta:g}"
        )
    return held


def held_rate(rank: int, calibrated: int, delta: float) -> float:
    """The false-positive rate that the k-th largest of n healthy scores holds, except with delta.

    The smallest alpha of which `rank(calibrated, alpha, delta)` is this rank: what a threshold that
    was chosen by workload promises as a rate.

    Args:
        rank: k.
        calibrated: n.
        delta: probability, over the draw of the calibration scans, of a higher rate.
    """
    exact = float(stats.beta.ppf(1 - delta, rank, calibrated + 1 - rank))
    return exact * (1 + 1e-9)  # a rounding error below it would hold one rank less


def false_positive_band(
    rank: int, calibrated: int, n: int, confidence: float = 0.95
) -> tuple[int, int]:
    """Fewest and most of n new healthy scans to expect above a threshold, both included.

    Above the k-th largest of m healthy scores each of them lies with one unknown probability, which
    over the draw of the m is Beta(k, m + 1 - k). Their count X is therefore beta-binomial (Johnson,
    Kemp and Kotz, Univariate Discrete Distributions, 2005, section 6.2.2):
    P(X = x) = C(n, x) B(x + k, n - x + m + 1 - k) / B(k, m + 1 - k).

    Args:
        rank: k, as `rank` gives it.
        calibrated: m.
        n: new scans, exchangeable with the calibration scans.
        confidence: of the two-sided interval; each tail beyond it holds at most half of the rest.
    """
    counted = stats.betabinom(n, rank, calibrated + 1 - rank)
    tail = (1 - confidence) / 2
    return int(counted.ppf(tail)), int(counted.ppf(1 - tail))


def smallest_count(alpha: float, delta: float) -> int:
    """Smallest n for which a threshold exists: (1 - alpha)^n <= delta (k = 1)."""
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def workload_count(at_most: int, per_day: int, delta: float) -> int:
    """Smallest n for which a workload threshold exists (k = 1).

    More than m of d new scans lie above all n when the m + 1 highest of the n + d are new:
    (d / (n + d)) ((d - 1) / (n + d - 1)) ... ((d - m) / (n + d - m)) <= delta.
    """
    higher = np.arange(at_most + 1)

    def broken(n: int) -> float:
        return float(np.prod((per_day - higher) / (n + per_day - higher)))

    enough = 1
    while broken(enough) > delta:
        enough *= 2
    return bisect_left(range(enough + 1), True, lo=1, key=lambda n: broken(n) <= delta)


def exact_threshold(scores: Sequence[float], alpha: float, delta: float) -> float:
    """The rank-th largest score; a scan is unusual when its score is above it.

    Args:
        scores: healthy calibration scores, finite.
        alpha: false-positive rate to hold.
        delta: probability of not holding it.

    Raises:
        NotCalibratedError: too few scores, or one that is not a number.
    """
    return largest(scores, rank(len(scores), alpha, delta))


def workload_threshold(scores: Sequence[float], at_most: int, per_day: int, delta: float) -> float:
    """The same of the workload's rank.

    Args:
        scores: healthy calibration scores, finite.
        at_most: false flags a day that are affordable.
        per_day: healthy scans a day.
        delta: probability of a day with more.

    Raises:
        NotCalibratedError: too few scores, or one that is not a number.
    """
    return largest(scores, workload_rank(len(scores), at_most, per_day, delta))


def largest(scores: Sequence[float], rank: int) -> float:
    """The k-th largest score.

    Args:
        scores: healthy calibration scores.
        rank: k, in 1..n.

    Raises:
        NotCalibratedError: a score is not a number.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise NotCalibratedError("a calibration score is not finite")
    return float(np.sort(values)[-rank])
