"""Has the image grey values enough to be one?"""

from dataclasses import dataclass

import numpy as np

from mri_guard.records import Rejection, Scan

_SAMPLE = 200_000


@dataclass(frozen=True, slots=True)
class DynamicRange:
    """Refuses masks, label maps and clipped images (`dynamic-range`).

    At least `min_levels` distinct values, and at most `max_at_top` of the voxels that are not at
    the lowest value may be at the highest, in an even sample of the volume.
    """

    min_levels: int = 32
    max_at_top: float = 0.2
    name: str = "dynamic_range"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        flat = scan.voxels.ravel(order="K")
        values, counts = np.unique(flat[:: max(1, flat.size // _SAMPLE)], return_counts=True)
        if len(values) < self.min_levels:
            return Rejection(
                "dynamic-range", f"{len(values)} grey values; {self.min_levels} wanted"
            )
        at_top = counts[-1] / counts[1:].sum()
        if at_top > self.max_at_top:
            return Rejection("dynamic-range", f"{at_top:.0%} of the image is at its highest value")
        return None
