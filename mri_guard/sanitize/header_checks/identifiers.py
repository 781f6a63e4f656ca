"""Are the identifiers identifiers, and each of one thing?"""

import re
from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection

_INSTANCE, _STUDY, _SERIES = 0x00080018, 0x0020000D, 0x0020000E
_NAMES = {
    _INSTANCE: "SOP Instance UID",
    _STUDY: "Study Instance UID",
    _SERIES: "Series Instance UID",
    0x00200052: "Frame of Reference UID",
}
_REQUIRED = (_INSTANCE, _STUDY, _SERIES)
_UID = re.compile(rb"(?:[01](?:\.[0-9]|\.[1-3][0-9])|2\.[0-9]+)(?:\.[0-9]+)+")
"""Below a root of ISO 9834: 0 or 1 and a number under 40, or 2 and any."""

_STANDARD = b"1.2.840.10008."
"""DICOM's own root, for what PS3.6 registers."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Refuses instance, study and series UIDs that identify nothing, or two things.

    SOP, Study and Series Instance UID (0008,0018), (0020,000D), (0020,000E) and, where it is there,
    Frame of Reference UID (0020,0052). `uid-missing`; `uid-malformed`: longer than 64 characters,
    several, or not below a root (PS3.5 section 9.1; leading zeros pass); `uid-reserved`: below the
    standard's own root, where SOP classes and transfer syntaxes lie; `uid-shared`: the instance has
    the UID of its study or series, so that results could not tell them apart.
    """

    name: str = "identifiers"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        found = {
            element.tag: structure.value(element).strip(b"\0 ")
            for element in structure.elements
            if element.depth == 0 and element.tag in _NAMES
        }
        for tag, what in _NAMES.items():
            uid = found.get(tag, b"")
            if not uid:
                if tag in _REQUIRED:
                    return Rejection("uid-missing", f"an instance without {what}")
                continue
            if len(uid) > 64 or not _UID.fullmatch(uid):
                return Rejection("uid-malformed", f"{what} of {len(uid)} characters is no UID")
            if uid.startswith(_STANDARD) and tag in _REQUIRED:
                return Rejection("uid-reserved", f"{what} lies below the standard's own root")
        if found[_INSTANCE] in (found[_STUDY], found[_SERIES]):
            return Rejection("uid-shared", "an instance with the UID of its study or series")
        return None
