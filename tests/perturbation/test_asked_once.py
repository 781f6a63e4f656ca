from dataclasses import dataclass, field

import numpy as np

from mri_guard.determinism import generator
from mri_guard.perturbation.asked_once import detections
from mri_guard.perturbation.detectors import FeatureSqueezing, Fragility
from mri_guard.records import Anomaly, Preprocessed
from tests.perturbation.scans import scan_of

SHAPE = (40, 40, 4)


@dataclass(frozen=True)
class _Counted:
    """A scorer whose map is the image, and that keeps what it was asked."""

    asked: list[bytes] = field(default_factory=list)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        self.asked.append(preprocessed.image.tobytes())
        signed = 3 * preprocessed.image
        return Anomaly(abs(signed), signed, signed, np.zeros(signed.shape[2]), 0.0)


def test_detectors_find_together_what_they_find_alone_in_fewer_passes() -> None:
    image = generator(0, "asked once").normal(0.5, 0.1, SHAPE).astype(np.float32)
    inside = np.ones(SHAPE, dtype=bool)
    seen = Preprocessed(image, inside, inside.copy(), np.eye(4), 0.0, 1.0)
    detectors = FeatureSqueezing((0.1, 0.2)), Fragility((0.1, 0.2))
    apart, together = _Counted(), _Counted()
    scan, anomaly = scan_of(2.0), _Counted()(seen)
    alone = [detect(scan, seen, anomaly, apart) for detect in detectors]
    found = detections(detectors, scan, seen, anomaly, together)
    assert [(one.name, one.statistic) for one in found] == [
        (one.name, one.statistic) for one in alone
    ]
    assert len(apart.asked) == 3  # both look at the median-filtered image
    assert sorted(together.asked) == sorted(set(apart.asked))
