"""Does a little noise move the whole map one way?

An attack that moves the score does so through a change that is tuned to the network's answer to
every voxel. Noise spoils the tuning, and the map goes back to where it was: everywhere in the same
direction, since most of the score hangs on units that the whole map shares. The map of a clean scan
goes up here and down there. So what is looked at is the mean of the signed map's change, beside the
mean magnitude of its change under a median filter, which tells how much the map of this scan gives
way to anything. Moving by noise what noise did not make is the idea of Hu et al. 2019 (NeurIPS,
arXiv:1910.07629, section 4) and Roth et al. 2019 (ICML, arXiv:1902.04818); both were passed by
attackers who knew them (Tramer et al. 2020, arXiv:2002.08347), and this one will be.

The noise is the same for every scan of a shape, so that a scan can be examined again.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mri_guard.defences import Median
from mri_guard.determinism import generator
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed, Scan

SIGMA = 0.03
"""Spread of the noise, normalised intensity: as much as scanners have."""

FILTER = Median()
"""Whose change of the map is the measure of the noise's."""

SMALLEST_CHANGE = 1e-3
"""Of a map in spreads: one that gives way to nothing tells nothing."""


@dataclass(frozen=True, slots=True)
class Fragility(ConformalDetector):
    """How far noise moves the map's mean, beside how far a median filter moves the map.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
    """

    name: ClassVar[str] = "fragility"
    resolution: ClassVar[float] = 0.02
    calibration: tuple[float, ...]

    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """A ratio of changes of the signed map in the brain; 0 where noise moves no mean."""

        def change(image: NDArray[np.float32]) -> NDArray[np.float64]:
            other = scorer(replace(preprocessed, image=image)).signed - anomaly.signed
            return np.asarray(other[preprocessed.brain], np.float64)

        image = preprocessed.image
        moved, given_way = change(image + noise(image.shape)), change(FILTER(image))
        return float(np.abs(moved.mean()) / max(np.abs(given_way).mean(), SMALLEST_CHANGE))


@lru_cache(maxsize=2)
def noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """White noise of `SIGMA`, float32, of that shape, the same each time; not to be written to."""
    drawn = SIGMA * generator(0, "fragility").standard_normal(shape, dtype=np.float32)
    drawn.setflags(write=False)
    return drawn
