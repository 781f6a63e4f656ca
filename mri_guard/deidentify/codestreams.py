"""JPEG, JPEG-LS and JPEG 2000 codestreams without what is no image.

Comments and application segments are where encoders leave names, and behind the end of image
anything may lie. What belongs to the image is copied byte for byte, so that it decodes as before.
Segments are listed that stay; the rest goes.
"""

import re

from mri_guard.errors import UnreadableError

_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xF7, 0xF8} - {0xC8})
"""SOF, DHT, DAC, SOS, DQT, DNL, DRI (ITU-T T.81 table B.1), SOF55 and LSE (T.87 table C.1)."""

_JPEG_NEXT = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""Ends entropy-coded bytes: a marker that is neither stuffed zero nor restart."""

_JPEG_LS_NEXT = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
"""The same in JPEG-LS, which stuffs a bit: a byte from 80 up behind FF makes a marker."""

_J2K_MAIN = frozenset({0x51, 0x52, 0x53, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61, 0x63})
"""SIZ, COD, COC, QCD, QCC, RGN, POC, PPM, PPT, CRG (ITU-T T.800 table A.2); pointers are optional
and would no longer be true, comments go."""

_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"


def bare_jpeg(frame: bytes) -> bytes:
    """A JPEG image (ITU-T T.81) from SOI to EOI without APPn, COM and unknown segments.

    Raises:
        UnreadableError: `codestream`: it is none, or has no end.
    """
    return _bare(frame, _JPEG_NEXT)


def bare_jpeg_ls(frame: bytes) -> bytes:
    """A JPEG-LS image (ITU-T T.87) without APPn, COM and unknown segments.

    Raises:
        UnreadableError: `codestream`: it is none, or has no end.
    """
    return _bare(frame, _JPEG_LS_NEXT)


def _bare(frame: bytes, entropy_end: re.Pattern[bytes]) -> bytes:
    if frame[:2] != b"\xff\xd8":
        raise _broken("no start of image")
    made, at = [frame[:2]], 2
    while True:
        marker, at = _marker(frame, at)
        if marker == 0xD9:
            return b"".join(made) + b"\xff\xd9"
        end = at + _length(frame, at)
        if marker in _JPEG_KEPT:
            made.append(bytes((0xFF, marker)) + frame[at:end])
        at = end
        if marker == 0xDA:
            found = entropy_end.search(frame, at)
            if found is None:
                raise _broken("no end of image")
            made.append(frame[at : found.start()])
            at = found.start()


def _marker(frame: bytes, at: int) -> tuple[int, int]:
    """The marker's second byte, and where its segment begins; fill bytes FF may precede it."""
    found = re.compile(rb"\xff+([^\x00\xff])").match(frame, at)
    if found is None:
        raise _broken("no marker where one must be")
    return found[1][0], found.end()


def _length(frame: bytes, at: int) -> int:
    """Length of a segment, its own two bytes included."""
    length = int.from_bytes(frame[at : at + 2])
    if length < 2 or at + length > len(frame):
        raise _broken("a segment leaves the image")
    return length


def bare_jpeg_2000(frame: bytes) -> bytes:
    """A JPEG 2000 codestream (ITU-T T.800 annex A) without comments and pointer segments.

    Raises:
        UnreadableError: `codestream`: it is none (JP2 boxes have no place in DICOM), or has no end.
    """
    if frame[:2] != _SOC:
        raise _broken("no JPEG 2000 codestream")
    head, at = _headers(frame, 2, _SOT)
    made = [_SOC, head]
    while frame[at : at + 2] == _SOT:
        if _length(frame, at + 2) != 10 or at + 12 > len(frame):
            raise _broken("a tile-part header of another length")
        promised = int.from_bytes(frame[at + 6 : at + 10])
        head, body = _headers(frame, at + 12, _SOD)
        end = at + promised if promised else frame.find(_EOC, body)
        if not body + 2 <= end <= len(frame):
            raise _broken("a tile-part leaves the image")
        data = head + frame[body:end]
        made += [frame[at : at + 6], (12 + len(data)).to_bytes(4), frame[at + 10 : at + 12], data]
        at = end
    if frame[at : at + 2] != _EOC:
        raise _broken("no end of codestream")
    return b"".join(made) + _EOC


def _headers(frame: bytes, at: int, until: bytes) -> tuple[bytes, int]:
    """The segments that stay, and where the marker stands that ends them."""
    made = []
    while frame[at : at + 2] != until:
        if frame[at : at + 1] != b"\xff":
            raise _broken("no marker where one must be")
        end = at + 2 + _length(frame, at + 2)
        if frame[at + 1] in _J2K_MAIN:
            made.append(frame[at:end])
        at = end
    return b"".join(made), at


def _broken(seen: str) -> UnreadableError:
    return UnreadableError("codestream", f"{seen}; a bare codestream with its end wanted")
