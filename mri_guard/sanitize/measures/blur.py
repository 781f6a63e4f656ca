"""How wide a point becomes.

Full width at half maximum of the smoothness, Forman et al. 1995 (Magnetic Resonance in Medicine
33(5), 636-647), as AFNI's 3dFWHMx and MRIQC's `fwhm` take it, along each axis of whole
slices inside the head. Anatomy is smooth too: the figure is for comparing scans, not a resolution.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Blur:
    """ln of the full width at half maximum, mm, along the more blurred axis."""

    name: str = "blur"
    reason: str = "quality-blur"
    resolution: float = 0.03

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        inside = look.planes[look.plane_head]
        if inside.size < 100 or not inside.any():
            return None
        variance = float(inside.var(dtype=np.float64))
        widths = []
        for axis, mm in ((1, look.planes_mm[0]), (2, look.planes_mm[1])):
            both = np.moveaxis(look.plane_head, axis, 0)
            steps = np.diff(np.moveaxis(look.planes, axis, 0), axis=0)[both[1:] & both[:-1]]
            share = float(np.mean(np.square(steps, dtype=np.float64))) / (2 * variance)
            widths.append(mm * np.sqrt(-2 * np.log(2) / np.log1p(-np.clip(share, 1e-6, 0.999))))
        return float(np.log(max(widths)))
