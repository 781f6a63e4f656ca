"""Ringing beside sharp edges, where k-space was left off too early.

Lines that were not acquired are zero; the truncated Fourier series overshoots an edge by 8.95 % of
its height however many terms it has (Gottlieb and Shu 1997, SIAM Review 39(4), 644-668, section 2).
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Gibbs:
    """Leaves off the outer lines of k-space.

    Attributes:
        kept: share of the lines that were acquired, about the middle of k-space, up to 1; the rest
            is filled with zeros, so that the matrix keeps its size.
        axis: of phase encoding.
    """

    kept: float
    axis: Literal[0, 1] = 1
    name: str = "gibbs"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """All lines at strength 0, 40 % of them at strength 1."""
        return cls(1 - 0.6 * strength, 0 if rng.random() < 0.5 else 1)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, (x, y) or (x, y, z)."""
        count = image.shape[self.axis]
        spectrum = np.fft.fft(image, axis=self.axis)
        lost = np.abs(np.fft.fftfreq(count)) > self.kept / 2
        spectrum[(slice(None),) * self.axis + (lost,)] = 0
        return np.abs(np.fft.ifft(spectrum, axis=self.axis)).astype(np.float32)
