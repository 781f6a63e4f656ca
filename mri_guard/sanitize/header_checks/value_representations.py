"""Is each value of the kind that the dictionary says?"""

from dataclasses import dataclass
from functools import cache

from pydicom.datadict import dictionary_VR

from mri_guard.records import Flaw, InstanceHeader, Rejection

_TEXT, _INTEGER, _REAL, _BYTES, _ITEMS = range(5)
_FAMILY = {
    vr: family
    for family, names in (
        (_TEXT, "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT"),
        (_INTEGER, "AT SL SS SV UL US UV"),
        (_REAL, "FD FL"),
        (_BYTES, "OB OD OF OL OV OW"),
        (_ITEMS, "SQ"),
    )
    for vr in names.split()
}


@dataclass(frozen=True, slots=True)
class ValueRepresentations:
    """Refuses elements that a reader with a dictionary reads otherwise than one without.

    `vr-unknown`: no VR of PS3.5 table 6.2-1, or a switch to Implicit VR on the way.
    `encoding-contradicted`: the data set, or an item of a public sequence, is Implicit where the
    transfer syntax is Explicit, or the reverse. `vr-contradicted`: a standard attribute (PS3.6)
    written as another kind of value: text, whole number, real number, bytes, items. Within a kind
    the VR may differ (SH for LO, IS for DS, US for SS: old dictionaries and sloppy writers do), and
    UN may stand for any: the value is the same bytes.
    """

    name: str = "value_representations"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        if problem := structure.first(Flaw.ENCODING_CONTRADICTED):
            return Rejection(
                problem.flaw.value, f"{problem} is not encoded as its transfer syntax says"
            )
        if problem := structure.first(Flaw.VR_UNKNOWN):
            return Rejection(problem.flaw.value, f"{problem} has a VR that is none")
        for tag, vr in dict.fromkeys(element[:2] for element in structure.elements):
            if not _fits(tag, vr):
                return Rejection(
                    "vr-contradicted",
                    f"({tag >> 16:04X},{tag & 0xFFFF:04X}) as {vr}; {dictionary_VR(tag)} wanted",
                )
        return None


@cache
def _families(tag: int) -> frozenset[int] | None:
    """The kinds of value that the dictionary allows; None when it does not know the tag."""
    try:
        return frozenset(_FAMILY[vr] for vr in dictionary_VR(tag).split(" or ") if vr in _FAMILY)
    except KeyError:
        return None


def _fits(tag: int, vr: str) -> bool:
    if tag & 0x10000 or vr in ("", "UN") or " or " in vr:
        return True
    families = _families(tag)
    return not families or _FAMILY[vr] in families
