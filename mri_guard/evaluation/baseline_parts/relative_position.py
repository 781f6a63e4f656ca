"""How high in the brain a slice lies."""

import numpy as np
from numpy.typing import NDArray


def relative_position(brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Place of each slice between the brain's first (0) and last (1), (z,); NaN beyond them.

    Args:
        brain: bool, (x, y, z), with at least one voxel.
    """
    found = np.flatnonzero(brain.any(axis=(0, 1)))
    index = np.arange(brain.shape[2], dtype=np.float64)
    position = (index - found[0]) / max(1, found[-1] - found[0])
    return np.where((index < found[0]) | (index > found[-1]), np.nan, position)
