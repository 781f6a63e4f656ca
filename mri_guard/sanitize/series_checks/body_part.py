"""Is it a head, if it says what it is?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from mri_guard.readers.contrast import functional_group
from mri_guard.readers.values import items, text
from mri_guard.records import InstanceHeader, Rejection

_HEAD = re.compile(r"HEAD|BRAIN|SKULL|CEREB|NEURO|CRANI|INTERNAL AUDITORY|PITUITARY")
_OTHER = re.compile(
    r"ABDOMEN|ANKLE|ARM|BREAST|CHEST|CSPINE|ELBOW|EXTREMITY|FOOT|HAND|HEART|HIP|KNEE|LEG|LIVER|"
    r"LSPINE|NECK|PELVIS|PROSTATE|SHOULDER|SPINE|TSPINE|WHOLEBODY|WRIST"
)


_NAMED = re.compile(
    r"\b(ABDOMEN|ANKLE|BREAST|CARDIAC|CHEST|ELBOW|FOOT|HEART|HIPS?|KNEES?|LIVER|PELVIS|PROSTATE|"
    r"SHOULDER|WRIST|([CTL]|CERVICAL|THORACIC|LUMBAR) ?SPINE|SPINE|WHOLE ?BODY)\b"
)
"""Words that name a part even in a series' description, where `HAND` or `NECK` may be a method."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """Refuses what says that it is other than a head (`body-part`); it may say nothing.

    Body Part Examined (0018,0015), for Enhanced MR the meaning of Anatomic Region Sequence
    (0008,2218) of the instance or of its frames; where none of them speaks, Series Description
    (0008,103E) and Protocol Name (0018,1030), which name another part in plain words.
    """

    name: str = "body_part"

    def __call__(self, instances: Sequence[InstanceHeader], /) -> Rejection | None:
        """Why the series is refused, or None."""
        for instance in instances:
            if instance.dataset is None:
                continue
            said = _said(instance.dataset)
            if said and not _HEAD.search(said):
                return _refusal(_OTHER.search(said))
            names = "" if said else _names(instance.dataset)
            if (known := _NAMED.search(names)) and not _HEAD.search(names):
                return _refusal(known)
        return None


def _said(dataset: Dataset) -> str:
    region = items(functional_group(dataset, "FrameAnatomySequence"), "AnatomicRegionSequence")
    region = items(dataset, "AnatomicRegionSequence") or region
    meaning = text(region[0], "CodeMeaning") if region else ""
    return (text(dataset, "BodyPartExamined") or meaning).upper()


def _names(dataset: Dataset) -> str:
    names = (text(dataset, "SeriesDescription"), text(dataset, "ProtocolName"))
    return re.sub(r"[\W_]+", " ", " ".join(names)).upper()


def _refusal(known: re.Match[str] | None) -> Rejection:
    seen = known.group() if known else "another part"
    return Rejection("body-part", f"{seen} seen; brain or head wanted")
