"""Whether the air is streaked along one axis, as a head that moved or pulsated leaves it.

What changes between the lines of k-space is smeared along phase encoding and not along the other
axis (Wood and Henkelman 1985, Medical Physics 12(2), 143-151), while noise has no direction.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Motion:
    """|ln of the air's energy of differences along one axis over that along the other|.

    Over whole slices; None where there is too little air, or where it is masked.
    """

    name: str = "motion"
    reason: str = "quality-motion"
    resolution: float = 0.2

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        if look.measured_air() is None:
            return None
        energies = []
        for axis in (1, 2):
            inside = np.moveaxis(look.plane_air, axis, 0)
            steps = np.diff(np.moveaxis(look.planes, axis, 0), axis=0)[inside[1:] & inside[:-1]]
            energies.append(float(np.mean(np.square(steps, dtype=np.float64))))
        if min(energies) <= 0:
            return None
        return float(abs(np.log(energies[0] / energies[1])))
