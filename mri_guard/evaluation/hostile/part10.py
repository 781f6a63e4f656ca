"""A DICOM file taken apart into elements, so that any byte of it can be made wrong.

pydicom refuses to write what a hostile sender writes. This writes anything: wrong lengths, unknown
value representations, tags out of order. Reads only flat files in Explicit VR Little Endian, as the
phantom's are.
"""

import struct
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR

from mri_guard.records.structure import UNDEFINED

LONG = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
"""Value representations whose length has four bytes, behind two reserved ones (PS3.5, 7.1.2)."""

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it will lie in the file.

    Attributes:
        tag: group and element, 0xGGGGEEEE.
        vr: two bytes.
        value: as written, padding included.
        length: claimed; None claims the truth.
    """

    tag: int
    vr: bytes
    value: bytes
    length: int | None = None

    def encode(self) -> bytes:
        """Explicit VR Little Endian."""
        length = len(self.value) if self.length is None else self.length
        start = struct.pack("<HH2s", self.tag >> 16, self.tag & 0xFFFF, self.vr)
        size = (
            struct.pack("<xxI", length) if self.vr in LONG else struct.pack("<H", length & 0xFFFF)
        )
        return start + size + self.value


@dataclass(slots=True)
class File:
    """A Part 10 file (PS3.10 section 7.1) to be edited.

    Attributes:
        preamble: 128 bytes.
        prefix: `DICM`.
        meta: elements of group 0002 without its length.
        data: of the data set.
        meta_length: claimed File Meta Information Group Length; None claims the truth.
        tail: bytes behind the last element.
    """

    preamble: bytes
    prefix: bytes
    meta: list[Element]
    data: list[Element]
    meta_length: int | None = None
    tail: bytes = b""
    whole: bytes | None = field(default=None)
    """What is written in place of all this, where set."""

    def encode(self) -> bytes:
        """The file's bytes."""
        if self.whole is not None:
            return self.whole
        meta = b"".join(element.encode() for element in self.meta)
        claimed = len(meta) if self.meta_length is None else self.meta_length
        head = Element(0x00020000, b"UL", struct.pack("<I", claimed)).encode()
        data = b"".join(element.encode() for element in self.data)
        return self.preamble + self.prefix + head + meta + data + self.tail

    def get(self, tag: int) -> bytes:
        """Value of an element of the data set or the file meta.

        Raises:
            KeyError: there is none.
        """
        for element in (*self.data, *self.meta):
            if element.tag == tag:
                return element.value
        raise KeyError(f"{tag:08X}")

    def set(self, tag: int, value: bytes | str, vr: bytes | None = None) -> None:
        """Gives an element a value, padded to even length; a new one goes to its place.

        Args:
            tag: of the data set or the file meta.
            value: text is written in Latin-1.
            vr: None keeps it, and takes the dictionary's for a new element.
        """
        encoded = value.encode("latin-1") if isinstance(value, str) else value
        elements = self.meta if tag >> 16 == 2 else self.data
        before = next((element for element in elements if element.tag == tag), None)
        kind = vr or (before.vr if before else dictionary_VR(tag).encode())
        pad = b"\0" if kind in {b"UI", b"OB", b"UN"} else b" "
        made = Element(tag, kind, encoded + pad * (len(encoded) % 2))
        if before:
            elements[elements.index(before)] = made
        else:
            self.add(made)

    def add(self, made: Element) -> None:
        """Puts an element where its tag belongs, behind those of the same tag."""
        elements = self.meta if made.tag >> 16 == 2 else self.data
        at = next((i for i, one in enumerate(elements) if one.tag > made.tag), len(elements))
        elements.insert(at, made)

    def remove(self, tag: int) -> None:
        """Takes an element out."""
        self.meta = [element for element in self.meta if element.tag != tag]
        self.data = [element for element in self.data if element.tag != tag]

    def lie(self, tag: int, length: int) -> None:
        """Lets an element claim another length than it has."""
        for elements in (self.meta, self.data):
            for at, element in enumerate(elements):
                if element.tag == tag:
                    elements[at] = replace(element, length=length)

    @property
    def pixels(self) -> NDArray[np.uint16]:
        """Stored values, (row, column); a copy."""
        rows, columns = (
            int.from_bytes(self.get(tag), "little") for tag in (0x00280010, 0x00280011)
        )
        return np.frombuffer(self.get(0x7FE00010), dtype="<u2").reshape(rows, columns).copy()

    @pixels.setter
    def pixels(self, values: NDArray[np.number]) -> None:
        self.set(0x00280010, struct.pack("<H", values.shape[0]))
        self.set(0x00280011, struct.pack("<H", values.shape[1]))
        self.set(0x7FE00010, np.ascontiguousarray(values, dtype="<u2").tobytes())


def read(content: bytes) -> File:
    """A flat Part 10 file in Explicit VR Little Endian, taken apart.

    Raises:
        ValueError: it is not such a file.
    """
    if content[128:132] != b"DICM":
        raise ValueError("no DICM behind the preamble")
    elements = []
    at = 132
    while at < len(content):
        group, number, vr = struct.unpack_from("<HH2s", content, at)
        long = vr in LONG
        (length,) = struct.unpack_from("<I" if long else "<H", content, at + (8 if long else 6))
        at += 12 if long else 8
        if length == UNDEFINED:
            raise ValueError("an element of undefined length; a flat file wanted")
        elements.append(Element(group << 16 | number, vr, content[at : at + length]))
        at += length
    return File(
        content[:128],
        b"DICM",
        [element for element in elements if element.tag >> 16 == 2 and element.tag & 0xFFFF],
        [element for element in elements if element.tag >> 16 > 2],
    )


def item(*elements: Element, undefined: bool = False) -> bytes:
    """One item of a sequence, encoded (PS3.5 section 7.5)."""
    content = b"".join(element.encode() for element in elements)
    if undefined:
        return (
            struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, UNDEFINED)
            + content
            + struct.pack("<HHI", ITEM_END >> 16, ITEM_END & 0xFFFF, 0)
        )
    return struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, len(content)) + content


def fragments(*parts: bytes, table: bytes = b"") -> bytes:
    """Encapsulated pixel data: offset table, fragments, delimiter (PS3.5 annex A.4)."""
    framed = b"".join(
        struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, len(part)) + part for part in (table, *parts)
    )
    return framed + struct.pack("<HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
