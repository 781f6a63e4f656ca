"""How strong the noise is, by the head itself: what the air does not show where it is masked.

Immerkaer 1996 (Computer Vision and Image Understanding 64(2), 300-302): the difference
of two Laplacians is blind to constants, slopes and most edges; white noise comes out 6 sigma
strong. The median in place of the mean leaves out the edges that are left.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look

NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True)
class Grain:
    """ln of the noise's standard deviation over the head's median signal.

    None where pixels are coarser than `coarsest_mm`: there anatomy itself varies from one to the
    next.
    """

    coarsest_mm: float = 1.5
    name: str = "grain"
    reason: str = "quality-noise"
    resolution: float = 0.1

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        if max(look.planes_mm) > self.coarsest_mm:
            return None
        second = look.planes[:, 2:] - 2 * look.planes[:, 1:-1] + look.planes[:, :-2]
        mask = second[:, :, 2:] - 2 * second[:, :, 1:-1] + second[:, :, :-2]
        inside = np.abs(mask[look.plane_head[:, 1:-1, 1:-1]])
        if not inside.size:
            return None
        sigma = float(np.median(inside)) / (6 * NORMAL_MEDIAN)
        return float(np.log(max(sigma / look.signal, 1e-4)))
