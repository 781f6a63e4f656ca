"""Does it say it is MR?"""

import re
from dataclasses import dataclass

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class Modality:
    """Refuses Modality (0008,0060) other than MR (`modality`)."""

    name: str = "modality"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        seen = text(instance.dataset, "Modality")
        if seen == "MR":
            return None
        shown = seen if re.fullmatch(r"[A-Z]{2,6}", seen) else "none or an odd one"
        return Rejection("modality", f"{shown} seen; MR wanted")
