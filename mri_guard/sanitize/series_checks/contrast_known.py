"""Was the model trained on images like these?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.contrast import contrast_of, settle
from mri_guard.records import Contrast, InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class ContrastKnown:
    """Refuses a contrast that the bundle does not know (`contrast-not-in-bundle`).

    Nothing known, or a contradiction, is `contrast-unknown`.

    Args:
        contrasts: those that the bundle knows.
        said: what the caller says the series is; it does not overrule a header that disagrees.
    """

    contrasts: tuple[Contrast, ...] = (Contrast.FLAIR,)
    said: Contrast | None = None
    name: str = "contrast_known"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None; without instances (NIfTI) only `said` counts."""
        headers = [instance.dataset for instance in instances if instance.dataset is not None]
        read = {contrast_of(header) for header in headers} or {Contrast.UNKNOWN}
        knows = f"the bundle knows {', '.join(self.contrasts)}"
        if len(read) > 1:
            return Rejection("contrast-unknown", f"instances differ ({', '.join(sorted(read))})")
        seen = settle(self.said, read.pop())
        if seen is Contrast.UNKNOWN:
            return Rejection("contrast-unknown", f"the header does not settle it; {knows}")
        if seen not in self.contrasts:
            return Rejection("contrast-not-in-bundle", f"seen {seen}, {knows}")
        return None
