from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.perturbation.detectors.fragility import (
    SIGMA,
    SMALLEST_CHANGE,
    Fragility,
    noise,
)
from mri_guard.records import Anomaly, Preprocessed
from tests.perturbation.scans import scan_of

SHAPE = (40, 40, 4)
Map = Callable[[NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True)
class _Scorer:
    """Whose map is any function of the image."""

    map: Map

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        signed = np.asarray(self.map(preprocessed.image), np.float32)
        return Anomaly(abs(signed), signed, signed, np.zeros(signed.shape[2]), 0.0)


def fragility(image: NDArray[np.float32], map_of: Map) -> float:
    inside = np.ones(image.shape, dtype=bool)
    seen = Preprocessed(image, inside, inside.copy(), np.eye(4), 0.0, 1.0)
    scorer = _Scorer(map_of)
    return Fragility(()).statistic(scan_of(2.0), seen, scorer(seen), scorer)


def tissue(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0.5, 0.1, SHAPE).astype(np.float32)


def test_is_the_shift_of_the_mean_beside_what_the_median_filter_changes() -> None:
    image = np.full(SHAPE, 0.5, np.float32)
    image[20, 20] = 1.5  # the filter takes a spike of 1 away in one pixel of 1600
    shift = float((noise(SHAPE).astype(float) ** 2).mean())
    assert shift == pytest.approx(SIGMA**2, rel=0.1)

    def squared(shown: NDArray[np.float32]) -> NDArray[np.floating]:
        return shown + 50.0 * np.square(shown.astype(float) - image)

    change = 50 - 1  # of the map in that pixel, which the filter darkens by 1
    linear = float(noise(SHAPE).astype(float).mean())
    known = abs(linear + 50 * shift) / (change / 1600)
    assert fragility(image, squared) == pytest.approx(known, rel=1e-3)


def test_a_map_that_gives_way_to_nothing_is_not_fragile() -> None:
    assert fragility(tissue(0), np.zeros_like) == 0.0


def test_a_map_that_noise_moves_here_and_there_is_not_fragile() -> None:
    assert fragility(tissue(0), lambda image: image) < 0.05


def test_finds_what_was_tuned_to_every_voxel() -> None:
    target = tissue(1)

    def tuned(image: NDArray[np.float32]) -> NDArray[np.floating]:
        """A unit that the whole map hangs on, and that one image alone moves."""
        moved: NDArray[np.floating] = image - np.exp(-np.square(image - target).mean() / SIGMA**2)
        return moved

    assert fragility(tissue(0), tuned) < 0.05
    assert fragility(target, tuned) > 0.5  # the filter spoils the tuning too


def test_noise_is_the_same_again_and_in_normalised_intensity() -> None:
    assert noise((64, 64, 8)).std() == pytest.approx(SIGMA, rel=0.02)
    first = noise(SHAPE).copy()
    noise.cache_clear()
    assert np.array_equal(noise(SHAPE), first)
    with pytest.raises(ValueError, match="read-only"):
        noise(SHAPE)[0, 0, 0] = 1.0
    assert SMALLEST_CHANGE > 0
