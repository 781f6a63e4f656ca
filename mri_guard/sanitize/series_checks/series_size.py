"""Does the whole volume fit our memory?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import integer
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class SeriesSize:
    """Refuses more voxels than the budget, as float32 (`too-many-voxels`)."""

    max_bytes: int = 2 * 2**30
    name: str = "series_size"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        claimed = 4 * sum(
            (integer(instance.dataset, "Rows") or 0)
            * (integer(instance.dataset, "Columns") or 0)
            * (integer(instance.dataset, "NumberOfFrames") or 1)
            for instance in instances
        )
        if claimed > self.max_bytes:
            return Rejection(
                "too-many-voxels",
                f"{claimed / 2**30:.1f} GiB claimed; {self.max_bytes / 2**30:.1f} allowed",
            )
        return None
