"""The costlier look: a median-smoothed score with bounds, against a threshold of its own."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from mri_guard.calibration.threshold import exact_threshold
from mri_guard.defences import bounds, ranks, smoothed
from mri_guard.defences.smoothing import CONFIDENCE
from mri_guard.determinism import generator
from mri_guard.ports import Scorer
from mri_guard.records import Finite, Preprocessed, Record, SecondLook


class SecondLookConfig(Record):
    """How the costlier look is taken.

    Attributes:
        epsilon: of the alarm attack on the healthy calibration scans, largest change of a voxel in
            normalised intensity: scores that it reaches are looked at again.
        steps: of that attack.
        sigma: standard deviation of the noise, normalised intensity.
        draws: of the noise; each costs one screening.
        radius: L2 norm over the stack up to which an unusual scan must stay so.
    """

    epsilon: float = Field(default=4 / 255, gt=0, le=1)
    steps: int = Field(default=10, ge=1)
    sigma: float = Field(default=0.25, gt=0, le=1)
    draws: int = Field(default=100, ge=1)
    radius: float = Field(default=0.25, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounds_exist(self) -> Self:
        if ranks(self.draws, self.radius / self.sigma)[0] == 0:
            raise ValueError(
                f"{self.draws} draws under noise of {self.sigma:g} bound no score up to an L2 norm "
                f"of {self.radius:g} at {CONFIDENCE:g} confidence; wanted more draws, more noise "
                "or a smaller norm"
            )
        return self


class SecondLookScores(Record):
    """What the second look is calibrated on; stands in `calibration.json`.

    Attributes:
        config: that the scores were made with.
        attacked: scores of the healthy calibration scans under the alarm attack, by group.
        smoothed: medians of their scores under noise, not attacked, by group.
    """

    config: SecondLookConfig
    attacked: dict[str, tuple[Finite, ...]]
    smoothed: dict[str, tuple[Finite, ...]]


def _secret_seed() -> int:
    return secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class SmoothedLook:
    """Scores under noise that nobody could know before; satisfies `ports.SecondLooker`.

    Attributes:
        scorer: whose scores are smoothed; an `Ensemble` where there are several.
        config: see there.
        threshold: medians above it are unusual.
        seed: of the noise of each look. An attacker who knew the draws could fit a change to them,
            and the bounds hold over draws alone.
    """

    scorer: Scorer
    config: SecondLookConfig
    threshold: float
    seed: Callable[[], int] = _secret_seed

    @classmethod
    def fit(
        cls,
        scorer: Scorer,
        config: SecondLookConfig,
        smoothed_scores: Mapping[str, Sequence[float]],
        alpha: float,
        delta: float,
    ) -> "SmoothedLook":
        """With the exact threshold of all groups' medians.

        Args:
            scorer: see the class.
            config: that the medians were made with.
            smoothed_scores: medians of healthy calibration scans, by group.
            alpha: false-positive rate to hold, as for the first look.
            delta: probability of not holding it.

        Raises:
            NotCalibratedError: too few medians.
        """
        pooled = [score for scores in smoothed_scores.values() for score in scores]
        return cls(scorer, config, exact_threshold(pooled, alpha, delta))

    def __call__(self, preprocessed: Preprocessed) -> SecondLook:
        """Median and bounds of the scan's score.

        Raises:
            ValueError: a score under noise is not finite.
            SeriesError: `no-brain-found`.
        """
        seed, config = self.seed(), self.config
        rng = generator(seed, "second look")
        drawn = smoothed(self.scorer, preprocessed, config.sigma, config.draws, rng).scan
        low, high = bounds(drawn, config.radius / config.sigma)
        return SecondLook(
            score=float(np.median(drawn)),
            low=float(low),
            high=float(high),
            radius=config.radius,
            sigma=config.sigma,
            draws=config.draws,
            confidence=CONFIDENCE,
            seed=seed,
            threshold=self.threshold,
            confirmed=bool(low > self.threshold),
        )
