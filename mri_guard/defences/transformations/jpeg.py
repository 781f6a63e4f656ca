"""JPEG compression (Guo et al. 2018, arXiv:1711.00117, section 3; Dziugaite et al. 2016,
arXiv:1608.00853).
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Each slice becomes 8-bit and goes through JPEG, whose DCT coefficients are rounded.

    Attributes:
        quality: of libjpeg, 1 to 95.
        low: black, normalised intensity; what is below is cut off.
        high: white; what is above is cut off. With these ends 0 and 1 are grey levels themselves.
    """

    quality: int = 75
    low: float = -0.5
    high: float = 2.0
    name: str = "jpeg"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z), in steps of (high - low) / 255."""
        shares = (np.clip(image, self.low, self.high) - self.low) / (self.high - self.low)
        levels = np.round(shares * 255).astype(np.uint8)
        decoded = np.stack(
            [self._through(np.ascontiguousarray(levels[..., z])) for z in range(image.shape[2])],
            axis=2,
        )
        return np.asarray(self.low + decoded * ((self.high - self.low) / 255), dtype=np.float32)

    def _through(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        written = BytesIO()
        Image.fromarray(levels).save(written, format="JPEG", quality=self.quality)
        with Image.open(written) as read:
            return np.asarray(read)
