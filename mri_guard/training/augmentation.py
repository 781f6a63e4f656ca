"""How scanners differ without anything being wrong: applied to input and target alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.training.synthetic_lesions import Window, smooth_noise


@dataclass(frozen=True, slots=True)
class Appearance:
    """Spreads of the draws; 0 everywhere leaves a window as it is.

    Attributes:
        gamma: standard deviation of the logarithm of the exponent.
        gain: standard deviation of the logarithm of the gain.
        offset: standard deviation of what is added, normalised intensity.
        bias: largest spread of the logarithm of the bias field.
        noise: largest standard deviation of white noise, normalised intensity.
    """

    gamma: float = 0.15
    gain: float = 0.06
    offset: float = 0.03
    bias: float = 0.08
    noise: float = 0.03

    def __call__(
        self, window: Window, brain: NDArray[np.bool_], rng: np.random.Generator
    ) -> Window:
        """The window in another look, float32, (s, x, y); 0 outside the brain."""
        curved = np.sign(window) * np.abs(window) ** np.exp(rng.normal(0, self.gamma))
        field = smooth_noise(window.shape, 40.0, 3.0, rng) * rng.uniform(0, self.bias)
        scaled = curved * np.exp(field + rng.normal(0, self.gain)) + rng.normal(0, self.offset)
        noise = rng.standard_normal(window.shape, dtype=np.float32) * rng.uniform(0, self.noise)
        return np.asarray((scaled + noise) * brain, dtype=np.float32)
