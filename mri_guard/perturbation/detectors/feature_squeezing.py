"""Does the anomaly map survive a harmless squeeze of the image?

Feature squeezing (Xu et al. 2018, arXiv:1704.01155): an adversarial perturbation is tuned to the
exact pixels, so that a filter which a clean image hardly notices moves what the model makes of a
perturbed one. We look at the whole map where they look at the class: an attack that has moved the
score half-way and its filtered version may meet at the same score. An attacker who knows the
squeezers gets past them (He et al. 2017, arXiv:1706.04701): this detector is for those who do not,
and takes no credit against those who do.
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
    """Largest mean change of the anomaly map under any squeezer.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
        squeezers: transformations a clean image hardly notices.
    """

    name: ClassVar[str] = "feature_squeezing"
    calibration: tuple[float, ...]
    squeezers: tuple[BitDepth | Median, ...] = (Median(),)

    def statistic(self, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer) -> float:
        """max over squeezers of the signed map's mean absolute change in the brain, its unit."""
        changes = (
            scorer(replace(preprocessed, image=squeeze(preprocessed.image))).signed - anomaly.signed
            for squeeze in self.squeezers
        )
        return float(np.max([np.abs(change[preprocessed.brain]).mean() for change in changes]))

    def __call__(
        self, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> DetectorResult:
        """Statistic and conformal p-value."""
        start = time.perf_counter()
        statistic = self.statistic(preprocessed, anomaly, scorer)
        return DetectorResult(
            name=self.name,
            statistic=statistic,
            p_value=p_value(statistic, self.calibration),
            milliseconds=(time.perf_counter() - start) * 1000,
        )
