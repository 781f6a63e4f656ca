"""Is text what it is said to be?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from mri_guard.records import InstanceHeader, Rejection, Structure

_CHARACTER_SET = 0x00080005
_TEXT = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_UNUSUAL = re.compile(rb"[^\t\n\f\r -~]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_ESCAPE = re.compile(rb"\x1b.{0,3}", re.DOTALL)
_SPELLING = re.compile(r"ISO[ _-]?(2022)?[ _-]?IR[ _-]?([0-9]+)")
_KNOWN = frozenset(python_encoding) | {"ISO_IR 6"}


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """Refuses text that two readers would read differently.

    `character-set`: Specific Character Set (0008,0005) is no defined term of PS3.3 section
    C.12.1.1.2; `ISO-IR 100` and other spellings of a term pass. `text-not-decodable`: text of a
    standard attribute with bytes that none of the character sets declared in the file has.
    `control-characters`: a NUL or another control character within a value, where a reader in C
    ends or a terminal obeys; tabs, line breaks and form feeds may be in any text, escape sequences
    of ISO 2022 where they are declared. Let through: bytes above 127 where no character set is
    declared, which everybody reads as Latin-1.
    """

    name: str = "character_set"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the instance is refused, or None."""
        structure = instance.structure
        declared = set(_declared(structure))
        if unknown := declared - _KNOWN:
            return Rejection("character-set", f"{len(unknown)} terms that are not defined")
        head = structure.head
        for tag, vr, length, offset, _, _ in structure.elements:
            if vr not in _TEXT or tag & 0x10000 or not length:
                continue
            if not _UNUSUAL.search(head, offset, offset + length):
                continue
            text = head[offset : offset + length].rstrip(b"\0 ")
            if reason := _judge(text, declared):
                return Rejection(reason, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
        return None


def _declared(structure: Structure) -> Iterable[str]:
    """The terms declared in the data set and in any item, in the standard's spelling."""
    for element in structure.elements:
        if element.tag == _CHARACTER_SET:
            written = structure.value(element)[:1024].decode("latin1")
            for term in written.split("\\"):
                yield _SPELLING.sub(_spelled, term.strip("\0 ").upper())


def _spelled(found: re.Match[str]) -> str:
    return f"ISO 2022 IR {found[2]}" if found[1] else f"ISO_IR {found[2]}"


def _judge(text: bytes, declared: set[str]) -> str:
    if _CONTROL.search(text):
        return "control-characters"
    escapes = _ESCAPE.findall(text)
    if escapes:
        extended = any(term.startswith("ISO 2022") for term in declared)
        known = all(escape.startswith(tuple(CODES_TO_ENCODINGS)) for escape in escapes)
        return "" if extended and known else "control-characters"
    if not declared - {"", "ISO_IR 6", "ISO 2022 IR 6"}:
        return ""
    return "" if any(_decodes(text, term) for term in declared) else "text-not-decodable"


def _decodes(text: bytes, term: str) -> bool:
    try:
        text.decode(python_encoding.get(term, "ascii"))
    except UnicodeDecodeError:
        return False
    return True
