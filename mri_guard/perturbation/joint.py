"""Do the detectors together find a scan out of line? One p-value, exact for exchangeable scans.

Each statistic becomes a deviation: its distance from the median in spreads; a scan's nonconformity
is its largest deviation. Median and spread are taken of the calibration scans and the new one
together, so that all of them are treated alike: for a clean scan, exchangeable with them, the rank
of its nonconformity is uniform and P(p <= a) <= a, whatever the statistics' distributions and
however they hang together (full conformal prediction: Vovk, Gammerman and Shafer 2005, Algorithmic
Learning in a Random World, section 2.2). Nothing is split off to fit on, and no level is shared out
among the detectors: one that finds nothing costs the others next to no power.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import NotCalibratedError
from mri_guard.records import DetectorResult, Perturbation

QUANTILES = ((0.95, 1.645), (0.99, 2.326))
"""Quantiles that a spread is taken from, and where they lie in a normal distribution. The farther
one keeps a statistic with a heavy tail from blunting the others; a single scan hardly moves it."""


@dataclass(frozen=True, slots=True, eq=False)
class JointRule:
    """Satisfies `ports.Combine`.

    Attributes:
        names: of the detectors.
        clean: float64, (n, m), statistics of n clean scans, in the detectors' order.
        resolutions: float64, (m,), smallest spread of each.
    """

    names: tuple[str, ...]
    clean: NDArray[np.float64]
    resolutions: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        clean: Mapping[str, Sequence[float]],
        resolutions: Mapping[str, float],
        alpha: float,
    ) -> Self:
        """From the statistics of clean scans, which stand in the same order for each detector.

        Args:
            clean: by detector.
            resolutions: by detector, positive.
            alpha: share of clean scans that may be held.

        Raises:
            NotCalibratedError: no detector, not as many scans for one as for another, or too few
                for any scan to be held at alpha.
        """
        counts = {len(some) for some in clean.values()}
        if len(counts) != 1:
            raise NotCalibratedError(
                f"detectors calibrated on {sorted(counts)} scans; wanted the same scans for each"
            )
        count, wanted = counts.pop(), int(np.ceil(1 / alpha - 1e-9)) - 1
        if count < wanted:
            raise NotCalibratedError(
                f"{count} clean scans for the perturbation detectors; wanted at least {wanted} to "
                f"hold {alpha:g} of them"
            )
        return cls(
            tuple(clean),
            np.stack([np.asarray(some, np.float64) for some in clean.values()], axis=1),
            np.array([resolutions[name] for name in clean], np.float64),
        )

    def __call__(self, results: Sequence[DetectorResult]) -> Perturbation:
        """p-value of each detector, adjusted for the others (Westfall and Young 1993,
        Resampling-Based Multiple Testing, single-step maxT): the share of scans of which any
        detector deviates as far. The smallest is that of all together.

        Raises:
            ValueError: not one finite statistic of each detector.
        """
        found = {result.name: result.statistic for result in results}
        if len(found) != len(results) or set(found) != set(self.names):
            raise ValueError(f"statistics of {sorted(found)}; wanted {sorted(self.names)}")
        deviations = self.deviations(np.array([found[name] for name in self.names]))
        worst, own = deviations.max(axis=1), deviations[-1]
        order = np.argsort(-own, kind="stable")
        return Perturbation(
            p_values={self.names[at]: float((worst >= own[at]).mean()) for at in order}
        )

    def deviations(self, statistics: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each clean scan and, last, of the new one, float64, (n + 1, m).

        Args:
            statistics: float64, (m,), of the new scan.

        Raises:
            ValueError: one is not finite, and would pass.
        """
        centre, spread = self.scale(statistics)
        every = np.vstack([self.clean, statistics])
        return np.asarray((every - centre) / spread, np.float64)

    def scale(
        self, statistics: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre and spread of each detector's statistic, (m,), the new scan among the clean ones.

        Raises:
            ValueError: a statistic is not finite.
        """
        if not np.isfinite(statistics).all():
            raise ValueError("a detector's statistic is not finite")
        every = np.vstack([self.clean, statistics])
        centre = np.median(every, axis=0)
        spread = self.resolutions.copy()
        for quantile, normal in QUANTILES:
            spread = np.maximum(spread, (np.quantile(every, quantile, axis=0) - centre) / normal)
        return centre, spread

    def limit(self, statistics: NDArray[np.float64], alpha: float) -> float:
        """Deviation above which the new scan would be held at alpha, its scale as it is.

        Raises:
            ValueError: a statistic is not finite.
        """
        worst = self.deviations(statistics)[:-1].max(axis=1)
        rank = int(np.floor(alpha * (len(worst) + 1) + 1e-9))
        return float(np.sort(worst)[-rank])
