"""Which tissue is bright: the contrast as the image shows it, whatever the header says.

In a T1-weighted brain white matter is much brighter than cortex, and fluid is dark; in a FLAIR both
tissues are nearly alike. The intensities from the skin to the depth of the head, and their
distribution over the upper brain, say which. The direction that tells them apart is the bundle's:
Fisher's linear discriminant (Annals of Eugenics 1936, 7(2), 179-188) of its clean scans from heads
of another contrast.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.sanitize.look import Look

SHELLS_MM = ((0, 8), (8, 12), (12, 18), (16, 20), (18, 22), (20, 26), (26, 32))
"""From the skin inwards: scalp, skull, cortex, white matter."""

BRAIN_MM = 16.0
DEEP_MM = 28.0
DEEPEST_MM = 40.0
QUANTILES = (0.05, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.97)
RIDGE = 0.3
FEATURES = len(SHELLS_MM) + len(QUANTILES) + 3


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """The features of `tissue_features` along the bundle's direction towards another contrast."""

    direction: NDArray[np.float32]
    name: str = "tissue"
    reason: str = "contrast-implausible"
    resolution: float = 0.05

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        features = tissue_features(look)
        return None if features is None else float(features @ self.direction)


def tissue_features(look: Look) -> NDArray[np.float32] | None:
    """float32, (18,), of the upper half of the brain; None where there is too little of it.

    ln of each shell's median over that of the depth, quantiles of ln intensity over the brain, the
    share of the brain near its commonest intensity, ln of that, and the scalp's brightness.
    """
    depth = _depth_mm(look)
    shown = np.flatnonzero((depth > DEEPEST_MM).any(axis=(0, 1)))
    if shown.size < 3:
        return None
    upper = slice(shown[0] + shown.size // 2, shown[-1] + 1)
    depth, values = depth[..., upper], look.small[..., upper]
    middle = float(np.median(values[depth > DEEP_MM]))
    shells = [values[(depth > low) & (depth <= high)] for low, high in SHELLS_MM]
    if not middle > 0 or min(shell.size for shell in shells) == 0:
        return None
    medians = [float(np.median(shell)) for shell in shells]
    brain = np.log(np.clip(values[depth > BRAIN_MM] / middle, 0.05, 2.7))
    counts = np.histogram(brain, 60, (-2, 1))[0].astype(np.float64)
    counts = ndimage.gaussian_filter1d(counts, 1.5) / brain.size
    peak = int(np.argmax(counts))
    return np.array(
        [
            *np.log(np.maximum(np.divide(medians, middle), 0.05)),
            *np.quantile(brain, QUANTILES),
            counts[max(peak - 3, 0) : peak + 4].sum(),
            -2 + 0.05 * (peak + 0.5),
            np.quantile(shells[0], 0.9) / middle,
        ],
        dtype=np.float32,
    )


def direction(
    clean: NDArray[np.float32], weights: NDArray[np.float64], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32, (18,): the discriminant, with a ridge of `RIDGE` of each feature's variance.

    Args:
        clean: (m, 18), of the bundle's contrast.
        weights: (m,), of each; their sum is 1.
        others: (k, 18), of another contrast.
    """
    mean = weights @ clean
    away = clean - mean
    within = ((weights[:, None] * away).T @ away + np.cov(others.T)) / 2
    within += RIDGE * np.diag(np.diag(within)) + 1e-9 * np.eye(len(mean))
    found = np.linalg.solve(within, others.mean(axis=0) - mean)
    return np.asarray(found / np.linalg.norm(found), dtype=np.float32)


def _depth_mm(look: Look) -> NDArray[np.float64]:
    """Distance to the edge of the head in the slice, mm."""
    padded = np.pad(look.head, ((1, 1), (1, 1), (0, 0)))
    planes = [
        ndimage.distance_transform_edt(padded[..., k], sampling=look.small_mm[:2])
        for k in range(padded.shape[2])
    ]
    return np.asarray(np.stack(planes, axis=2)[1:-1, 1:-1])
