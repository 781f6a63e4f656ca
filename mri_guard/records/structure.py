"""How a DICOM file is put together, byte by byte, before anything in it is believed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

UNDEFINED = 0xFFFFFFFF
"""The length of a sequence, an item or pixels in fragments that a delimiter ends (PS3.5 7.1.3)."""


class Flaw(StrEnum):
    """What does not add up in a file; each is the reason code of the check that refuses it."""

    META_BROKEN = "meta-broken"
    META_LENGTH = "meta-length"
    ENCODING_CONTRADICTED = "encoding-contradicted"
    VR_UNKNOWN = "vr-unknown"
    LENGTH_BEYOND_END = "length-beyond-end"
    LENGTH_BEYOND_ITEM = "length-beyond-item"
    LENGTH_ODD = "length-odd"
    LENGTH_UNDEFINED = "length-undefined"
    DELIMITER_STRAY = "delimiter-stray"
    SEQUENCE_NOT_CLOSED = "sequence-not-closed"
    TRAILING_BYTES = "trailing-bytes"
    NESTED_TOO_DEEP = "nested-too-deep"
    TOO_MANY_ELEMENTS = "too-many-elements"
    TAG_TWICE = "tag-twice"
    TAGS_OUT_OF_ORDER = "tags-out-of-order"
    GROUP_NOT_ALLOWED = "group-not-allowed"
    PIXELS_BEYOND_END = "pixel-data-short"
    FRAGMENTS_BROKEN = "fragments-broken"


class Problem(NamedTuple):
    """The first place at which a flaw was met.

    Attributes:
        flaw: what does not add up.
        tag: of the element it was met at, group in the upper 16 bits; 0 where there is none.
        offset: of that element's first byte, from the start of the file.
    """

    flaw: Flaw
    tag: int
    offset: int

    def __str__(self) -> str:
        """The place in words; a tag and an offset identify no patient."""
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X}) at byte {self.offset}"


class Element(NamedTuple):
    """One data element as it lies in the file (PS3.5 section 7.1).

    Attributes:
        tag: group in the upper 16 bits.
        vr: as written; in Implicit VR the dictionary's, empty where that does not know the tag.
        length: of the value in bytes, as claimed; `UNDEFINED` where a delimiter ends it.
        offset: of the value's first byte, from the start of the file.
        depth: 0 in the data set, 1 in an item of one of its sequences, and so on.
        item: number of the item that holds it, in the order in which they begin; 0 in the data set.
    """

    tag: int
    vr: str
    length: int
    offset: int
    depth: int
    item: int


class Pixels(NamedTuple):
    """Where the pixels of the data set lie (PS3.5 sections 8 and A.4).

    Attributes:
        tag: Pixel Data (7FE0,0010) or its float kinds (7FE0,0008), (7FE0,0009).
        length: as claimed; `UNDEFINED` for fragments.
        offset: of the value's first byte, or of the first fragment's item.
        offset_table: the first item's value, empty when it is; None for native pixels.
        fragments: offset of the value and length in bytes of each, without the offset table.
    """

    tag: int
    length: int
    offset: int
    offset_table: bytes | None = None
    fragments: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """The elements of a Part 10 file in the order in which they lie, and what does not add up.

    Attributes:
        part10: whether `DICM` stands behind the preamble (PS3.10 section 7.1).
        transfer_syntax: Transfer Syntax UID (0002,0010) as written; empty when missing or odd.
        meta_length: File Meta Information Group Length (0002,0000) as claimed, None when missing.
        meta_length_true: bytes of the file meta information behind that element.
        meta: elements of the file meta information.
        elements: of the data set and of every item, in file order, up to where the walk stopped;
            none of a deflated data set.
        items: how many items there are.
        depth: of the deepest element.
        pixels: None when the data set has none.
        head: the file's bytes before its pixels.
        tail: the last bytes behind its pixels.
        archive_at_end: whether a zip archive's directory ends where the file does, so that
            archivers open the file as one (APPNOTE.TXT 4.3.16).
        problems: the first of each flaw.
    """

    part10: bool = False
    transfer_syntax: str = ""
    meta_length: int | None = None
    meta_length_true: int = 0
    meta: tuple[Element, ...] = ()
    elements: tuple[Element, ...] = ()
    items: int = 0
    depth: int = 0
    pixels: Pixels | None = None
    head: bytes = b""
    tail: bytes = b""
    archive_at_end: bool = False
    problems: tuple[Problem, ...] = ()

    def value(self, element: Element) -> bytes:
        """The bytes of an element before the pixels; empty for a sequence of undefined length."""
        if element.length == UNDEFINED:
            return b""
        return self.head[element.offset : element.offset + element.length]

    def first(self, *flaws: Flaw) -> Problem | None:
        """The problem of these flaws that comes first in the file, or None."""
        return next((problem for problem in self.problems if problem.flaw in flaws), None)
