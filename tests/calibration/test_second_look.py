from dataclasses import dataclass

import numpy as np
import pytest
from pydantic import ValidationError

from mri_guard.calibration import exact_threshold
from mri_guard.calibration.second_look import SecondLookConfig, SmoothedLook
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError
from mri_guard.records import Anomaly, Preprocessed
from tests.toys import toy_brain

TOY = toy_brain(generator(0, "second look"), slices=2, side=10)
CONFIG = SecondLookConfig(sigma=0.25, draws=200, radius=0.25)
WEIGHT = 1 / np.sqrt(TOY.image.size)


@dataclass(frozen=True)
class _Mean:
    """A score that a change of norm r moves by at most r, and noise of sigma spreads by sigma."""

    level: float = 0.0

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        zeros = np.zeros_like(preprocessed.image)
        change = (preprocessed.image.astype(np.float64) - TOY.image).sum() * WEIGHT
        return Anomaly(zeros, zeros, zeros, np.zeros(2), self.level + float(change))


def _look(level: float, threshold: float = 0.0) -> SmoothedLook:
    return SmoothedLook(_Mean(level), CONFIG, threshold, seed=lambda: 5)


def test_confirms_what_no_change_within_the_radius_explains() -> None:
    # The bounds lie at most a rank's noise beyond level - radius and level + radius.
    found = _look(level=1.0, threshold=0.6)(TOY)
    assert found.low < 0.75
    assert found.high > 1.25
    assert found.low == pytest.approx(0.75, abs=0.15)
    assert found.high == pytest.approx(1.25, abs=0.15)
    assert found.score == pytest.approx(1.0, abs=0.06)
    assert found.confirmed


@pytest.mark.parametrize("level", [0.2, 0.0, -1.0])
def test_does_not_confirm_what_a_change_within_the_radius_explains(level: float) -> None:
    assert not _look(level)(TOY).confirmed


def test_an_attacked_scan_of_a_usual_one_is_not_confirmed() -> None:
    # A usual scan at the threshold, moved the worst way by the whole radius, again and again.
    for seed in range(30):
        look = SmoothedLook(_Mean(CONFIG.radius), CONFIG, 0.0, seed=lambda: seed)  # noqa: B023
        assert not look(TOY).confirmed


def test_can_be_made_again_from_its_seed_alone() -> None:
    secret = SmoothedLook(_Mean(), CONFIG, 0.0)
    found = secret(TOY)
    again = SmoothedLook(_Mean(), CONFIG, 0.0, seed=lambda: found.seed)
    assert again(TOY) == found


def test_draws_its_noise_in_secret() -> None:
    look = SmoothedLook(_Mean(), CONFIG, 0.0)
    assert look(TOY).seed != look(TOY).seed


def test_threshold_is_the_exact_one_of_all_groups_together() -> None:
    medians = {"a": tuple(float(i) for i in range(40)), "b": tuple(float(-i) for i in range(40))}
    fitted = SmoothedLook.fit(_Mean(), CONFIG, medians, 0.05, 0.05)
    assert fitted.threshold == exact_threshold([*medians["a"], *medians["b"]], 0.05, 0.05)


def test_asks_for_enough_healthy_scans() -> None:
    with pytest.raises(NotCalibratedError, match="58 healthy scores"):
        SmoothedLook.fit(_Mean(), CONFIG, {"a": (0.0,) * 58}, 0.05, 0.05)


@pytest.mark.parametrize(("draws", "radius"), [(43, 0.25), (9, 0.0), (300, 0.5)])
def test_refuses_draws_that_bound_nothing(draws: int, radius: float) -> None:
    with pytest.raises(ValidationError, match="wanted more draws"):
        SecondLookConfig(sigma=0.25, draws=draws, radius=radius)


@pytest.mark.parametrize(("draws", "radius"), [(45, 0.25), (11, 0.0), (310, 0.49)])
def test_takes_draws_that_do(draws: int, radius: float) -> None:
    assert SecondLookConfig(sigma=0.25, draws=draws, radius=radius).draws == draws
