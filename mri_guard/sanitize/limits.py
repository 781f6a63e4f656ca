"""How bad a scan may be before it is held: one rule over all measures, learnt from clean scans.

A measure's deviation is its distance from the clean scans' median in their spread; a scan's
nonconformity is its largest deviation. Of n calibration scans that centre and spread were not
fitted on, the k-th largest nonconformity with k = floor(alpha (n + 1)) is exceeded by a further
clean scan, exchangeable with them, with probability at most k / (n + 1) <= alpha (Vovk, Gammerman
and Shafer 2005, Algorithmic Learning in a Random World, section 2.2; split conformal: Lei et al.
2018, JASA 113(523), 1094-1111, theorem 2.2), over the draw of all of them. Scans of another scanner
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


class Normal(Record):
    """Where a measure lies on clean scans.

    Attributes:
        centre: median.
        above: spread above it, as of a normal distribution with the same 95th percentile.
        below: spread below it; None where low values are good ones.
    """

    centre: Finite
    above: Finite = Field(gt=0)
    below: Finite | None = Field(default=None, gt=0)

    @classmethod
    def fit(
        cls,
        values: Sequence[float],
        weights: Sequence[float],
        resolution: float,
        *,
        two_sided: bool,
    ) -> "Normal":
        """From clean scans, each with a weight; spreads are at least `resolution`."""
        low, centre, high = _quantiles(np.asarray(values), np.asarray(weights))
        below = max((centre - low) / NORMAL_95, resolution)
        return cls(
            centre=centre,
            above=max((high - centre) / NORMAL_95, resolution),
            below=below if two_sided else None,
        )

    def deviation(self, value: float) -> float:
        """Spreads away from the centre on a side that is bad; below 0 on one that is not.

        Raises:
            ValueError: the value is not finite, and would pass every limit.
        """
        if not np.isfinite(value):
            raise ValueError("a measure is not finite")
        away = value - self.centre
        if away < 0 and self.below is not None:
            return -away / self.below
        return away / self.above


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
    margin: Finite = Field(default=1.5, ge=1)

    @property
    def count(self) -> int:
        """Calibration scans."""
        return sum(len(scores) for scores in self.worst.values())

    @property
    def highest(self) -> float:
        """Deviations above it are refused.

        Raises:
            NotCalibratedError: too few calibration scans for alpha.
        """
        n = self.count
        rank = int(np.floor(self.alpha * (n + 1) + 1e-9))
        if rank < 1:
            wanted = int(np.ceil(1 / self.alpha - 1e-9)) - 1
            raise NotCalibratedError(
                f"{n} scans to learn voxel limits from; wanted at least {wanted} to hold at most "
                f"{self.alpha:g} of clean scans"
            )
        pooled = sorted(score for scores in self.worst.values() for score in scores)
        return self.margin * max(pooled[-rank], 0.0)

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
            f"the pooled calibration scans: {counts}; the limit is set {self.margin:g} times higher "
            "than that needs, for scanners that are not"
        )


def group_weights(groups: Sequence[str]) -> NDArray[np.float64]:
    """A weight for each scan, so that each group counts alike and all sum to 1."""
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[inverse]), dtype=np.float64)


def _quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float, float]:
    """5th, 50th and 95th percentile of weighted values."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    low, middle, high = np.interp((0.05, 0.5, 0.95), share / weights.sum(), values[order])
    return float(low), float(middle), float(high)
