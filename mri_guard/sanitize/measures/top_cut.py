"""Whether the crown of the head is missing from the stack."""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class TopCut:
    """Area of the head in the uppermost slice, as a share of its largest; 0 where it ends below."""

    name: str = "top_cut"
    reason: str = "coverage-top"
    resolution: float = 0.05

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        areas = np.count_nonzero(look.head, axis=(0, 1))
        return float(areas[-1] / areas.max()) if areas.any() else None
