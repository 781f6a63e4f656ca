"""Points of the ROC of slices and of precision against recall of pixels, with pointwise bands."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mri_guard.metrics.bootstrap import summary
from mri_guard.metrics.by_patient import Counts, Pixels, Slices, Values

FALSE_POSITIVE_RATES = np.linspace(0, 1, 21)
RECALLS = np.linspace(0.05, 1, 20)


def curves(pixels: Pixels, slices: Slices, counts: Counts) -> list[dict[str, Any]]:
    """Rows `curve` (`roc` or `precision_recall`), `x`, `y`, `low` and `high`; 95 % over patients.

    Args:
        pixels: of each patient.
        slices: of the same patients.
        counts: of the bootstrap, int64, (draws, patients).
    """
    roc = [
        _point("roc", x, partial(slices.sensitivity_at, specificity=1 - x), counts)
        for x in FALSE_POSITIVE_RATES
    ]
    precision = [
        _point("precision_recall", x, partial(pixels.precision_at, recall=x), counts)
        for x in RECALLS
    ]
    return [point for point in roc + precision if point]


def _point(
    curve: str, x: float, figure: Callable[[Counts], Values], counts: Counts
) -> dict[str, Any]:
    """One row; empty where the figure does not exist on this sample."""
    value = float(figure(np.ones((1, counts.shape[1]), dtype=np.int64))[0])
    if not np.isfinite(value):
        return {}
    found = summary(value, figure(counts))
    return {
        "curve": curve,
        "x": round(float(x), 4),
        "y": round(found.value, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
    }
