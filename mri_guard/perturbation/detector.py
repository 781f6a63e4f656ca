"""What every perturbation detector is: a statistic, and what clean scans have of it."""

import time
from abc import ABC, abstractmethod
from typing import ClassVar

from mri_guard.metrics.conformal import p_value
from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, DetectorResult, Preprocessed, Scan


class ConformalDetector(ABC):
    """Satisfies `ports.Detector`; a detector is a frozen dataclass of it, one a file.

    Attributes:
        name: equal to the file's.
        resolution: difference of the statistic that is not worth telling, in its unit.
        calibration: the statistic of clean scans, healthy and lesioned.
    """

    __slots__ = ()
    name: ClassVar[str]
    resolution: ClassVar[float]
    calibration: tuple[float, ...]

    @abstractmethod
    def statistic(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> float:
        """Rises with the suspicion."""

    def __call__(
        self, scan: Scan, preprocessed: Preprocessed, anomaly: Anomaly, scorer: Scorer
    ) -> DetectorResult:
        """Statistic and conformal p-value, of this detector alone."""
        start = time.perf_counter()
        statistic = self.statistic(scan, preprocessed, anomaly, scorer)
        return DetectorResult(
            name=self.name,
            statistic=statistic,
            p_value=p_value(statistic, self.calibration),
            milliseconds=(time.perf_counter() - start) * 1000,
        )
