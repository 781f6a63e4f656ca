"""Could two samples of scores have come from one distribution? A permutation test.

If calibration scores of two origins are exchangeable, which score has which origin is as good as
drawn: a statistic of the origins as they are has then no reason to be larger than with the origins
shuffled (Fisher 1935; as p-value with the sample itself among the shuffles: Phipson and Smyth 2010,
Statistical Applications in Genetics and Molecular Biology 9(1), 39).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mri_guard.records import PValue, Record, Share

DRAWS = 1999
CHUNK = 200


class TwoSamples(Record):
    """How one sample differs from another.

    Attributes:
        above: share of pairs in which the first sample's score is the higher, ties half: the
            rank-sum statistic of Wilcoxon over the number of pairs; 0.5 where neither is higher.
        above_p_value: of its distance from 0.5, either way.
        apart: largest difference of the two distribution functions (Kolmogorov-Smirnov).
        apart_p_value: of that.
        first: scores in the first sample.
        second: scores in the second.
    """

    above: Share
    above_p_value: PValue
    apart: Share
    apart_p_value: PValue
    first: int
    second: int

    @property
    def p_value(self) -> float:
        """Of both together, each counted for there being two (Bonferroni)."""
        return min(1.0, 2 * min(self.above_p_value, self.apart_p_value))


def compared(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> TwoSamples:
    """Both statistics with their permutation p-values, from the same shuffles.

    Args:
        first: scores, finite, at least one.
        second: the same.
        rng: shuffles.
        draws: shuffles; p-values are multiples of 1 / (draws + 1).

    Raises:
        ValueError: a sample is empty, or a score is not finite.
    """
    pooled = np.concatenate([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    if not len(first) or not len(second) or not np.isfinite(pooled).all():
        raise ValueError(
            f"samples of {len(first)} and {len(second)} scores; wanted finite ones in both"
        )
    order = np.argsort(pooled, kind="stable")
    ranks = stats.rankdata(pooled)[order]
    ends = np.append(np.flatnonzero(np.diff(pooled[order])), len(pooled) - 1)
    own = (order < len(first)).astype(np.float64)

    def statistics(origin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of pairs and distance, (draws, 2), of who is of the first sample, (draws, n)."""
        wins = origin @ ranks - len(first) * (len(first) + 1) / 2
        in_first = np.cumsum(origin, axis=1)[:, ends]
        gaps = in_first / len(first) - (ends + 1 - in_first) / len(second)
        return np.column_stack([wins / (len(first) * len(second)), np.abs(gaps).max(1)])

    above, apart = statistics(own[None])[0]
    as_far = np.zeros(2, dtype=np.int64)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        shuffled = statistics(rng.permuted(np.tile(own, (size, 1)), axis=1))
        distance = np.column_stack([np.abs(shuffled[:, 0] - 0.5), shuffled[:, 1]])
        as_far += (distance >= np.array([abs(above - 0.5), apart]) - 1e-12).sum(0)
    above_p, apart_p = (float(count + 1) / (draws + 1) for count in as_far)
    return TwoSamples(
        above=float(above),
        above_p_value=above_p,
        apart=float(apart),
        apart_p_value=apart_p,
        first=len(first),
        second=len(second),
    )
