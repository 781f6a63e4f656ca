"""A head that moved while the lines of k-space were acquired.

Every line shows the head where it lay then (Shaw et al. 2019, PMLR 102:427-436, section 2): a shift
is a phase ramp over k-space, a turn of the head a turn of k-space. In interleaved acquisitions the
same line of all slices is acquired within one repetition, so that all slices of a stack share the
moves. Moves stay in the plane; what leaves the slice is not modelled.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LARGEST_MM = 5.0
LARGEST_DEG = 5.0


class Move(NamedTuple):
    """Where the head lay during a part of the acquisition.

    Attributes:
        start: beginning of it, as a share of the acquisition.
        end: end of it.
        x_mm: shift along x.
        y_mm: along y.
        turn_deg: turn about the middle of the image, from x towards y.
    """

    start: float
    end: float
    x_mm: float
    y_mm: float
    turn_deg: float


@dataclass(frozen=True, slots=True)
class Motion:
    """Takes the lines acquired during each move from the image of the moved head.

    Attributes:
        moves: one after the other; in between the head lies as in the image.
        axis: of phase encoding; lines are acquired from one end of k-space to the other.
        pixel_mm: sides of the pixels.
    """

    moves: tuple[Move, ...]
    axis: Literal[0, 1] = 1
    pixel_mm: float = 2.0
    name: str = "motion"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float, pixel_mm: float = 2.0) -> Self:
        """One to three sudden moves, at strength 1 of up to 5 mm along each axis and 5 degrees.

        The head lies at rest while the middle of k-space is acquired, which says where it is seen:
        masks of the image still fit.
        """
        jumps = rng.uniform(0, 1, int(rng.integers(1, 4)))
        edges = [0.0, *sorted(jumps.tolist()), 1.0]
        limits = strength * np.array([LARGEST_MM, LARGEST_MM, LARGEST_DEG])
        moves = [
            Move(start, end, *rng.uniform(-limits, limits).tolist())
            for start, end in pairwise(edges)
            if not start <= 0.5 < end
        ]
        return cls(tuple(moves), 0 if rng.random() < 0.5 else 1, pixel_mm)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, (x, y) or (x, y, z)."""
        count = image.shape[self.axis]
        acquired = np.fft.fftshift(np.arange(count))
        spectrum = np.fft.fft2(image, axes=(0, 1))
        for move in self.moves:
            lines = acquired[round(move.start * count) : round(move.end * count)]
            where = (lines,) if self.axis == 0 else (slice(None), lines)
            spectrum[where] = self._moved(image, move)[where]
        return np.abs(np.fft.ifft2(spectrum, axes=(0, 1))).astype(np.float32)

    def _moved(self, image: NDArray[np.float32], move: Move) -> NDArray[np.complexfloating]:
        """k-space of the moved head."""
        if move.turn_deg:
            image = ndimage.rotate(image, move.turn_deg, axes=(1, 0), reshape=False, order=1)
        spectrum = np.fft.fft2(image, axes=(0, 1))
        for axis, shift_mm in enumerate((move.x_mm, move.y_mm)):
            cycles = np.fft.fftfreq(image.shape[axis]) * shift_mm / self.pixel_mm
            ramp = np.exp(-2j * np.pi * cycles).astype(np.complex64)
            spectrum *= np.expand_dims(ramp, [a for a in range(image.ndim) if a != axis])
        return spectrum
