"""How much of the air is brighter than its noise, in patches: ghosts, wrap, motion, zippers.

Mortamet et al. 2009 (Magnetic Resonance in Medicine 62(2), 365-372), MRIQC's `qi_1`: the share of
air voxels that stay after those of the noise are taken away and the rest is opened.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class AirStructure:
    """ln of the share of air that lies `share` of the head's signal above the rest, in 3 x 3.

    Mortamet's threshold is the mode of the air's histogram; here it is its median and a share of
    the signal, which does not call coarsely quantised air bright. A little is added, so that clean
    air has a logarithm.
    """

    share: float = 0.03
    name: str = "air_structure"
    reason: str = "quality-ghosting"
    resolution: float = 0.2

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        count = np.count_nonzero(look.air)
        if count < 100:
            return None
        floor = float(np.median(look.small[look.air]))
        bright = look.air & (look.small > floor + self.share * look.signal)
        patch = np.ones((3, 3, 1), dtype=np.bool_)
        kept = np.count_nonzero(ndimage.binary_opening(bright, patch))
        return float(np.log((kept + 0.003 * count) / count))
