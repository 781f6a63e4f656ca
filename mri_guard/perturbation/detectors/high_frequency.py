"""Does the spectrum rise towards the corners of k-space where a scan's cannot?

What an attack adds on the model's grid is tuned voxel by voxel: nearly white. A clean image is
tissue, whose spectrum falls as a power of the frequency, and noise of the scanner's own pixels,
whose share in each band is known (`spectrum.py`). Three bands are compared whose frequencies lie
apart by equal ratios: the scanner's noise gives 0 at any level, and a power law less, so that a
clean scan that is merely noisy does not stand out. Something white beneath a falling spectrum bends
it upwards.

Where the pixels are of the model's size the scanner's own noise is white too, and nothing can tell
the one from the other: there the statistic stays at 0 and catches little. What it catches and
misses: `docs/decisions/0011-perturbation-detectors.md`. Who knows it keeps to smooth changes; and a
change made in the scanner's own voxels is interpolated too.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.spectrum import excess
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed, Scan

WEIGHTS = (1.0, 0.0, 1.0, 0.0)
"""Of `spectrum.KINDS`: corner and middle against twice the edge, whose frequency lies halfway
between theirs by ratio."""


@dataclass(frozen=True, slots=True)
class HighFrequency(ConformalDetector):
    """Bend of the logarithmic spectrum over the logarithm of the frequency, a logarithm of ratios.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
    """

    name: ClassVar[str] = "high_frequency"
    resolution: ClassVar[float] = 0.02
    calibration: tuple[float, ...]

    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """0 for noise of the scanner's pixels; rises where the spectrum bends upwards."""
        return float(np.dot(WEIGHTS, excess(scan, preprocessed)))
