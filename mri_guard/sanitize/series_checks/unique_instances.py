"""Does each UID stand for one image?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class UniqueInstances:
    """Refuses different files with one SOP Instance UID (0008,0018) (`uid-collision`).

    One of them is not what it says it is, and nobody can tell which. The same file twice is no
    collision; one without a UID is `uid-missing`.
    """

    name: str = "unique_instances"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        digests: dict[str, str] = {}
        collisions = 0
        for instance in instances:
            uid = text(instance.dataset, "SOPInstanceUID")
            if not uid:
                return Rejection("uid-missing", "an instance without SOPInstanceUID")
            collisions += digests.setdefault(uid, instance.sha256) != instance.sha256
        if collisions:
            return Rejection(
                "uid-collision", f"{collisions} instances whose UID another, different one has"
            )
        return None
