"""Whether the head is smaller than an adult's."""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class SmallHead:
    """-ln of the diameter, mm, of a disc as large as the head in its largest slices.

    The 90th percentile over slices with the head in them. A six-year-old's head is nearly as large
    as an adult's: size finds infants, and spacing that cannot be true.
    """

    name: str = "small_head"
    reason: str = "head-small"
    resolution: float = 0.02

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        diameter = diameter_mm(look)
        return None if diameter is None else float(-np.log(diameter))


def diameter_mm(look: Look) -> float | None:
    """Diameter of a disc as large as the head, mm; None without a head."""
    areas = np.count_nonzero(look.head, axis=(0, 1))
    if not areas.any():
        return None
    area = float(np.quantile(areas[areas > 0], 0.9)) * look.small_mm[0] * look.small_mm[1]
    return float(2 * np.sqrt(area / np.pi))
