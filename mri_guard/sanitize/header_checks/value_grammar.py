"""Is each value written as its kind is written?"""

import re
from dataclasses import dataclass

from mri_guard.records import InstanceHeader, Rejection


def _values(one: bytes) -> re.Pattern[bytes]:
    """One value or several with backslashes between, spaces around each, padding at the end.

    Every repetition is possessive, so that no value takes longer than its length.
    """
    spaced = rb" *+(?:%b)?+ *+" % one
    return re.compile(rb"%b(?:\\%b)*+[\0 ]*+" % (spaced, spaced))


_PATTERNS = {
    "UI": _values(rb"[0-9]{1,64}+(?:\.[0-9]{1,64}+)*+"),
    "DS": _values(
        rb"[+-]?+(?:[0-9]{1,32}+(?:\.[0-9]{0,32}+)?+|\.[0-9]{1,32}+)(?:[eE][+-]?+[0-9]{1,3}+)?+"
    ),
    "IS": _values(rb"[+-]?+[0-9]{1,12}+(?:\.[0-9]{0,12}+)?+"),
    "CS": _values(rb"[!-\x5b\x5d-~](?:[ -\x5b\x5d-~]{0,63}+)"),
    "DA": _values(rb"[0-9]{4}+\.?+(?:0[0-9]|1[0-2])\.?+(?:[0-2][0-9]|3[01])"),
    "TM": _values(
        rb"(?:[01][0-9]|2[0-3])(?::?+[0-5][0-9](?::?+(?:[0-5][0-9]|60)(?:\.[0-9]{0,9}+)?+)?+)?+"
    ),
    "AS": _values(rb"[0-9]{1,4}+[DWMY]?+"),
    "DT": _values(rb"[0-9]{4}+(?:[0-9]{2}+){0,5}+(?:\.[0-9]{1,9}+)?+(?:[+-][0-9]{4}+)?+"),
}
_SIZES = {"US": 2, "SS": 2, "OW": 2, "AT": 4, "FL": 4, "SL": 4, "UL": 4, "OF": 4, "OL": 4}
_SIZES |= {"FD": 8, "SV": 8, "UV": 8, "OD": 8, "OV": 8}


@dataclass(frozen=True, slots=True)
class ValueGrammar:
    """Refuses values of standard attributes, at any depth, that are not what they claim.

    `value-malformed`: UI, DS, IS, CS, DA, TM, AS, DT against PS3.5 table 6.2-1, and lengths of
    binary numbers against their size. Several values, spaces around each and padding by NUL or
    space may be there, and values may be empty. Let through, since scanners and archives write it
    and no reader is misled: DS of up to 32 digits, IS with decimals, CS in lower case, with
    punctuation or over-long, UI with leading zeros, ACR-NEMA's dotted dates and colons in times, a
    month or day of 00, ages without a unit. Private attributes are their makers' affair.
    """

    name: str = "value_grammar"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        head, end = structure.head, len(structure.head)
        for tag, vr, length, offset, _, _ in structure.elements:
            if not length or tag & 0x10000 or offset + length > end:
                continue
            if pattern := _PATTERNS.get(vr):
                if pattern.fullmatch(head, offset, offset + length):
                    continue
            elif length % _SIZES.get(vr, 1) == 0:
                continue
            return Rejection(
                "value-malformed",
                f"({tag >> 16:04X},{tag & 0xFFFF:04X}) of {length} bytes is no {vr}",
            )
        return None
