"""Which tissue is bright: the contrast as the image shows it, whatever the header says.

In a T1-weighted brain white matter is much brighter than cortex and fluid is dark: intensities
spread widely below white matter's, and the rim of the brain is darker than its depth. In a FLAIR
both tissues are nearly alike: most of the brain lies about one intensity. What is neither head nor
image has one intensity, or none.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mri_guard.sanitize.look import Look

OUTER_MM = (12.0, 22.0)
"""From the skin inwards: where cortex is, with what lies between and beside it."""

DEEPER_MM = (18.0, 22.0)
DEEP_MM = 28.0
BRAIN_MM = 16.0
SPREADS = (0.14, 0.10, 0.08, 0.045)
"""Of the four features over honest FLAIR: what makes them comparable before they are averaged."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Mean of four features, each in its spread: how much the upper brain looks like T1.

    -ln of the outer over the deep intensity (upper quartiles, and medians of a deeper shell), minus
    the share of the brain within a sixth of its commonest intensity, plus ln of that intensity over
    the deep median.
    """

    name: str = "tissue"
    reason: str = "contrast-implausible"
    resolution: float = 0.3
    two_sided: bool = True

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        depth = _depth_mm(look)
        shown = np.flatnonzero((depth > DEEP_MM + 12).any(axis=(0, 1)))
        if shown.size < 3:
            return None
        upper = slice(shown[0] + shown.size // 2, shown[-1] + 1)
        depth, values = depth[..., upper], look.small[..., upper]
        deep = values[depth > DEEP_MM]
        outer = values[(depth > OUTER_MM[0]) & (depth <= OUTER_MM[1])]
        deeper = values[(depth > DEEPER_MM[0]) & (depth <= DEEPER_MM[1])]
        middle = float(np.median(deep))
        if not middle > 0 or not outer.size or not deeper.size:
            return None
        brain = np.log(np.clip(values[depth > BRAIN_MM] / middle, 0.05, 2.7))
        counts = np.histogram(brain, 60, (-2, 1))[0].astype(np.float64)
        counts = ndimage.gaussian_filter1d(counts, 1.5) / brain.size
        peak = int(np.argmax(counts))
        features = (
            -_log(float(np.quantile(outer, 0.75)) / float(np.quantile(deep, 0.75))),
            -_log(float(np.median(deeper)) / middle),
            -float(counts[max(peak - 3, 0) : peak + 4].sum()),
            -2 + 0.05 * (peak + 0.5),
        )
        return float(np.mean([value / spread for value, spread in zip(features, SPREADS)]))


def _depth_mm(look: Look) -> np.ndarray:
    """Distance to the edge of the head in the slice, mm."""
    padded = np.pad(look.head, ((1, 1), (1, 1), (0, 0)))
    planes = [
        ndimage.distance_transform_edt(padded[..., k], sampling=look.small_mm[:2])
        for k in range(padded.shape[2])
    ]
    return np.stack(planes, axis=2)[1:-1, 1:-1]


def _log(ratio: float) -> float:
    return float(np.log(max(ratio, 0.05)))
