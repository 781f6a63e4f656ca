"""Is there more in the corners of k-space than this scanner's noise would have there?

A change that is tuned voxel by voxel on the model's grid is nearly white; a clean image reached
that grid by interpolation, which leaves little in the corners (`spectrum.py`). Seen on 77 clean
scans of two kinds and 13 attacks by PGD: `docs/decisions/0011-perturbation-detectors.md`. Who knows
this keeps to smooth changes; and a change made in the scanner's own voxels is interpolated too.
"""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.spectrum import excess
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed, Scan


@dataclass(frozen=True, slots=True)
class HighFrequency(ConformalDetector):
    """Corners against edges of the brain's k-space, less what white noise would have: a logarithm.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
    """

    name: ClassVar[str] = "high_frequency"
    resolution: ClassVar[float] = 0.02
    calibration: tuple[float, ...]

    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """Logarithm of a ratio of magnitudes."""
        return float(excess(scan, preprocessed)[0])
