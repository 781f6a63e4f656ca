"""Does anything in the volume stand out as a head does?"""

from dataclasses import dataclass

import numpy as np

from mri_guard.records import Rejection, Scan
from mri_guard.sanitize.look import look


@dataclass(frozen=True, slots=True)
class HeadFound:
    """Refuses a volume whose largest bright piece is smaller than any head (`no-head`), or dark.

    Args:
        least_ml: of the piece; a newborn's brain has about 400.
    """

    least_ml: float = 400.0
    name: str = "head_found"

    def __call__(self, scan: Scan, /) -> Rejection | None:
        """Why the volume is refused, or None."""
        seen = look(scan)
        volume = np.count_nonzero(seen.head) * float(np.prod(seen.small_mm)) / 1000
        if volume < self.least_ml:
            return Rejection("no-head", f"{volume:.0f} ml stand out; {self.least_ml:.0f} wanted")
        if not seen.signal > 0:
            return Rejection("no-head", "what stands out has no signal")
        return None
