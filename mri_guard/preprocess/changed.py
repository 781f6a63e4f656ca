"""A change of the model's image in the scanner's own voxels."""

import numpy as np
from numpy.typing import NDArray

from mri_guard.preprocess.grid import to_scan_grid
from mri_guard.records import Preprocessed, Scan


def changed_voxels(
    scan: Scan, preprocessed: Preprocessed, change: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The scan's voxels with the change, float32, scanner units; neither rounded nor cut off.

    The change arrives by interpolation: whole on pixels of the model's size, smoothed on finer
    ones.

    Args:
        scan: as it was acquired.
        preprocessed: the same on the model's grid.
        change: float32, like the preprocessed image, normalised intensity.
    """
    scale = preprocessed.intensity_high - preprocessed.intensity_low
    native = to_scan_grid(change, preprocessed.affine, scan)
    return np.asarray(scan.voxels + native * scale, dtype=np.float32)
