"""Where dim ends and bright begins; what looks for a head shares it, with torch and without."""

import numpy as np
from numpy.typing import NDArray


def otsu(values: NDArray[np.float32], bins: int = 256) -> float:
    """Threshold with the largest variance between the two classes (Otsu 1979, IEEE SMC-9, 62).

    Args:
        values: any shape, at least two of them different.
        bins: of the histogram.
    """
    counts, edges = np.histogram(values, bins)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above * (mean_above - mean_below) ** 2)])
