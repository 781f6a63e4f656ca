"""Is it an MR image object?"""

from dataclasses import dataclass

from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from mri_guard.readers.values import text, uid_name
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class SopClass:
    """Refuses SOP Class UID (0008,0016) other than MR and Enhanced MR Image (`sop-class`)."""

    allowed: frozenset[str] = frozenset({MRImageStorage, EnhancedMRImageStorage})
    name: str = "sop_class"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        if text(instance.dataset, "SOPClassUID") in self.allowed:
            return None
        seen = uid_name(instance.dataset, "SOPClassUID")
        return Rejection("sop-class", f"{seen} seen; MR or Enhanced MR wanted")
