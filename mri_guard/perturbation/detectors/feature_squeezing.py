"""Does the anomaly map survive a harmless squeeze of the image?

Feature squeezing (Xu et al. 2018, arXiv:1704.01155): an adversarial perturbation is tuned to the
exact pixels, so that a filter which a clean image hardly notices moves what the model makes of a
perturbed one. We look at the whole map where they look at the class: an attack that has moved the
score half-way and its filtered version may meet at the same score. An attacker who knows the
squeezers gets past them (He et al. 2017, arXiv:1706.04701): this detector is for those who do not,
and takes no credit against those who do.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mri_guard.defences import BitDepth, Median
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed, Scan


@dataclass(frozen=True, slots=True)
class FeatureSqueezing(ConformalDetector):
    """Largest mean change of the anomaly map under any squeezer.

    Attributes:
        calibration: the statistic of clean scans, healthy and lesioned.
        squeezers: transformations a clean image hardly notices.
    """

    name: ClassVar[str] = "feature_squeezing"
    resolution: ClassVar[float] = 0.005
    calibration: tuple[float, ...]
    squeezers: tuple[BitDepth | Median, ...] = (Median(),)

    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """max over squeezers of the signed map's mean absolute change in the brain, its unit."""
        changes = (
            scorer(replace(preprocessed, image=squeeze(preprocessed.image))).signed - anomaly.signed
            for squeeze in self.squeezers
        )
        return float(np.max([np.abs(change[preprocessed.brain]).mean() for change in changes]))
