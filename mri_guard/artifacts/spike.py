"""Herringbone: stripes over the whole image from one sample of k-space that a spark hit.

One sample is one plane wave (Graves and Mitchell 2013, JMRI 38(2), 269-287, "Zipper and spike").
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spike:
    """Adds to one sample of each slice's k-space.

    Attributes:
        height: of the spike, as a share of the sample in the middle of that slice's k-space, which
            is the largest: the stripes' amplitude, as a share of the slice's mean.
        x_cycles: of the stripes along x, cycles a pixel, -0.5..0.5; to the nearest sample.
        y_cycles: along y.
        phase_rad: of the spike.
    """

    height: float
    x_cycles: float
    y_cycles: float
    phase_rad: float
    name: str = "spike"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """Stripes of any direction, at strength 1 half as high as the slice's mean."""
        x_cycles, y_cycles = rng.uniform(-0.5, 0.5, 2)
        return cls(0.5 * strength, float(x_cycles), float(y_cycles), rng.uniform(0, 2 * np.pi))

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, (x, y) or (x, y, z)."""
        sides = image.shape[:2]
        cycles = [
            round(frequency * n) / n * np.arange(n)
            for frequency, n in zip((self.x_cycles, self.y_cycles), sides, strict=True)
        ]
        turns = np.add.outer(*cycles) + self.phase_rad / (2 * np.pi)
        wave = np.exp(2j * np.pi * turns).astype(np.complex64)
        mean = image.mean(axis=(0, 1), keepdims=True)
        stripes = self.height * mean * wave.reshape(*sides, *[1] * (image.ndim - 2))
        return np.asarray(np.abs(image + stripes), dtype=np.float32)
