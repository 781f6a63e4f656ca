"""The model's intensity: the brain's 1st percentile is 0, its 99th is 1."""

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import SeriesError


def brain_range(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> tuple[float, float]:
    """Scanner values that become 0 and 1: the brain's 1st and 99th percentile.

    Args:
        image: float32, (x, y, z), scanner units.
        brain: bool, (x, y, z), not empty.

    Raises:
        SeriesError: the brain has one value throughout, or values that are no numbers.
    """
    low, high = (float(value) for value in np.percentile(image[brain], (1, 99)))
    if not high > low:
        raise SeriesError(
            "brain-without-contrast",
            f"1st and 99th percentile of the brain are {low:g} and {high:g}, a rise wanted",
        )
    return low, high


def normalise(
    image: NDArray[np.float32], head: NDArray[np.bool_], low: float, high: float
) -> NDArray[np.float32]:
    """Image with `low` at 0 and `high` at 1, float32, not clipped; 0 outside the head."""
    scaled = (image - np.float32(low)) / np.float32(high - low)
    return np.where(head, scaled, np.float32(0)).astype(np.float32)
