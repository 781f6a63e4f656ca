"""Proportions with their intervals."""

import math

from scipy import stats


def clopper_pearson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a binomial proportion (Clopper and Pearson 1934, Biometrika 26, 404).

    Args:
        count: successes, 0..n.
        n: trials, at least 1.
        confidence: of the two-sided interval.
    """
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, count, n - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return low, high


def difference(
    first: tuple[int, int], second: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of one proportion less another, of two independent samples.

    Each interval's distance from its proportion, squared and added up (Newcombe 1998, Statistics in
    Medicine 17, 873, method 10), of exact intervals instead of Wilson's: wider, and no narrower
    than stated where samples are small.

    Args:
        first: successes and trials, at least 1.
        second: the same.
        confidence: of the two-sided interval.
    """
    (one, low_one, high_one), (two, low_two, high_two) = (
        (count / n, *clopper_pearson(count, n, confidence)) for count, n in (first, second)
    )
    below = math.hypot(one - low_one, high_two - two)
    above = math.hypot(high_one - one, two - low_two)
    return one - two - below, one - two + above
