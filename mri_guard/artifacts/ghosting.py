"""Copies of the head along phase encoding, from what pulsates or breathes while it is acquired.

A modulation of the signal with a period of p lines of k-space puts ghosts at 1/p of the field of
view to either side (Wood and Henkelman 1985, Medical Physics 12(2), 143-151).
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ghosting:
    """Multiplies line n of k-space with 1 + depth cos(2 pi shift n + phase).

    Attributes:
        depth: of the modulation: each ghost is half of it as bright as the head; at half a field of
            view both fall into one, depth |cos(phase)| as bright.
        shift: of the ghosts, share of the field of view, up to 0.5, which modulates every other
            line.
        phase_rad: of the modulation at the middle of k-space.
        axis: of phase encoding.
    """

    depth: float
    shift: float
    phase_rad: float
    axis: Literal[0, 1] = 1
    name: str = "ghosting"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """Ghosts up to a quarter as bright as the head at strength 1, periods of 2 to 20 lines."""
        period, phase = rng.uniform(2, 20), rng.uniform(0, 2 * np.pi)
        return cls(0.5 * strength, float(1 / period), float(phase), 0 if rng.random() < 0.5 else 1)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, (x, y) or (x, y, z)."""
        count = image.shape[self.axis]
        line = np.fft.fftfreq(count, 1 / count)
        modulation = 1 + self.depth * np.cos(2 * np.pi * self.shift * line + self.phase_rad)
        lines = np.expand_dims(modulation, [a for a in range(image.ndim) if a != self.axis])
        spectrum = np.fft.fft(image, axis=self.axis) * lines.astype(np.float32)
        return np.abs(np.fft.ifft(spectrum, axis=self.axis)).astype(np.float32)
