"""Do all instances belong to one study, series and frame of reference?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection

_LEVELS = (
    ("StudyInstanceUID", "several-studies", "studies"),
    ("SeriesInstanceUID", "several-series", "series"),
    ("FrameOfReferenceUID", "several-frames-of-reference", "frames of reference"),
)


@dataclass(frozen=True, slots=True)
class OneSeries:
    """Refuses a mixture: `several-studies`, `several-series`, `several-frames-of-reference`.

    Study and Series Instance UID (0020,000D/000E) must be there (`uid-missing`); Frame of Reference
    UID (0020,0052) may be absent from all.
    """

    name: str = "one_series"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for keyword, reason, noun in _LEVELS:
            seen = {text(instance.dataset, keyword) for instance in instances}
            if "" in seen and keyword != "FrameOfReferenceUID":
                return Rejection("uid-missing", f"an instance without {keyword}")
            if len(seen) != 1:
                return Rejection(reason, f"{len(seen)} {noun} seen; one wanted")
        return None
