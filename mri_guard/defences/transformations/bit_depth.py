"""Fewer grey levels (Xu et al. 2018, Feature Squeezing, arXiv:1704.01155, section III.A)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BitDepth:
    """Rounds intensities to the grid of 2^bits - 1 steps in [0, 1], extended beyond it.

    Attributes:
        bits: bits that are left.
    """

    bits: int = 5
    name: str = "bit_depth"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z), rounded; idempotent."""
        steps = np.float32(2**self.bits - 1)
        return np.asarray(np.round(image * steps) / steps, dtype=np.float32)
