"""Do the slices make up one whole, even stack?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_guard.errors import SeriesError
from mri_guard.readers.frames import frames_of
from mri_guard.readers.stack import require_one_volume, stack
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class SliceStack:
    """Refuses what is less, or more, than one stack of slices through a head.

    Reasons: `orientation-mixed`, `several-volumes`, `uneven-spacing`, `slices-sheared`,
    `slices-missing` (gaps), `too-few-slices`, `stack-too-short` (half a series).
    """

    min_slices: int = 8
    min_length_mm: float = 90.0
    max_gaps: int = 0
    name: str = "slice_stack"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        headers = [instance.dataset for instance in instances if instance.dataset is not None]
        try:
            frames = [frame for header in headers for frame in frames_of(header)]
            stacked = stack(frames)
            require_one_volume(stacked, frames)
        except SeriesError as error:
            return Rejection(error.reason, error.detail)
        count = stacked.slot_count - stacked.gaps
        if stacked.gaps > self.max_gaps:
            return Rejection("slices-missing", f"{stacked.gaps} of {stacked.slot_count} missing")
        if count < self.min_slices:
            return Rejection("too-few-slices", f"{count} seen; {self.min_slices} wanted")
        length = float(np.linalg.norm(stacked.step)) * stacked.slot_count
        if length < self.min_length_mm:
            return Rejection(
                "stack-too-short",
                f"{count} slices span {length:.0f} mm; a head needs {self.min_length_mm:.0f}",
            )
        return None
