"""How far the image's energy is spread out: ghosts, blur and noise spread it.

Atkinson et al. 1997 (IEEE TMI 16(6), 903-910), MRIQC's `efc`: the entropy of the
pixels over that of an image with all of them alike.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class Entropy:
    """Entropy focus criterion, 0 (all energy in one pixel) to 1 (spread evenly); mean over slices.

    The pixels are means over about 4 mm: noise averages out, and what is left is structure.
    """

    name: str = "entropy"
    reason: str = "quality-entropy"
    resolution: float = 0.01

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        shown = look.head.any(axis=(0, 1))
        image = np.maximum(look.small[..., shown], 0).reshape(-1, int(shown.sum()))
        energy = np.sqrt(np.square(image, dtype=np.float64).sum(axis=0))
        if not energy.size or not energy.min() > 0:
            return None
        share = image / energy
        entropy = -(share * np.log(share + 1e-16)).sum(axis=0)
        pixels = len(image)
        return float(np.mean(entropy) / (np.sqrt(pixels) * np.log(np.sqrt(pixels))))
