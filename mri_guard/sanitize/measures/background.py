"""How much energy lies in the air, whatever brought it there.

MRIQC's `fber` (Shehzad et al. 2015, Frontiers in Neuroscience, The Preprocessed Connectomes
Project Quality Assessment Protocol): mean energy of the head over mean energy of the air.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Background:
    """ln(1 / FBER) of means over about 4 mm; None without air, or where it is all 0."""

    name: str = "background"
    reason: str = "quality-background"
    resolution: float = 0.2

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        air = look.small[look.air]
        if air.size < 100 or not air.any():
            return None
        head = np.mean(np.square(look.small[look.head]))
        return float(np.log(np.mean(np.square(air)) / head))
