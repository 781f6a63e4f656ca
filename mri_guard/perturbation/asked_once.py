"""All detectors on one scan; what two of them ask of the scorer is scored once."""

import hashlib
from collections.abc import Sequence

from mri_guard.ports import Detector, Scorer
from mri_guard.records import Anomaly, DetectorResult, Preprocessed, Scan


class AskedOnce:
    """A scorer that remembers what it was asked of one scan; satisfies `ports.Scorer`.

    Args:
        scorer: that is asked.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._answers: dict[bytes, Anomaly] = {}

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """As the scorer's; images are told apart by their voxels alone.

        Raises:
            SeriesError: as the scorer's.
        """
        key = hashlib.blake2b(preprocessed.image.tobytes()).digest()
        if key not in self._answers:
            self._answers[key] = self._scorer(preprocessed)
        return self._answers[key]


def detections(
    detectors: Sequence[Detector],
    scan: Scan,
    preprocessed: Preprocessed,
    anomaly: Anomaly,
    scorer: Scorer,
) -> tuple[DetectorResult, ...]:
    """What each detector finds, in their order.

    Args:
        detectors: from the bundle.
        scan: as it was decoded.
        preprocessed: the same on the model's grid.
        anomaly: of it.
        scorer: from the bundle.

    Raises:
        SeriesError: as the scorer's.
    """
    asked = AskedOnce(scorer)
    return tuple(detect(scan, preprocessed, anomaly, asked) for detect in detectors)
