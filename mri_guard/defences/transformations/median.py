"""Median filter in plane (Xu et al. 2018, Feature Squeezing, arXiv:1704.01155, section III.B)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, slots=True)
class Median:
    """Each pixel becomes the median of its neighbourhood in its own slice.

    Attributes:
        size: side of the neighbourhood, pixels, odd.
    """

    size: int = 3
    name: str = "median"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z), filtered slice by slice."""
        filtered = ndimage.median_filter(image, size=(self.size, self.size, 1), mode="nearest")
        return np.asarray(filtered, dtype=np.float32)
