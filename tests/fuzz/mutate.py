"""Mutations that know what a DICOM file looks like, each a function of its random numbers."""

import struct
from collections.abc import Callable, Sequence

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator, Sequence[bytes]], bytearray]

LENGTHS = (0, 1, 2, 3, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE)
LONG_LENGTHS = (*LENGTHS, 0xFFFFFFFF)
VRS = b"AEASATCSDADSDTFLFDISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUVZZ\0\0"
VALUES = (
    b"",
    b"\0",
    b"\\" * 40,
    b"1e999",
    b"-1",
    b"nan",
    b"9" * 400,
    b"\x1b$B" * 9,
    b"\xff\xfe\xfd",
    b"../../etc/passwd\0",
    b"%s%n" * 9,
    b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2",
    b"ISO 2022 IR 87\\ISO_IR 999",
    "☃".encode() * 9,
)
DELIMITERS = (b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0")
MARKERS = b"\xc0\xc3\xc4\xd8\xd9\xda\xdb\xdd\xe0\xfe\x4f\x51\x52\x5c\x90\x93\xf7\xf8"
NUMBERS = ((0x28, 0x10), (0x28, 0x11), (0x28, 0x2), (0x28, 0x100), (0x28, 0x101), (0x28, 0x102))


def mutate(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """The content with one to four things wrong.

    Args:
        content: a clean file.
        rng: draws what and where.
        others: files to splice with.
    """
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if len(changed) < 8:
            break
        changed = MUTATIONS[int(rng.integers(len(MUTATIONS)))](changed, rng, others)
    return bytes(changed)


def _at(data: bytes | bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(len(data)))


def _any(some: Sequence[int], rng: np.random.Generator) -> int:
    return some[int(rng.integers(len(some)))]


def _header(data: bytes | bytearray, rng: np.random.Generator) -> int:
    """A place before the pixels, where it matters most."""
    pixels = data.find(b"\xe0\x7f\x10\x00")
    return int(rng.integers(min(128, len(data) - 1), max(pixels, 129) + 8)) % len(data)


def _element(data: bytes | bytearray, rng: np.random.Generator) -> int:
    """Where some element of a group that images have seems to begin."""
    start = _header(data, rng)
    for group in rng.permutation([0x02, 0x08, 0x10, 0x18, 0x20, 0x28, 0x29, 0x7FE0]):
        found = data.find(struct.pack("<H", group), start)
        if found >= 0:
            return found
    return start


def flip(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """Bits flipped, anywhere or in the header."""
    for _ in range(int(rng.integers(1, 9))):
        at = _header(data, rng) if rng.random() < 0.7 else _at(data, rng)
        data[at] ^= 1 << int(rng.integers(8))
    return data


def overwrite(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """A stretch of other bytes."""
    at, count = _header(data, rng), int(rng.integers(1, 40))
    fill = (rng.bytes(count), bytes(count), b"\xff" * count)[int(rng.integers(3))]
    data[at : at + count] = fill[: len(data[at : at + count])]
    return data


def length(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """An element that claims another length, short or long."""
    at = _element(data, rng)
    if rng.random() < 0.5:
        data[at + 6 : at + 8] = struct.pack("<H", _any(LENGTHS, rng) & 0xFFFF)
    else:
        where = at + (4 if rng.random() < 0.5 else 8)
        data[where : where + 4] = struct.pack("<I", _any(LONG_LENGTHS, rng))
    return data


def representation(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """An element of another value representation."""
    at, kind = _element(data, rng), 2 * int(rng.integers(len(VRS) // 2))
    data[at + 4 : at + 6] = VRS[kind : kind + 2]
    return data


def remove(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """A stretch missing."""
    at = _element(data, rng)
    del data[at : at + int(rng.integers(1, 60))]
    return data


def repeat(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """A stretch twice, or many times."""
    at, count = _element(data, rng), int(rng.integers(2, 80))
    data[at:at] = bytes(data[at : at + count]) * int(rng.choice([1, 1, 2, 50]))
    return data


def truncate(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """The end missing."""
    return data[: _header(data, rng) if rng.random() < 0.5 else _at(data, rng)]


def insert(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """Values that parsers stumble over, in place of others or between them."""
    at, value = _element(data, rng), VALUES[int(rng.integers(len(VALUES)))]
    if rng.random() < 0.5:
        data[at + 8 : at + 8 + len(value)] = value
    else:
        data[at:at] = value
    return data


def nest(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """Sequences, items and delimiters where there were none."""
    at = _element(data, rng)
    item = DELIMITERS[int(rng.integers(3))] + struct.pack("<I", _any(LONG_LENGTHS, rng))
    opened = b"\x08\x00\x40\x11SQ\0\0" + struct.pack("<I", _any(LONG_LENGTHS, rng)) + item
    data[at:at] = (item, opened, opened * 30)[int(rng.integers(3))]
    return data


def number(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """Rows, columns, samples or bits of another size."""
    tag = struct.pack("<HH", *NUMBERS[int(rng.integers(len(NUMBERS)))])
    at = data.find(tag)
    if at >= 0:
        data[at + 8 : at + 10] = struct.pack("<H", _any(LENGTHS, rng) & 0xFFFF)
    return data


def splice(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """The start of one file and the end of another."""
    other = others[int(rng.integers(len(others)))]
    return data[: _at(data, rng)] + bytearray(other[_at(other, rng) :])


def frame(data: bytearray, rng: np.random.Generator, others: Sequence[bytes]) -> bytearray:
    """Something wrong in the pixels: codec markers, fragment lengths, coded bytes."""
    pixels = data.find(b"\xe0\x7f\x10\x00")
    if not 0 <= pixels < len(data) - 13:
        return data
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(pixels + 8, len(data)))
        kind = rng.random()
        if kind < 0.4:
            data[at] = int(rng.integers(256))
        elif kind < 0.7:
            data[at - 1 : at + 1] = bytes([0xFF, MARKERS[int(rng.integers(len(MARKERS)))]])
        elif kind < 0.85:
            marked = data.find(b"\xff", at)
            data[marked + 2 : marked + 4] = struct.pack(">H", _any(LENGTHS, rng) & 0xFFFF)
        else:
            data[pixels + 16 : pixels + 20] = struct.pack("<I", _any(LONG_LENGTHS, rng))
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip,
    overwrite,
    length,
    representation,
    remove,
    repeat,
    truncate,
    insert,
    nest,
    number,
    splice,
    frame,
    frame,
    frame,
)
"""Drawn alike; the pixels, which the codecs see, more often."""
