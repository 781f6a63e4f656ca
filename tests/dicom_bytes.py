"""DICOM files put together byte by byte, so that each byte can be wrong on purpose."""

import struct

from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

UNDEFINED = 0xFFFFFFFF
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


def element(
    tag: int, vr: bytes, value: bytes = b"", length: int | None = None, order: str = "<"
) -> bytes:
    """An element in explicit VR, its length as it is or as claimed."""
    claimed = len(value) if length is None else length
    head = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in _LONG:
        return head + struct.pack(f"{order}HI", 0, claimed) + value
    return head + struct.pack(f"{order}H", claimed) + value


def implicit(tag: int, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in implicit VR; items and delimiters are written alike in every syntax."""
    claimed = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, claimed) + value


def item(*elements: bytes) -> bytes:
    """An item of defined length."""
    return implicit(0xFFFEE000, b"".join(elements))


def open_item(*elements: bytes) -> bytes:
    """An item of undefined length and its delimiter."""
    return implicit(0xFFFEE000, b"".join(elements), UNDEFINED) + implicit(0xFFFEE00D)


SEQUENCE_END = implicit(0xFFFEE0DD)


def meta(syntax: str = ExplicitVRLittleEndian, length_off: int = 0, **uids: str) -> bytes:
    """Preamble, prefix and file meta information, its group length off by so many bytes."""
    body = (
        element(0x00020001, b"OB", b"\0\1")
        + element(0x00020002, b"UI", padded(uids.get("sop_class", MRImageStorage)))
        + element(0x00020003, b"UI", padded(uids.get("instance", "1.2.3.4")))
        + element(0x00020010, b"UI", padded(syntax))
    )
    group_length = struct.pack("<I", len(body) + length_off)
    return b"\0" * 128 + b"DICM" + element(0x00020000, b"UL", group_length) + body


def padded(uid: str) -> bytes:
    """A UID as it is written: of even length."""
    return uid.encode() + b"\0" * (len(uid) % 2)
