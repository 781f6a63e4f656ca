"""Whether letters or lines are burned in: bright strokes in the air, or the same in all slices.

Text is as bright as the brightest tissue and a few pixels wide, so that an opening takes it away
(the white top-hat: Serra 1982, Image Analysis and Mathematical Morphology); where it
was drawn into every slice alike, nothing in a head is as constant. Strokes over the head in some
slices alone are not looked for: vessels and fat look like them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.sanitize.look import Look

WIDEST = 7
"""Pixels; wider strokes stay."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """ln(1 + pixels of strokes): the most in the air of a slice, or of what all slices share.

    Attributes:
        share: of the head's 99th percentile, above which a stroke is.
        same: of it, within which a pixel is the same in all slices.
    """

    share: float = 0.5
    same: float = 0.05
    name: str = "strokes"
    reason: str = "burned-in-text"
    resolution: float = 0.5

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        bright = self.share * look.top
        constant = look.highest - look.lowest < self.same * look.top
        shared = np.count_nonzero(constant & (look.lowest > bright))
        in_air = [
            np.count_nonzero((_hat(plane) > bright) & air) if (plane[air] > bright).any() else 0
            for plane, air in zip(look.planes, look.plane_air, strict=True)
        ]
        return float(np.log1p(max(shared, *in_air)))


def _hat(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(image - ndimage.grey_opening(image, (WIDEST, WIDEST)), dtype=np.float32)
