"""How bad a scan may be before it is held: one rule over all measures, learnt from clean scans.

A measure's deviation is its distance from the clean scans' median in their spread; a scan's
nonconformity is its largest deviation. Of n calibration scans that centre and spread were not
fitted on, the k-th largest nonconformity with k = floor(alpha (n + 1)) is exceeded by a further
clean scan, exchangeable with them, with probability at most k / (n + 1) <= alpha (Vovk, Gammerman
and Shafer 2005, Algorithmic Learning in a Random World; split conformal: Lei et al.
2018, JASA 113(523), 1094-1111), over the draw of all of them. Scans of another scanner
are not exchangeable with them: the limit is therefore set `margin` times higher, which keeps the
bound and costs power.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.errors import NotCalibratedError
from mri_guard.records import Finite, PValue, Record

NORMAL_95 = 1.645
"""95th percentile of a standard normal variable."""

NORMAL_LARGEST = 2.5
"""Expected largest of a hundred standard normal variables."""


class Normal(Record):
    """Where a measure lies on clean scans.

    Attributes:
        centre: median.
        spread: above it, as of a normal distribution with the same 95th percentile, or the same
            largest value where that is more: heavy tails would make the other measures blunt.
    """

    centre: Finite
    spread: Finite = Field(gt=0)

    @classmethod
    def fit(cls, values: Sequence[float], weights: Sequence[float], resolution: float) -> "Normal":
        """From clean scans, each with a weight; the spread is at least `resolution`."""
        centre, high = _quantiles(np.asarray(values), np.asarray(weights))
        largest = max(values)
        spread = max((high - centre) / NORMAL_95, (largest - centre) / NORMAL_LARGEST, resolution)
        return cls(centre=centre, spread=spread)

    def deviation(self, value: float) -> float:
        """Spreads above the centre; below 0 for what is better than usual.

        Raises:
            ValueError: the value is not finite, and would pass every limit.
        """
        if not np.isfinite(value):
            raise ValueError("a measure is not finite")
        return (value - self.centre) / self.spread


class Limits(Record):
    """What clean scans measure, in `calibration.json`.

    Attributes:
        normals: of each measure.
        worst: nonconformity of each calibration scan, by where it comes from.
        alpha: share of clean scans that may be held.
        margin: how many times higher than that the limit is set, for other scanners' sake.
    """

    normals: dict[str, Normal]
    worst: dict[str, tuple[Finite, ...]]
    alpha: PValue = 0.01
    margin: Finite = Field(default=2.0, ge=1)

    @property
    def count(self) -> int:
        """Calibration scans."""
        return sum(len(scores) for scores in self.worst.values())

    def rank(self) -> int:
        """k: the limit lies above the k-th largest nonconformity of the calibration scans.

        Raises:
            NotCalibratedError: too few calibration scans for alpha.
        """
        rank = int(np.floor(self.alpha * (self.count + 1) + 1e-9))
        if rank < 1:
            wanted = int(np.ceil(1 / self.alpha - 1e-9)) - 1
            raise NotCalibratedError(
                f"{self.count} scans to learn voxel limits from; wanted at least {wanted} to hold "
                f"at most {self.alpha:g} of clean scans"
            )
        return rank

    @property
    def highest(self) -> float:
        """Deviations above it are refused.

        Raises:
            NotCalibratedError: too few calibration scans for alpha.
        """
        pooled = sorted(score for scores in self.worst.values() for score in scores)
        return self.margin * max(pooled[-self.rank()], 0.0)

    def deviations(self, values: Mapping[str, float | None]) -> dict[str, float]:
        """Of each measure that could be measured.

        Raises:
            NotCalibratedError: a measure that the limits do not know.
            ValueError: a value is not finite.
        """
        unknown = set(values) - set(self.normals)
        if unknown:
            raise NotCalibratedError(f"no limits for {', '.join(sorted(unknown))}")
        return {
            name: self.normals[name].deviation(value)
            for name, value in values.items()
            if value is not None
        }

    @property
    def guarantee(self) -> str:
        """What the limits promise, in words."""
        counts = ", ".join(f"{group} n = {len(some)}" for group, some in sorted(self.worst.items()))
        return (
            f"at most {self.alpha:g} of clean scans are held by their voxels, if exchangeable with "
            f"the pooled calibration scans: {counts}; the limit is {self.margin:g} times higher "
            "than that needs, for scanners that are not"
        )


def group_weights(groups: Sequence[str]) -> NDArray[np.float64]:
    """A weight for each scan, so that each group counts alike and all sum to 1."""
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[inverse]), dtype=np.float64)


def _quantiles(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """50th and 95th percentile of weighted values."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    middle, high = np.interp((0.5, 0.95), share / weights.sum(), values[order])
    return float(middle), float(high)
