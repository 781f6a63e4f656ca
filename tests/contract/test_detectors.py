"""What every perturbation detector owes."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors import DETECTORS, FeatureSqueezing, HighFrequency, Learnt
from mri_guard.records import Preprocessed, Scan
from mri_guard.training.perturbation import with_signs
from tests.perturbation.scans import noisy
from tests.toys import TINY, plain_fusion

MADE: dict[type[ConformalDetector], ConformalDetector] = {
    HighFrequency: HighFrequency(()),
    Learnt: Learnt((), (8.0, 1.0, 0.0, -2.0)),
    FeatureSqueezing: FeatureSqueezing(()),
}
EVERY = pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def scorer() -> VaeScorer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(TINY.model).state_dict()
    return VaeScorer.from_tensors(TINY, state, plain_fusion().tensors())


def _statistic(
    detector: ConformalDetector, scan: Scan, seen: Preprocessed, scorer: VaeScorer
) -> float:
    return detector.statistic(scan, seen, scorer(seen), scorer)


@EVERY
def test_rises_with_random_signs_in_the_head(
    kind: type[ConformalDetector], scorer: VaeScorer
) -> None:
    detector = MADE[kind]
    scan, seen = noisy(np.random.default_rng(1))
    risen = [
        _statistic(detector, scan, with_signs(seen, epsilon, np.random.default_rng(2)), scorer)
        for epsilon in (0.0, 0.02, 0.04, 0.08)
    ]
    assert np.all(np.diff(risen) > 0)


@EVERY
def test_says_the_same_twice_and_edits_nothing(
    kind: type[ConformalDetector], scorer: VaeScorer
) -> None:
    scan, seen = noisy(np.random.default_rng(3))
    detector = MADE[kind]
    kept = seen.image.copy()
    assert _statistic(detector, scan, seen, scorer) == _statistic(detector, scan, seen, scorer)
    assert np.array_equal(seen.image, kept)


@EVERY
def test_p_values_of_clean_scans_are_uniform(
    kind: type[ConformalDetector], scorer: VaeScorer
) -> None:
    rng = np.random.default_rng(4)
    detector = MADE[kind]
    draws = [noisy(rng) for _ in range(40)]
    found = np.array([_statistic(detector, *one, scorer) for one in draws])
    p_values = []
    for at in range(len(draws)):
        clean = tuple(np.delete(found, at))
        calibrated = dataclasses.replace(detector, calibration=clean)  # type: ignore[type-var]
        result = calibrated(*draws[at], scorer(draws[at][1]), scorer) if at < 3 else None
        alone = (1 + np.sum(np.array(clean) >= found[at])) / len(draws)
        if result is not None:
            assert result.p_value == pytest.approx(alone)
            assert result.name == kind.name
        p_values.append(alone)
    assert stats.kstest(p_values, "uniform").statistic < 0.1


@EVERY
def test_gives_a_number_for_a_flat_brain(kind: type[ConformalDetector], scorer: VaeScorer) -> None:
    scan, seen = noisy(np.random.default_rng(5))
    flat = dataclasses.replace(seen, image=np.full_like(seen.image, 0.5))
    assert np.isfinite(_statistic(MADE[kind], scan, flat, scorer))


@EVERY
def test_tells_its_name_and_resolution(kind: type[ConformalDetector]) -> None:
    assert kind.name == kind.__module__.rsplit(".", 1)[-1]
    assert kind.resolution > 0
