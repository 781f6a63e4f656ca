"""How much of the head is at the highest value: the receiver or a window cut off the rest."""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Clipping:
    """Share of the head's pixels in whole slices that have the highest value in them."""

    name: str = "clipping"
    reason: str = "quality-clipping"
    resolution: float = 0.002

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        inside = look.planes[look.plane_head]
        if not inside.size:
            return None
        return float(np.count_nonzero(inside == inside.max()) / inside.size)
