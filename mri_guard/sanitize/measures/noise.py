"""How strong the noise is, by the air around the head.

Dietrich et al. 2007 (JMRI 26(2), 375-385): in air a magnitude image is Rayleigh
distributed, so that its standard deviation is sqrt((4 - pi) / 2) of the noise in each channel.
MRIQC's `snrd` (Esteban et al. 2017, PLoS ONE 12(9), e0184661), here over the whole head. The spread
is taken from the 16th to the 84th percentile, so that ghosts and wrap in the air do not count.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look

LOW, HIGH = 0.16, 0.84
RAYLEIGH = np.sqrt(-2 * np.log(1 - HIGH)) - np.sqrt(-2 * np.log(1 - LOW))
"""From the one to the other percentile of a Rayleigh distribution, in sigma."""


@dataclass(frozen=True, slots=True)
class Noise:
    """ln(1 / SNRd); 0 is noise as strong as the head.

    None where there is too little air, or where most of it is exactly 0: masked, not measured.
    """

    name: str = "noise"
    reason: str = "quality-noise"
    resolution: float = 0.1

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        air = look.measured_air()
        if air is None:
            return None
        low, high = np.quantile(air, (LOW, HIGH))
        return float(np.log(max(float(high - low) / RAYLEIGH / look.signal, 1e-3)))
