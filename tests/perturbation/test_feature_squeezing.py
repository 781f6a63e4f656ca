from dataclasses import dataclass, replace

import numpy as np
import pytest

from mri_guard.defences import Median
from mri_guard.perturbation.detectors import FeatureSqueezing
from mri_guard.records import Anomaly, Preprocessed
from tests.perturbation.scans import scan_of

SCAN = scan_of(2.0)


@dataclass(frozen=True)
class _MeanScorer:
    """Takes the image for the map, so that the known answer can be computed by hand."""

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        image = preprocessed.image
        return Anomaly(image, image, image, np.zeros(image.shape[2]), float(image.mean()))


def _preprocessed(image: np.ndarray) -> Preprocessed:
    inside = np.ones(image.shape, dtype=bool)
    return Preprocessed(image, inside, inside.copy(), np.eye(4), 0.0, 1.0)


def test_statistic_is_the_mean_change_of_the_map() -> None:
    image = np.full((8, 8, 1), 1.0, dtype=np.float32)
    image[4, 4, 0] = 65.0  # the median filter takes the spike away: 64 in one of 64 pixels
    detector = FeatureSqueezing(calibration=(0.0, 0.1, 1.5), squeezers=(Median(),))
    seen = _preprocessed(image)
    result = detector(SCAN, seen, _MeanScorer()(seen), _MeanScorer())
    assert result.statistic == pytest.approx(1.0)
    assert result.p_value == 2 / 4


def test_is_silent_when_squeezing_changes_nothing() -> None:
    image = np.full((8, 8, 2), 0.5, dtype=np.float32)
    detector = FeatureSqueezing(calibration=(0.0, 0.1))
    seen = _preprocessed(image)
    result = detector(SCAN, seen, _MeanScorer()(seen), _MeanScorer())
    assert result.statistic == 0.0
    assert result.p_value == 1.0


def test_looks_at_the_brain_alone() -> None:
    image = np.full((8, 8, 1), 1.0, dtype=np.float32)
    image[4, 4, 0] = 65.0
    whole = _preprocessed(image)
    elsewhere = whole.brain.copy()
    elsewhere[4, 4, 0] = False
    detector = FeatureSqueezing(calibration=(0.0, 0.1))
    beside = replace(whole, brain=elsewhere)
    assert detector(SCAN, beside, _MeanScorer()(beside), _MeanScorer()).statistic == 0.0
