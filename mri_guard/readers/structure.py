"""A walk through a DICOM file, element by element, that decodes no value and believes no length.

Written from PS3.5 sections 6.2, 7 and A.4 and PS3.10 section 7.1 alone, apart from the parser whose
reading the checks compare it with. Every step moves on by at least eight bytes or leaves a level,
and elements, items, depth and fragments are counted against a budget, so that time and memory are
bounded by the budget whatever the bytes say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from mmap import mmap
from struct import Struct

from pydicom import uid
from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]  # imported there

from mri_guard.records import Element, Flaw, Pixels, Problem, Structure
from mri_guard.records.structure import UNDEFINED

MAX_ELEMENTS = 400_000
"""Elements, items and fragments together; an Enhanced MR of 2000 frames has about 60 a frame."""

MAX_DEPTH = 16
"""Sequences within sequences; the deepest that MR scanners write are five."""

MAX_HEAD_BYTES = 32 * 2**20
MAX_TAIL_BYTES = 2**16

_SHORT_VRS = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_VRS = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_VRS = {name.encode(): name for name in f"{_SHORT_VRS} {_LONG_VRS}".split()}
_LONG = frozenset(_LONG_VRS.split())
"""VRs whose length takes four bytes behind two reserved ones (PS3.5 table 7.1-1)."""

_UNKNOWN = ("UN", "")
_DICTIONARY: dict[int, str] = {tag: entry[0] for tag, entry in DicomDictionary.items()}
_SEQUENCES = frozenset(tag for tag, vr in _DICTIONARY.items() if vr == "SQ")

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_META_GROUP = 0x0002
_NOT_ALLOWED = frozenset({0x0000, 0x0001, 0x0002, 0x0003, 0x0005, 0x0007, 0xFFFF})
"""Groups that no data set holds (PS3.5 section 7.8.1; PS3.7 and PS3.10 for 0000 and 0002)."""

_ZIP_END = Struct("<4s4H2IH")
_ZIP_COMMENT = 65_535


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How tags, VRs and lengths are written."""

    explicit: bool
    tag_and_length: Struct
    short: Struct
    long: Struct


def _encoding(order: str, explicit: bool) -> _Encoding:
    return _Encoding(explicit, Struct(f"{order}HHI"), Struct(f"{order}H"), Struct(f"{order}I"))


_IMPLICIT, _EXPLICIT = _encoding("<", False), _encoding("<", True)
_BIG_ENDIAN, _IMPLICIT_BIG = _encoding(">", True), _encoding(">", False)


@dataclass(slots=True)
class _Level:
    """A data set, an item or a sequence that the walk is in.

    Attributes:
        sequence: whether it holds items; else it holds elements.
        encoding: of what it holds.
        bound: end of the nearest thing around it whose end is known, itself included.
        closed_by: the delimiter that ends it; None where `bound` does.
        depth: of the elements it holds.
        item: number of the item.
        loose: within a private sequence, where the order of tags is a maker's own affair.
        last: the tag before.
    """

    sequence: bool
    encoding: _Encoding
    bound: int
    closed_by: int | None
    depth: int
    item: int
    loose: bool
    last: int = -1


class _StoppedError(Exception):
    """What follows cannot be told apart any more."""


def walk(
    data: bytes | mmap, max_elements: int = MAX_ELEMENTS, max_depth: int = MAX_DEPTH
) -> Structure:
    """The structure of a file's bytes; never raises, whatever they are.

    The walk stops at the first length or delimiter that leaves open where the next element begins,
    and where the budget ends; other problems are noted on the way. A deflated data set is not
    inflated. Bytes without the Part 10 prefix have no structure.

    Args:
        data: the whole file.
        max_elements: elements, items and fragments together.
        max_depth: sequences within sequences.
    """
    if data[128:132] != b"DICM":
        return Structure()
    return _Walk(data, max_elements, max_depth).structure()


class _Walk:
    def __init__(self, data: bytes | mmap, max_elements: int, max_depth: int) -> None:
        self._data, self._size = data, len(data)
        self._budget, self._max_depth = max_elements, max_depth
        self._meta: list[Element] = []
        self._elements: list[Element] = []
        self._items = 0
        self._depth = 0
        self._pixels: Pixels | None = None
        self._pixels_start = self._pixels_end = self._size
        self._problems: dict[Flaw, Problem] = {}

    def structure(self) -> Structure:
        """What was found."""
        found = Structure(part10=True, archive_at_end=_ends_as_zip(self._data))
        try:
            start = self._walk_meta()
            found = replace(
                found,
                transfer_syntax=self._transfer_syntax(),
                meta_length=self._meta_length(),
                meta_length_true=max(0, start - 144),
            )
            if found.meta_length != found.meta_length_true:
                self._note(Flaw.META_LENGTH, 0x00020000, 132)
            if found.transfer_syntax != uid.DeflatedExplicitVRLittleEndian:
                self._walk_data_set(start, self._encoding_at(start, found.transfer_syntax))
        except _StoppedError:
            pass
        return replace(
            found,
            meta=tuple(self._meta),
            elements=tuple(self._elements),
            items=self._items,
            depth=self._depth,
            pixels=self._pixels,
            head=bytes(self._data[: min(self._pixels_start, MAX_HEAD_BYTES)]),
            tail=bytes(self._data[max(self._pixels_end, self._size - MAX_TAIL_BYTES) :]),
            problems=tuple(self._problems.values()),
        )

    def _note(self, flaw: Flaw, tag: int, offset: int) -> None:
        self._problems.setdefault(flaw, Problem(flaw, tag, offset))

    def _stop(self, flaw: Flaw, tag: int, offset: int) -> _StoppedError:
        self._note(flaw, tag, offset)
        return _StoppedError()

    def _walk_meta(self) -> int:
        """Where the file meta information ends: before the first tag of another group.

        It is Explicit VR Little Endian whatever follows (PS3.10 section 7.1).
        """
        at = 132
        while self._size - at >= 8:
            group, number, _ = _EXPLICIT.tag_and_length.unpack_from(self._data, at)
            tag = group << 16 | number
            if group != _META_GROUP:
                break
            vr, length, value = self._explicit(_EXPLICIT, at, self._size)
            if vr is None or length > self._size - value:
                raise self._stop(Flaw.META_BROKEN, tag, at)
            if self._meta and tag <= self._meta[-1].tag:
                self._note(
                    Flaw.TAG_TWICE if tag == self._meta[-1].tag else Flaw.TAGS_OUT_OF_ORDER, tag, at
                )
            self._meta.append(Element(tag, vr, length, value, 0, 0))
            if len(self._meta) > self._budget:
                raise self._stop(Flaw.TOO_MANY_ELEMENTS, tag, at)
            at = value + length
        return at

    def _explicit(self, encoding: _Encoding, at: int, bound: int) -> tuple[str | None, int, int]:
        """VR, None when not one of PS3.5 table 6.2-1; length; offset of the value."""
        vr = _VRS.get(self._data[at + 4 : at + 6])
        if vr not in _LONG:
            return vr, encoding.short.unpack_from(self._data, at + 6)[0], at + 8
        if bound - at < 12:
            return vr, UNDEFINED - 1, at + 8
        return vr, encoding.long.unpack_from(self._data, at + 8)[0], at + 12

    def _meta_value(self, tag: int) -> bytes | None:
        for element in self._meta:
            if element.tag == tag:
                return bytes(self._data[element.offset : element.offset + element.length])
        return None

    def _transfer_syntax(self) -> str:
        written = (self._meta_value(0x00020010) or b"").rstrip(b"\0 ")
        return written.decode("ascii", "replace") if len(written) <= 64 else ""

    def _meta_length(self) -> int | None:
        written = self._meta_value(0x00020000)
        return int.from_bytes(written, "little") if written and len(written) == 4 else None

    def _encoding_at(self, start: int, transfer_syntax: str) -> _Encoding:
        """The encoding that the transfer syntax names, when the first element agrees."""
        named = {
            "": None,
            uid.ImplicitVRLittleEndian: _IMPLICIT,
            uid.ExplicitVRBigEndian: _BIG_ENDIAN,
        }.get(transfer_syntax, _EXPLICIT)
        vr = self._data[start + 4 : start + 6]
        explicit = len(vr) == 2 and _letters(vr)
        if named is None:
            return _EXPLICIT if explicit else _IMPLICIT
        if self._size - start >= 8 and explicit != named.explicit:
            tag = self._tag(named, start)
            if tag >> 16 != 0xFFFE:  # items and delimiters have no VR in any encoding
                raise self._stop(Flaw.ENCODING_CONTRADICTED, tag, start)
        return named

    def _tag(self, encoding: _Encoding, at: int) -> int:
        group, number, _ = encoding.tag_and_length.unpack_from(self._data, at)
        return int(group << 16 | number)

    def _walk_data_set(self, at: int, encoding: _Encoding) -> None:
        stack = [_Level(False, encoding, self._size, None, 0, 0, False)]
        while stack:
            level = stack[-1]
            if at == level.bound and level.closed_by is None:
                stack.pop()
                continue
            if level.bound - at < 8:
                raise self._stop_short(stack, at)
            tag = self._tag(level.encoding, at)
            if tag >> 16 == 0xFFFE:
                at = self._delimiter(stack, tag, at)
            elif level.sequence:
                raise self._stop(Flaw.DELIMITER_STRAY, tag, at)
            else:
                at = self._element(stack, tag, at)
            if len(self._elements) + self._items > self._budget:
                raise self._stop(Flaw.TOO_MANY_ELEMENTS, tag, at)

    def _stop_short(self, stack: Sequence[_Level], at: int) -> _StoppedError:
        """Fewer bytes left than any element has."""
        if stack[-1].closed_by is not None:
            return self._stop(Flaw.SEQUENCE_NOT_CLOSED, 0, at)
        return self._stop(
            Flaw.TRAILING_BYTES if len(stack) == 1 else Flaw.LENGTH_BEYOND_ITEM, 0, at
        )

    def _delimiter(self, stack: list[_Level], tag: int, at: int) -> int:
        """Where to go on after an item's start or a delimiter (PS3.5 section 7.5)."""
        level = stack[-1]
        length: int = level.encoding.long.unpack_from(self._data, at + 4)[0]
        if tag == _ITEM and level.sequence:
            return self._item(stack, length, at)
        if tag != level.closed_by or length != 0:
            trailing = len(stack) == 1 and self._pixels is not None
            raise self._stop(Flaw.TRAILING_BYTES if trailing else Flaw.DELIMITER_STRAY, tag, at)
        stack.pop()
        return at + 8

    def _item(self, stack: list[_Level], length: int, at: int) -> int:
        sequence, start = stack[-1], at + 8
        self._items += 1
        bound, closed_by = self._extent(sequence.bound, _ITEM, length, start, _ITEM_END)
        encoding = sequence.encoding
        if encoding.explicit and bound - start >= 8 and not self._explicit_item(encoding, start):
            # Some makers write Implicit VR items into Explicit VR sequences; parsers follow them.
            encoding = _IMPLICIT if encoding is _EXPLICIT else _IMPLICIT_BIG
            if not sequence.loose:
                self._note(Flaw.ENCODING_CONTRADICTED, self._tag(encoding, start), start)
        stack.append(
            _Level(False, encoding, bound, closed_by, sequence.depth, self._items, sequence.loose)
        )
        return start

    def _explicit_item(self, encoding: _Encoding, start: int) -> bool:
        if self._tag(encoding, start) >> 16 == 0xFFFE:  # an empty item
            return True
        return _letters(self._data[start + 4 : start + 6])

    def _element(self, stack: list[_Level], tag: int, at: int) -> int:
        """Where to go on after an element, or inside it when it is a sequence."""
        level = stack[-1]
        encoding = level.encoding
        after_pixels = self._pixels is not None and len(stack) == 1
        if after_pixels and tag <= level.last:
            raise self._stop(Flaw.TRAILING_BYTES, tag, at)
        if encoding.explicit:
            vr, length, value = self._explicit(encoding, at, level.bound)
            if vr is None:
                raise self._stop(Flaw.TRAILING_BYTES if after_pixels else Flaw.VR_UNKNOWN, tag, at)
        else:
            vr, value = _DICTIONARY.get(tag, ""), at + 8
            length = encoding.long.unpack_from(self._data, at + 4)[0]
        self._note_place(level, tag, at)
        level.last = tag
        element = Element(tag, vr, length, value, level.depth, level.item)
        self._elements.append(element)
        if tag in _PIXEL_TAGS and level.depth == 0:
            return self._pixel_data(encoding, tag, length, value, at)
        if length == UNDEFINED and tag == _PIXEL_TAGS[-1]:  # of an icon
            return self._fragments(encoding, tag, value, level.bound)[2]
        if vr == "SQ" or (vr in _UNKNOWN and (length == UNDEFINED or tag in _SEQUENCES)):
            return self._sequence(stack, element, at)
        if length == UNDEFINED:
            raise self._stop(Flaw.LENGTH_UNDEFINED, tag, at)
        if length > level.bound - value:
            raise self._stop_long(level.bound, tag, at)
        if length & 1:
            self._note(Flaw.LENGTH_ODD, tag, at)
        return value + length

    def _note_place(self, level: _Level, tag: int, at: int) -> None:
        """Tags rise within a data set or item (PS3.5 section 7.1)."""
        if tag <= level.last and not level.loose:
            twice = tag == level.last
            self._note(Flaw.TAG_TWICE if twice else Flaw.TAGS_OUT_OF_ORDER, tag, at)
        if tag >> 16 in _NOT_ALLOWED:
            self._note(Flaw.GROUP_NOT_ALLOWED, tag, at)

    def _sequence(self, stack: list[_Level], sequence: Element, at: int) -> int:
        level, tag = stack[-1], sequence.tag
        depth = level.depth + 1
        if depth > self._max_depth:
            raise self._stop(Flaw.NESTED_TOO_DEEP, tag, at)
        self._depth = max(self._depth, depth)
        bound, closed_by = self._extent(
            level.bound, tag, sequence.length, sequence.offset, _SEQUENCE_END
        )
        unknown = sequence.vr == "UN"  # then what it holds is Implicit VR (PS3.5 section 6.2.2)
        encoding = _IMPLICIT if unknown else level.encoding
        loose = level.loose or unknown or bool(tag >> 16 & 1)
        stack.append(_Level(True, encoding, bound, closed_by, depth, level.item, loose))
        return sequence.offset

    def _extent(
        self, around: int, tag: int, length: int, start: int, delimiter: int
    ) -> tuple[int, int | None]:
        """Where a sequence or an item ends at the latest, and the delimiter that ends it."""
        if length == UNDEFINED:
            return around, delimiter
        if length > around - start:
            raise self._stop_long(around, tag, start - 8)
        if length & 1:
            self._note(Flaw.LENGTH_ODD, tag, start - 8)
        return start + length, None

    def _stop_long(self, bound: int, tag: int, at: int) -> _StoppedError:
        flaw = Flaw.LENGTH_BEYOND_END if bound == self._size else Flaw.LENGTH_BEYOND_ITEM
        return self._stop(flaw, tag, at)

    def _pixel_data(self, encoding: _Encoding, tag: int, length: int, value: int, at: int) -> int:
        self._pixels = Pixels(tag, length, value)
        self._pixels_start = value
        if length != UNDEFINED:
            if length > self._size - value:
                raise self._stop(Flaw.PIXELS_BEYOND_END, tag, at)
            self._pixels_end = value + length  # odd where an old writer left it unpadded
            return self._pixels_end
        table, fragments, end = self._fragments(encoding, tag, value, self._size)
        self._pixels = Pixels(tag, length, value, table, fragments)
        self._pixels_end = end
        return end

    def _fragments(
        self, encoding: _Encoding, tag: int, at: int, bound: int
    ) -> tuple[bytes, tuple[tuple[int, int], ...], int]:
        """Basic offset table, fragments, and where they end (PS3.5 section A.4).

        Fragments of odd length are let through: their length still says where the next begins.
        """
        found: list[tuple[int, int]] = []
        while bound - at >= 8:
            mark = self._tag(encoding, at)
            length: int = encoding.long.unpack_from(self._data, at + 4)[0]
            at += 8
            if mark == _SEQUENCE_END and length == 0 and found:
                start, table_length = found[0]
                table = bytes(self._data[start : start + min(table_length, MAX_HEAD_BYTES)])
                return table, tuple(found[1:]), at
            if mark != _ITEM or length > bound - at:
                break
            found.append((at, length))
            self._budget -= 1
            if self._budget < len(self._elements) + self._items:
                raise self._stop(Flaw.TOO_MANY_ELEMENTS, tag, at)
            at += length
        raise self._stop(Flaw.FRAGMENTS_BROKEN, tag, at)


def _letters(vr: bytes) -> bool:
    return len(vr) == 2 and b"A" <= vr[:1] <= b"Z" and b"A" <= vr[1:] <= b"Z"


def _ends_as_zip(data: bytes | mmap) -> bool:
    """Whether an end-of-central-directory record, with its comment, closes the file."""
    size = len(data)
    lowest = max(0, size - _ZIP_COMMENT - _ZIP_END.size)
    at = data.rfind(b"PK\x05\x06", lowest)
    while at >= 0:
        if size - at >= _ZIP_END.size:
            comment = _ZIP_END.unpack_from(data, at)[-1]
            if at + _ZIP_END.size + comment == size:
                return True
        at = data.rfind(b"PK\x05\x06", lowest, at + 3)
    return False
