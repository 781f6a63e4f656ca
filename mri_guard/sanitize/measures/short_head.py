"""Whether the stack shows too little of the head from below to the crown."""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look


@dataclass(frozen=True, slots=True)
class ShortHead:
    """-ln of the height over which the stack shows the head, mm."""

    name: str = "short_head"
    reason: str = "coverage-height"
    resolution: float = 0.05

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        slices = np.count_nonzero(look.head.any(axis=(0, 1)))
        return float(-np.log(slices * look.small_mm[2])) if slices else None
