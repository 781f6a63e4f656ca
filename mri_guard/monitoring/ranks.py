"""Where each score stands among all before it: what every monitor of scores is fed.

Among exchangeable scans the smoothed online p-values are independent and uniform, whatever the
scores' distribution and whatever the count, so that limits found on uniform numbers hold at every
site (Vovk, Gammerman and Shafer 2022, Algorithmic Learning in a Random World, second edition,
proposition 2.4). Of p-values against a fixed calibration set only each by itself is uniform: all
share the luck of that set, and a monitor adds it up scan by scan.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

SMALLEST = 2.0**-53
"""P-values are kept as far away from 0 and 1, so that their normal scores are finite."""


def smoothed_p_value(greater: int, equal: int, before: int, tau: float) -> float:
    """Share of the scans so far that are at least as abnormal, ties split at random.

    Vovk, Gammerman and Shafer 2022, equation 2.20: (greater + tau (equal + 1)) / (before + 1).

    Args:
        greater: earlier scores above this one.
        equal: earlier scores like it.
        before: all earlier scores, those of the calibration included.
        tau: uniform on [0, 1), drawn for this scan.

    Returns:
        In (0, 1); small for an abnormal scan.
    """
    p = (greater + tau * (equal + 1)) / (before + 1)
    return min(max(p, SMALLEST), 1 - SMALLEST)


def normal_score(p: float) -> float:
    """The standard normal value with this upper tail: positive for an abnormal scan."""
    return float(-special.ndtri(p))


@dataclass(slots=True)
class Ranks:
    """Scores so far, sorted; gives each new one its p-value and takes it in.

    Attributes:
        seen: rising.
    """

    seen: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, scores: Iterable[float]) -> "Ranks":
        """Begun with the scores of a calibration."""
        return cls(sorted(scores))

    def __call__(self, score: float, tau: float) -> float:
        """Smoothed p-value among all scores so far.

        Raises:
            ValueError: the score is not finite.
        """
        if not np.isfinite(score):
            raise ValueError("score is not finite")
        low, high = bisect_left(self.seen, score), bisect_right(self.seen, score)
        before = len(self.seen)
        insort(self.seen, score)
        return smoothed_p_value(before - high, high - low, before, tau)


def online_p_values(
    scores: NDArray[np.float64], first: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The same for many streams at once, each ranked among all before it in its own.

    Args:
        scores: float64, (streams, n), in the order in which they came.
        first: how many of them are the calibration's, which get no p-value.
        rng: draws tau.

    Returns:
        float64, (streams, n - first).
    """
    streams, n = scores.shape
    tau = rng.random((streams, n - first))
    p = np.empty((streams, n - first))
    for column in range(first, n):
        here, earlier = scores[:, column, None], scores[:, :column]
        greater, equal = (earlier > here).sum(1), (earlier == here).sum(1)
        p[:, column - first] = (greater + tau[:, column - first] * (equal + 1)) / (column + 1)
    return p.clip(SMALLEST, 1 - SMALLEST)
