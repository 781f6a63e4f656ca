"""Does the image's finest structure look as if something white had been added to it?

Fisher's linear discriminant (Fisher 1936, Annals of Eugenics 7(2), 179-188) of four logarithms of
the image's spectrum (`spectrum.py`) between clean scans and the same scans with random signs of
4/255 in the head. Four numbers are learnt, and no attack is needed to learn them: nothing in them
knows one attack's habits. `training/perturbation.py` learns them from the split `validation`, which
calibrates nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import BundleError
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.spectrum import KINDS, excess
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed, Scan

RIDGE = 1e-5
"""Added to the variances, squared logarithms: far below what scans differ by."""


@dataclass(frozen=True, slots=True)
class Learnt(ConformalDetector):
    """Place along the discriminant, in standard deviations of clean scans.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
        direction: of the discriminant, a weight for each of `spectrum.KINDS`.
    """

    name: ClassVar[str] = "learnt"
    resolution: ClassVar[float] = 0.1
    calibration: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.float32]], calibration: Sequence[float]
    ) -> Self:
        """From the bundle's `detectors.learnt.*` tensors, without that prefix.

        Raises:
            BundleError: a key, a shape or a value does not fit.
        """
        direction = arrays.get("direction")
        if set(arrays) != {"direction"} or direction is None or direction.shape != (len(KINDS),):
            raise BundleError(f"detectors.learnt: wanted `direction` alone, ({len(KINDS)},)")
        if not np.isfinite(direction).all():
            raise BundleError("detectors.learnt.direction is not finite")
        return cls(tuple(calibration), tuple(float(weight) for weight in direction))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What `from_arrays` takes."""
        return {"direction": np.array(self.direction, np.float32)}

    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """Standard deviations of clean scans; where 0 lies is of no meaning."""
        return float(np.dot(self.direction, excess(scan, preprocessed)))


def discriminant(clean: NDArray[np.float64], changed: NDArray[np.float64]) -> NDArray[np.float32]:
    """Direction, float32, (m,), along which clean scans have a standard deviation of 1.

    Args:
        clean: float64, (n, m), of clean scans, more than m of them.
        changed: like clean, of the same scans changed.
    """
    spread = np.cov(clean.T) + RIDGE * np.eye(clean.shape[1])
    direction = np.linalg.solve(spread, (changed - clean).mean(axis=0))
    return np.asarray(direction / np.sqrt(direction @ spread @ direction), np.float32)
