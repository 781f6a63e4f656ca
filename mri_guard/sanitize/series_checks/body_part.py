"""Is it a head, if it says what it is?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mri_guard.readers.values import text
from mri_guard.records import InstanceHeader, Rejection

_HEAD = re.compile(r"HEAD|BRAIN|SKULL|CEREB|NEURO|CRANI|INTERNAL AUDITORY|PITUITARY")
_OTHER = re.compile(
    r"ABDOMEN|ANKLE|ARM|BREAST|CHEST|CSPINE|ELBOW|EXTREMITY|FOOT|HAND|HEART|HIP|KNEE|LEG|LIVER|"
    r"LSPINE|NECK|PELVIS|PROSTATE|SHOULDER|SPINE|TSPINE|WHOLEBODY|WRIST"
)


@dataclass(frozen=True, slots=True)
class BodyPart:
    """Refuses Body Part Examined (0018,0015) other than a head (`body-part`); it may be absent."""

    name: str = "body_part"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for instance in instances:
            said = text(instance.dataset, "BodyPartExamined").upper()
            if said and not _HEAD.search(said):
                known = _OTHER.search(said)
                seen = known.group() if known else "another part"
                return Rejection("body-part", f"{seen} seen; brain or head wanted")
        return None
