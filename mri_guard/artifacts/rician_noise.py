"""Noise of a magnitude image: the real and the imaginary channel each have their own.

Gudbjartsson and Patz 1995 (Magnetic Resonance in Medicine 34(6), 910-914, equations 1 to 4): where
there is no signal its mean is sigma sqrt(pi / 2) and its variance (2 - pi / 2) sigma^2; where the
signal is strong it is as good as Gaussian.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RicianNoise:
    """Adds white noise to both channels and takes the magnitude.

    Attributes:
        sigma: standard deviation in each channel, in the image's unit: signal / sigma is the SNR.
        seed: of the noise.
    """

    sigma: float
    seed: int
    name: str = "rician_noise"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """At strength 1 a sigma of 0.15 normalised intensity, an SNR of about 5 in white matter."""
        return cls(0.15 * strength, int(rng.integers(2**32)))

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, of any shape."""
        rng = np.random.default_rng(self.seed)
        real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32)
        sigma = np.float32(self.sigma)
        return np.asarray(np.hypot(image + sigma * real, sigma * imaginary), dtype=np.float32)
