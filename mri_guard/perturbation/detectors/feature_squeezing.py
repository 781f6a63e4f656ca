"""Does the score survive a harmless squeeze of the image?

Feature squeezing (Xu et al. 2018, arXiv:1704.01155): an adversarial perturbation is tuned to the
exact pixels, so that a filter which a clean image hardly notices moves the score of a perturbed
one. An attacker who knows the squeezers gets past them (He et al. 2017, arXiv:1706.04701): this
detector is for those who do not, and takes no credit against those who do.
"""

import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mri_guard.defences import BitDepth, Median
from mri_guard.metrics.conformal import p_value
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, DetectorResult, Preprocessed


@dataclass(frozen=True, slots=True)
class FeatureSqueezing:
    """Largest change of the score's logarithm under any squeezer.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
        squeezers: transformations a clean image hardly notices.
    """

    name: ClassVar[str] = "feature_squeezing"
    calibration: tuple[float, ...]
    squeezers: tuple[BitDepth | Median, ...] = (Median(),)

    def statistic(self, preprocessed: Preprocessed, score: float, scorer: Scorer) -> float:
        """max over squeezers of |log score - log score of the squeezed image|, in nepers."""
        floor = 1e-3
        squeezed = (
            scorer(replace(preprocessed, image=squeeze(preprocessed.image))).score
            for squeeze in self.squeezers
        )
        log_score = np.log(max(score, floor))
        return float(max(abs(log_score - np.log(max(other, floor))) for other in squeezed))

    def __call__(
        self, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> DetectorResult:
        """Statistic and conformal p-value."""
        start = time.perf_counter()
        statistic = self.statistic(preprocessed, anomaly.score, scorer)
        return DetectorResult(
            name=self.name,
            statistic=statistic,
            p_value=p_value(statistic, self.calibration),
            milliseconds=(time.perf_counter() - start) * 1000,
        )
