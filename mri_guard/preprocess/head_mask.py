"""Where the head is: everything from the skin inwards."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.otsu import otsu
from mri_guard.preprocess.brain_mask import largest_piece


def head_mask(volume: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Head, bool, (x, y, z): the largest bright piece, filled slice by slice; may be empty.

    Args:
        volume: float32, (x, y, z), pixels of about 2 mm, scanner units.
    """
    smooth = ndimage.gaussian_filter(volume, (1, 1, 0))
    top = float(np.percentile(smooth, 99))
    if not top > float(smooth.min()):
        return np.zeros(volume.shape, np.bool_)
    # Half of Otsu's threshold: that one splits dim from bright tissue as soon as fat is bright.
    bright = smooth > otsu(np.minimum(smooth, top)) / 2
    plane = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
    piece = largest_piece(ndimage.binary_opening(bright, plane, iterations=2))
    closed = ndimage.binary_closing(np.pad(piece, ((4, 4), (4, 4), (0, 0))), plane, iterations=4)
    closed = closed[4:-4, 4:-4]
    filled = np.stack(
        [ndimage.binary_fill_holes(closed[..., k]) for k in range(closed.shape[2])], axis=2
    )
    return filled | piece
