"""What every perturbation detector owes."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors import (
    DETECTORS,
    FeatureSqueezing,
    Fragility,
    HighFrequency,
    Learnt,
)
from mri_guard.records import Anomaly, Preprocessed, Scan
from mri_guard.training.perturbation import with_signs
from tests.perturbation.scans import noisy

MADE: dict[type[ConformalDetector], ConformalDetector] = {
    HighFrequency: HighFrequency(()),
    Learnt: Learnt((), (8.0, 1.0, 0.0, -2.0)),
    FeatureSqueezing: FeatureSqueezing(()),
    Fragility: Fragility(()),
}
EVERY = pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.name)


def image_is_map(preprocessed: Preprocessed) -> Anomaly:
    """Stands for a scorer that hides nothing of the image."""
    image = preprocessed.image
    return Anomaly(image, image, image, np.zeros(image.shape[2]), 0.0)


def _statistic(detector: ConformalDetector, scan: Scan, seen: Preprocessed) -> float:
    return detector.statistic(scan, seen, image_is_map(seen), image_is_map)


OF_THE_IMAGE = [kind for kind in DETECTORS if kind is not Fragility]
"""Those that look at the image; the other looks at what a model makes of it."""


@pytest.mark.parametrize("kind", OF_THE_IMAGE, ids=lambda kind: kind.name)
def test_rises_with_random_signs_in_the_head(kind: type[ConformalDetector]) -> None:
    detector = MADE[kind]
    scan, seen = noisy(np.random.default_rng(1))
    risen = [
        _statistic(detector, scan, with_signs(seen, epsilon, np.random.default_rng(2)))
        for epsilon in (0.0, 0.02, 0.04, 0.08)
    ]
    assert np.all(np.diff(risen) > 0)


@EVERY
def test_says_the_same_twice_and_edits_nothing(kind: type[ConformalDetector]) -> None:
    scan, seen = noisy(np.random.default_rng(3))
    detector = MADE[kind]
    kept = seen.image.copy()
    assert _statistic(detector, scan, seen) == _statistic(detector, scan, seen)
    assert np.array_equal(seen.image, kept)


@EVERY
def test_p_values_of_clean_scans_are_uniform(kind: type[ConformalDetector]) -> None:
    rng = np.random.default_rng(4)
    detector = MADE[kind]
    draws = [noisy(rng) for _ in range(30)]
    found = np.array([_statistic(detector, *one) for one in draws])
    p_values = []
    for at in range(len(draws)):
        clean = tuple(np.delete(found, at))
        calibrated = dataclasses.replace(detector, calibration=clean)  # type: ignore[type-var]
        result = (
            calibrated(*draws[at], image_is_map(draws[at][1]), image_is_map) if at < 3 else None
        )
        alone = (1 + np.sum(np.array(clean) >= found[at])) / len(draws)
        if result is not None:
            assert result.p_value == pytest.approx(alone)
            assert result.name == kind.name
        p_values.append(alone)
    assert stats.kstest(p_values, "uniform").statistic < 0.1


@EVERY
def test_gives_a_number_for_a_flat_brain(kind: type[ConformalDetector]) -> None:
    scan, seen = noisy(np.random.default_rng(5))
    flat = dataclasses.replace(seen, image=np.full_like(seen.image, 0.5))
    assert np.isfinite(_statistic(MADE[kind], scan, flat))


@EVERY
def test_tells_its_name_and_resolution(kind: type[ConformalDetector]) -> None:
    assert kind.name == kind.__module__.rsplit(".", 1)[-1]
    assert kind.resolution > 0
