"""Is it an MR image object?"""

from dataclasses import dataclass

from pydicom.uid import UID, EnhancedMRImageStorage, MRImageStorage

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class SopClass:
    """Refuses SOP Class UID (0008,0016) other than MR and Enhanced MR Image (`sop-class`)."""

    allowed: frozenset[str] = frozenset({MRImageStorage, EnhancedMRImageStorage})
    name: str = "sop_class"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        seen = text(instance.dataset, "SOPClassUID")
        if seen in self.allowed:
            return None
        known = UID(seen).name if seen else "none"
        return Rejection(
            "sop-class",
            f"{known if known != seen else 'an unregistered one'} seen; MR or Enhanced MR wanted",
        )
