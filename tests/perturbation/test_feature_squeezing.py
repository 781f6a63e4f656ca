from dataclasses import dataclass

import numpy as np
import pytest

from mri_guard.defences import Median
from mri_guard.perturbation.detectors import FeatureSqueezing
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True)
class _MeanScorer:
    """Scores by the mean of the image, so that the known answer can be computed by hand."""

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        image = preprocessed.image
        return Anomaly(image.copy(), image.copy(), np.zeros(image.shape[2]), float(image.mean()))


def _preprocessed(image: np.ndarray) -> Preprocessed:
    inside = np.ones(image.shape, dtype=bool)
    return Preprocessed(image, inside, inside.copy(), np.eye(4), 0.0, 1.0)


def test_statistic_is_the_log_ratio_of_the_scores() -> None:
    image = np.full((8, 8, 1), 1.0, dtype=np.float32)
    image[4, 4, 0] = 65.0  # mean 2; the median filter takes the spike away: mean 1
    detector = FeatureSqueezing(calibration=(0.0, 0.1, 1.0), squeezers=(Median(),))
    result = detector(_preprocessed(image), _MeanScorer()(_preprocessed(image)), _MeanScorer())
    assert result.statistic == pytest.approx(np.log(2))
    assert result.p_value == 2 / 4


def test_is_silent_when_squeezing_changes_nothing() -> None:
    image = np.full((8, 8, 2), 0.5, dtype=np.float32)
    detector = FeatureSqueezing(calibration=(0.0, 0.1))
    result = detector(_preprocessed(image), _MeanScorer()(_preprocessed(image)), _MeanScorer())
    assert result.statistic == 0.0
    assert result.p_value == 1.0
