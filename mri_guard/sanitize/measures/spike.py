"""Whether one sample of k-space stands out: stripes over the whole image.

A head's spectrum falls off smoothly, and neighbouring samples of it have about the same energy; a
spike has that of a plane wave (Graves and Mitchell 2013, JMRI 38(2), 269-287, "Zipper and spike").
Magnitude images keep it, with its mirror image.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from mri_guard.sanitize.look import Look

MIDDLE = 0.04
"""Cycles a pixel below which the spectrum is too steep to be compared with its neighbours."""


@dataclass(frozen=True, slots=True)
class Spike:
    """ln of the largest ratio of a sample's energy to the mean of those around it, over slices."""

    name: str = "spike"
    reason: str = "quality-spike"
    resolution: float = 0.1

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        spectrum = fft.rfft2(look.planes, axes=(1, 2))
        energy = np.square(spectrum.real) + np.square(spectrum.imag)
        wide = ndimage.uniform_filter(energy, (0, 9, 9), mode="wrap")
        near = ndimage.uniform_filter(energy, (0, 3, 3), mode="wrap")
        around = (81 * wide - 9 * near) / 72
        rows, columns = look.planes.shape[1:]
        off = np.hypot(fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)[None]) > MIDDLE
        ratio = energy / np.maximum(around, 1e-6 * np.abs(around).mean(axis=(1, 2), keepdims=True))
        return float(np.log(np.maximum(ratio[:, off].max(), 1.0)))
