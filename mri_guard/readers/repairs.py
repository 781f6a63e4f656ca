"""What is missing from a file and can be derived from the rest of it, without a doubt or a loss.

Nothing is guessed and no value is changed: a file is given the start that every DICOM file has, or
told in its file meta what its own bytes show. Whatever needs more than that is refused by the
checks. Each repair has a name, which is recorded with the scan.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mri_guard.readers.values import quietly, text

PREAMBLE = "preamble"
"""The file meta is there, but neither preamble nor prefix stands before it."""

FILE_META = "file meta"
"""A data set alone: native, little endian; its own first element shows which encoding it has."""

TRANSFER_SYNTAX = "transfer syntax"
"""The file meta does not name the syntax of a data set that is native and little endian."""

_PREFIX = bytes(128) + b"DICM"
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_SYNTAX = b"\x02\x00\x10\x00UI"
_FRAGMENTS = (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff")
_VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US OB OW SQ UN UC UR UT".split()
)
_START_BYTES = 2**16
"""Of a file, which show whether it may need a repair."""

_START_TAGS = range(0x0000, 0x0019)
"""Elements of group 0008 that data sets begin with, up to SOP Instance UID (0008,0018)."""


def repaired(content: bytes) -> tuple[bytes, str]:
    """The file as its writer should have written it, and the name of the repair; empty for none.

    Args:
        content: the file, or its first bytes where only its names are wanted.
    """
    if content[128:132] == b"DICM":
        return _with_syntax(content)
    if content.startswith(_GROUP_LENGTH):
        return _PREFIX + content, PREAMBLE
    syntax = _native(content)
    if syntax is None:
        return content, ""
    names = _names(content, syntax)
    return (_meta(*names, syntax) + content, FILE_META) if names else (content, "")


@contextmanager
def open_repaired(path: Path) -> Iterator[BinaryIO]:
    """The file, or in memory what a repair has made of it.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
        file.seek(0)
        yield io.BytesIO(repaired(file.read())[0]) if repaired(start)[1] else file


def _with_syntax(content: bytes) -> tuple[bytes, str]:
    """A Part 10 file that lacks nothing but Transfer Syntax UID (0002,0010) is given it."""
    if len(content) < 144 or not content.startswith(_GROUP_LENGTH, 132):
        return content, ""
    (length,) = struct.unpack_from("<I", content, 140)
    meta = content[144 : 144 + length]
    if _SYNTAX in meta or not meta.startswith(b"\x02\x00"):
        return content, ""
    data = content[144 + length :]
    syntax = _native(data)
    if syntax is None:
        return content, ""
    element = _uid(0x0010, syntax)
    before = [at for at in _starts(meta) if struct.unpack_from("<H", meta, at + 2)[0] < 0x0010]
    end = _after(meta, before[-1]) if before else 0
    whole = meta[:end] + element + meta[end:]
    start = content[:140] + struct.pack("<I", len(whole))
    return start + whole + data, TRANSFER_SYNTAX


def _native(data: bytes) -> str | None:
    """The little endian syntax that a data set's first element is written in; None in doubt.

    Compressed pixels say nothing of their codec, so that a syntax cannot be derived for them.
    """
    if len(data) < 16 or any(mark in data for mark in _FRAGMENTS):
        return None
    group, element = struct.unpack_from("<HH", data)
    if group != 0x0008 or element not in _START_TAGS:
        return None
    if data[4:6] in _VRS:
        (length,) = struct.unpack_from("<H", data, 6)
        after, syntax = 8 + length, ExplicitVRLittleEndian
    else:
        (length,) = struct.unpack_from("<I", data, 4)
        after, syntax = 8 + length, ImplicitVRLittleEndian
    if length > 128 or len(data) < after + 8:
        return None
    next_group, next_element = struct.unpack_from("<HH", data, after)
    follows = next_group == 0x0008 and element < next_element
    explicit = data[after + 4 : after + 6] in _VRS
    return syntax if follows and explicit == (syntax == ExplicitVRLittleEndian) else None


def _names(data: bytes, syntax: str) -> tuple[str, str] | None:
    """SOP Class and Instance UID of a data set; None where it does not name both."""
    start = _meta("1.2", "1.2", syntax) + data[:_START_BYTES]

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return bool(tag > 0x00080018)

    with quietly():
        try:
            header = read_partial(io.BytesIO(start), stop_when=beyond)
        except Exception:  # noqa: BLE001 - a parser of hostile bytes raises anything
            return None
    found = text(header, "SOPClassUID"), text(header, "SOPInstanceUID")
    return found if all(name.replace(".", "").isdigit() for name in found) else None


def _meta(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """Preamble, prefix and file meta (PS3.10 section 7.1)."""
    version = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\x00\x01"
    elements = _uid(0x0002, sop_class) + _uid(0x0003, sop_instance) + _uid(0x0010, syntax)
    content = version + elements
    return _PREFIX + _GROUP_LENGTH + struct.pack("<I", len(content)) + content


def _uid(element: int, value: str) -> bytes:
    encoded = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, b"UI", len(encoded)) + encoded


def _starts(meta: bytes) -> list[int]:
    """Where the elements of a file meta begin, as far as their lengths lead."""
    starts, at = [], 0
    while at + 8 <= len(meta):
        starts.append(at)
        at = _after(meta, at)
    return starts


def _after(meta: bytes, at: int) -> int:
    """Where the element that begins there ends."""
    if meta[at + 4 : at + 6] in (b"OB", b"UN", b"OW", b"UT"):
        length: int = struct.unpack_from("<I", meta.ljust(at + 12, b"\0"), at + 8)[0]
        return at + 12 + length
    return at + 8 + int(struct.unpack_from("<H", meta, at + 6)[0])
