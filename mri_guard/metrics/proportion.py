"""A proportion with its exact interval."""

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
