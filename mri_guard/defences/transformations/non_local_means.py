"""Non-local means (Buades, Coll and Morel 2005, doi:10.1109/CVPR.2005.38; weights as in their 2011
doi:10.5201/ipol.2011.bcm_nlm, equation 4).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, slots=True)
class NonLocalMeans:
    """Each pixel becomes the mean of pixels near it, in its own slice, weighted by how much the
    patches around both are alike.

    Attributes:
        reach: how far a pixel looks along each axis, pixels.
        patch: side of a patch, pixels, odd.
        noise: standard deviation of the noise that patches may differ by, normalised intensity.
        strength: of the filter, in units of the noise.
    """

    reach: int = 3
    patch: int = 3
    noise: float = 0.02
    strength: float = 1.0
    name: str = "non_local_means"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z), filtered slice by slice; within the range of the image."""
        reach, (rows, columns) = self.reach, image.shape[:2]
        # In double precision the mean of equal values is that value.
        wide = np.pad(
            image.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), mode="edge"
        )
        here = wide[reach : reach + rows, reach : reach + columns]
        total, weights = np.zeros_like(here), np.zeros_like(here)
        allowed, width = 2 * self.noise**2, (self.strength * self.noise) ** 2
        for dx in range(2 * reach + 1):
            for dy in range(2 * reach + 1):
                there = wide[dx : dx + rows, dy : dy + columns]
                unlike = ndimage.uniform_filter(
                    (here - there) ** 2, (self.patch, self.patch, 1), mode="nearest"
                )
                weight = np.exp(-np.maximum(unlike - allowed, 0) / width)
                total += weight * there
                weights += weight
        return np.asarray(total / weights, dtype=np.float32)
