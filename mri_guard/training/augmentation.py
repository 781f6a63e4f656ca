"""How scanners differ without anything being wrong: applied to input and target alike.

The model is to keep, not to undo, what a scanner does, and to find in it nothing unusual.
"""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.artifacts import Ghosting, Gibbs, Motion, Spike
from mri_guard.ports import Artifact
from mri_guard.records import Record
from mri_guard.training.synthetic_lesions import Window, smooth_noise

ARTIFACTS: tuple[type[Artifact], ...] = (Motion, Ghosting, Gibbs, Spike)
"""Those of k-space, drawn alike; bias and noise have draws of their own here."""


class Appearance(Record):
    """Spreads of the draws; 0 everywhere leaves a window as it is.

    Attributes:
        gamma: standard deviation of the logarithm of the exponent.
        gain: standard deviation of the logarithm of the gain.
        offset: standard deviation of what is added, normalised intensity.
        bias: largest spread of the logarithm of the bias field.
        noise: largest standard deviation of white noise, normalised intensity.
        coarser: share by which the sides of pixels are longer than the grid's, at most, along x and
            y apart; slices are thick already.
        coarser_share: share of windows that were acquired in such pixels.
        artifact_strength: largest, of one of `ARTIFACTS`; see `mri_guard.artifacts`.
        artifact_share: share of windows that have one.
    """

    gamma: float = Field(default=0.15, ge=0)
    gain: float = Field(default=0.06, ge=0)
    offset: float = Field(default=0.03, ge=0)
    bias: float = Field(default=0.08, ge=0)
    noise: float = Field(default=0.03, ge=0)
    coarser: float = Field(default=0.5, ge=0)
    coarser_share: float = Field(default=0.3, ge=0, le=1)
    artifact_strength: float = Field(default=0.3, ge=0, le=1)
    artifact_share: float = Field(default=0.2, ge=0, le=1)

    def __call__(
        self, window: Window, brain: NDArray[np.bool_], rng: np.random.Generator
    ) -> Window:
        """The window in another look, float32, (s, x, y); 0 outside the brain."""
        curved = np.sign(window) * np.abs(window) ** math.exp(rng.normal(0, self.gamma))
        if rng.random() < self.coarser_share:
            curved = coarser(curved, brain, 1 + rng.uniform(0, self.coarser, 2))
        if rng.random() < self.artifact_share:
            kind = ARTIFACTS[int(rng.integers(len(ARTIFACTS)))]
            curved = acquired(curved, kind.draw(rng, rng.uniform(0, self.artifact_strength)))
        field = smooth_noise(window.shape, 40.0, 3.0, rng) * rng.uniform(0, self.bias)
        scaled = curved * np.exp(field + rng.normal(0, self.gain)) + rng.normal(0, self.offset)
        noise = rng.standard_normal(window.shape, dtype=np.float32) * rng.uniform(0, self.noise)
        return np.asarray((scaled + noise) * brain, dtype=np.float32)


def coarser(window: Window, brain: NDArray[np.bool_], sides: NDArray[np.float64]) -> Window:
    """The window as if acquired in larger pixels and brought to the grid, float32, (s, x, y).

    Each pixel becomes a mean of brain alone: what lies beside the brain is not known here.

    Args:
        window: float32, (s, x, y).
        brain: bool, (s, x, y).
        sides: of the larger pixels along x and y, pixels of the grid, at least 1.
    """
    along_x, along_y = (
        _there_and_back(n, side) for n, side in zip(window.shape[1:], sides, strict=True)
    )
    inside = brain.astype(np.float32)
    sums, shares = (along_x @ part @ along_y.T for part in (window * inside, inside))
    return np.where(brain, sums / np.maximum(shares, 1e-3), 0).astype(np.float32)


def _there_and_back(count: int, side: float) -> NDArray[np.float32]:
    """Weights from pixels to larger ones and linearly back, float32, (count, count); rows sum to 1.

    A larger pixel sees a triangle two of its sides wide, as in `preprocess.grid.resample`.
    """
    larger = math.ceil((count - 1) / side) + 1
    middles = (count - 1) / 2 + side * (np.arange(larger) - (larger - 1) / 2)
    triangle = np.clip(1 - np.abs(middles[:, None] - np.arange(count)) / side, 0, None)
    there = triangle / triangle.sum(axis=1, keepdims=True)
    back = triangle.T / triangle.sum(axis=0)[:, None]
    return np.asarray(back @ there, dtype=np.float32)


def acquired(window: Window, artifact: Artifact) -> Window:
    """The window with what an artifact adds to its signal, float32, (s, x, y).

    Artifacts want magnitudes; what lies a little below 0, the brain's darkest percent, keeps its
    distance from it.
    """
    signal = np.ascontiguousarray(np.moveaxis(np.maximum(window, 0), 0, 2))
    return window + np.moveaxis(artifact(signal) - signal, 2, 0)
