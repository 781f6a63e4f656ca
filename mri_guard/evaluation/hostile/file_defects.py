"""What can be wrong with one file of a series: bytes, structure, values, pixels."""

import struct
from collections.abc import Callable

from mri_guard.evaluation.hostile.part10 import (
    ITEM_END,
    Element,
    File,
    fragments,
    item,
)
from mri_guard.records.structure import UNDEFINED

Edit = Callable[[File], None]

SYNTAX = 0x00020010
RLE = "1.2.840.10008.1.2.5"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
PIXELS = 0x7FE00010
PHANTOM_ROOT = "1.2.826.0.1.3680043.8.498."


def whole(content: bytes) -> Edit:
    """Something else in place of the file."""

    def edit(file: File) -> None:
        file.whole = content

    return edit


def preamble(start: bytes) -> Edit:
    """A preamble by which the file is something else too."""

    def edit(file: File) -> None:
        file.preamble = start.ljust(128, b"\0")

    return edit


def cut(share: float) -> Edit:
    """The end of the file is missing."""

    def edit(file: File) -> None:
        content = file.encode()
        file.whole = content[: int(share * len(content))]

    return edit


def tail(content: bytes) -> Edit:
    """Bytes behind the end."""

    def edit(file: File) -> None:
        file.tail = content

    return edit


def put(tag: int, value: bytes | str, vr: bytes | None = None) -> Edit:
    """A value."""

    def edit(file: File) -> None:
        file.set(tag, value, vr)

    return edit


def without(*tags: int) -> Edit:
    """Elements missing."""

    def edit(file: File) -> None:
        for tag in tags:
            file.remove(tag)

    return edit


def claim(tag: int, length: int) -> Edit:
    """An element of another length than it claims."""

    def edit(file: File) -> None:
        file.lie(tag, length)

    return edit


def add(*elements: Element) -> Edit:
    """Further elements."""

    def edit(file: File) -> None:
        for element in elements:
            file.add(element)

    return edit


def both(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(file: File) -> None:
        for one in edits:
            one(file)

    return edit


def number(tag: int, value: int) -> Edit:
    """A US value."""
    return put(tag, struct.pack("<H", value))


def encapsulated(syntax: str, *parts: bytes, table: bytes = b"") -> Edit:
    """Fragments in place of the pixels."""

    def edit(file: File) -> None:
        file.set(SYNTAX, syntax)
        file.remove(PIXELS)
        file.data.append(Element(PIXELS, b"OB", fragments(*parts, table=table), UNDEFINED))

    return edit


def nested(depth: int) -> Element:
    """A sequence in a sequence in a sequence."""
    inner = Element(0x00081140, b"SQ", b"")
    for _ in range(depth):
        inner = Element(0x00081140, b"SQ", item(inner))
    return inner


def swapped(file: File) -> None:
    """Two elements in the wrong order."""
    at = next(i for i, element in enumerate(file.data) if element.tag == 0x00280010)
    file.data[at], file.data[at + 1] = file.data[at + 1], file.data[at]


def doubled(file: File) -> None:
    """Rows twice, with two values: which one allocates, and which one reads?"""
    file.add(Element(0x00280010, b"US", struct.pack("<H", 512)))


def no_preamble(file: File) -> None:
    """The file meta first, without preamble and prefix."""
    file.whole = file.encode()[132:]


def no_part10(file: File) -> None:
    """A data set alone, without preamble and file meta."""
    file.whole = b"".join(element.encode() for element in file.data)


def odd_length(file: File) -> None:
    """A value of odd length (PS3.5 section 7.1.1 wants even ones)."""
    at = next(i for i, element in enumerate(file.data) if element.tag == 0x00081030)
    file.data[at] = Element(0x00081030, b"LO", b"ODD")


def stray_delimiter(file: File) -> None:
    """The end of an item that never began."""
    file.whole = file.encode().replace(
        file.data[5].encode(),
        struct.pack("<HHI", ITEM_END >> 16, ITEM_END & 0xFFFF, 0) + file.data[5].encode(),
        1,
    )


def renamed(vr: bytes) -> Edit:
    """Rows in another value representation."""

    def edit(file: File) -> None:
        at = next(i for i, element in enumerate(file.data) if element.tag == 0x00280010)
        file.data[at] = Element(0x00280010, vr, file.data[at].value)

    return edit


def archive(start: int) -> bytes:
    """An empty zip's end, as a reader that looks from behind finds it."""
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 46, start, 0)


def zip_behind(file: File) -> None:
    """A zip archive appended, as data set trailing padding: two files in one."""
    entry = b"PK\x01\x02" + bytes(42)
    content = entry + archive(len(file.encode()) + 12)
    file.tail = Element(0xFFFCFFFC, b"OB", content + b"\0" * (len(content) % 2)).encode()
    if len(content) % 2:
        file.tail = Element(0xFFFCFFFC, b"OB", b"\0" + content).encode()


def half_pixels(file: File) -> None:
    """Half of the pixels, in an element that says so."""
    file.set(PIXELS, file.get(PIXELS)[: len(file.get(PIXELS)) // 2])


def more_pixels(file: File) -> None:
    """A hundred bytes more than the header tells of."""
    file.set(PIXELS, file.get(PIXELS) + bytes(100))


NOISE = bytes((7 * at * at + at // 3) % 251 for at in range(4096))
HEADERLESS_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64)
MACHO, FAT_MACHO = b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"

FILE_DEFECTS: tuple[tuple[str, tuple[str, ...], Edit], ...] = (
    # the file
    ("file-empty", ("file-empty",), whole(b"")),
    ("file-of-text", ("not-dicom",), whole(b"This is no image.\n" * 40)),
    ("file-a-jpeg", ("not-dicom",), whole(HEADERLESS_JPEG)),
    ("file-of-noise", ("not-dicom",), whole(NOISE)),
    ("file-cut-in-preamble", ("not-dicom",), whole(bytes(100))),
    (
        "file-cut-in-header",
        ("length-beyond-end",),
        cut(0.004),
    ),
    ("file-cut-in-pixels", ("pixel-data-short",), cut(0.6)),
    (
        "bytes-behind-the-end",
        ("trailing-bytes",),
        tail(b"\x01" * 333),
    ),
    ("zip-behind-the-end", ("archive-at-end",), zip_behind),
    # the preamble
    ("preamble-pe", ("preamble-not-empty",), preamble(b"MZ\x90\x00")),
    ("preamble-elf", ("preamble-not-empty",), preamble(b"\x7fELF\x02\x01\x01")),
    ("preamble-macho", ("preamble-not-empty",), preamble(MACHO)),
    ("preamble-fat-macho", ("preamble-not-empty",), preamble(FAT_MACHO)),
    ("preamble-script", ("preamble-not-empty",), preamble(b"#!/bin/sh\nid\n")),
    ("preamble-zip", ("preamble-not-empty",), preamble(b"PK\x03\x04")),
    ("preamble-gzip", ("preamble-not-empty",), preamble(b"\x1f\x8b\x08")),
    ("preamble-tiff", ("preamble-not-empty",), preamble(b"II*\x00\x08\x00\x00\x00")),
    ("preamble-pdf", ("preamble-not-empty",), preamble(b"%PDF-1.7\n")),
    ("preamble-html", ("preamble-not-empty",), preamble(b"<html><script>")),
    # the file meta
    ("meta-length-wrong", ("meta-length",), lambda file: setattr(file, "meta_length", 70000)),
    ("meta-other-class", ("meta-contradicted",), put(0x00020002, "1.2.840.10008.5.1.4.1.1.2")),
    ("meta-other-instance", ("meta-contradicted",), put(0x00020003, "1.2.3.4")),
    (
        "syntax-of-compressed-missing",
        ("transfer-syntax-missing",),
        both(encapsulated(RLE, bytes(64)), without(SYNTAX)),
    ),
    ("syntax-unknown", ("transfer-syntax",), put(SYNTAX, "1.2.3.4.5")),
    ("syntax-deflated", ("transfer-syntax",), put(SYNTAX, "1.2.840.10008.1.2.1.99")),
    ("syntax-mpeg", ("transfer-syntax",), put(SYNTAX, "1.2.840.10008.1.2.4.100")),
    ("syntax-compressed-pixels-native", ("transfer-syntax-contradicted",), put(SYNTAX, RLE)),
    # the structure
    (
        "length-past-the-end",
        (
            "length-beyond-end",
            "vr-unknown",
        ),
        claim(0x00081030, 60000),
    ),
    ("pixel-length-past-the-end", ("pixel-data-short",), claim(PIXELS, 2**31)),
    ("length-odd", ("length-odd",), odd_length),
    ("delimiter-stray", ("delimiter-stray",), stray_delimiter),
    (
        "length-undefined-of-text",
        ("length-undefined",),
        both(put(0x00081030, "X", b"UT"), claim(0x00081030, UNDEFINED)),
    ),
    ("sequence-too-deep", ("nested-too-deep",), add(nested(200))),
    (
        "items-too-many",
        ("too-many-elements",),
        add(Element(0x00081140, b"SQ", item() * 500_000)),
    ),
    (
        "private-too-large",
        ("private-too-large",),
        add(
            Element(0x00290010, b"LO", b"SOMEBODY"),
            Element(0x00291010, b"OB", bytes(20 * 2**20)),
        ),
    ),
    (
        "private-without-creator",
        ("private-without-creator",),
        add(Element(0x00291010, b"LO", b"NOBODY")),
    ),
    ("tag-twice", ("tag-twice",), doubled),
    ("tags-out-of-order", ("tags-out-of-order",), swapped),
    # the values
    ("vr-unknown", ("vr-unknown",), renamed(b"ZZ")),
    ("vr-of-another-kind", ("vr-contradicted",), renamed(b"LO")),
    ("uid-of-letters", ("uid-malformed",), put(0x0020000D, "1.2.A.3")),
    ("uid-too-long", ("uid-malformed",), put(0x0020000E, "1." + "2" * 90)),
    ("uid-with-leading-zero", ("uid-malformed",), put(0x00200052, "1.02.3")),
    ("decimal-of-letters", ("value-malformed",), put(0x00180050, "five")),
    (
        "decimal-infinite",
        (
            "value-malformed",
            "acquisition-mixed",
        ),
        put(0x00180050, "1e999"),
    ),
    ("integer-of-letters", ("value-malformed",), put(0x00200013, "one")),
    (
        "code-in-lower-case",
        (
            "value-malformed",
            "modality",
        ),
        put(0x00080060, "mr"),
    ),
    ("date-impossible", ("value-malformed",), put(0x00080020, "20261341")),
    ("time-impossible", ("value-malformed",), put(0x00080030, "256199")),
    ("charset-unknown", ("character-set",), put(0x00080005, "ISO_IR 999", b"CS")),
    (
        "text-not-in-charset",
        ("text-not-decodable",),
        both(put(0x00080005, "ISO_IR 192", b"CS"), put(0x00081030, b"\xff\xfe\xff\xfe")),
    ),
    (
        "text-with-control-characters",
        ("control-characters",),
        put(0x00081030, b"A\x00\x1b[2J\x07\x08"),
    ),
    # what it is
    (
        "class-ct",
        ("sop-class",),
        both(
            put(0x00080016, "1.2.840.10008.5.1.4.1.1.2"),
            put(0x00020002, "1.2.840.10008.5.1.4.1.1.2"),
        ),
    ),
    (
        "class-secondary-capture",
        ("sop-class",),
        both(
            put(0x00080016, "1.2.840.10008.5.1.4.1.1.7"),
            put(0x00020002, "1.2.840.10008.5.1.4.1.1.7"),
        ),
    ),
    ("modality-ct", ("modality",), put(0x00080060, "CT")),
    ("modality-missing", ("modality",), without(0x00080060)),
    ("image-a-screenshot", ("image-type",), put(0x00080008, "DERIVED\\SECONDARY\\SCREEN SAVE")),
    ("text-burned-in", ("burned-in-annotation",), put(0x00280301, "YES", b"CS")),
    # the pixels
    ("pixels-in-colour", ("photometric",), both(put(0x00280004, "RGB"), number(0x00280002, 3))),
    ("pixels-inverted", ("photometric",), put(0x00280004, "MONOCHROME1")),
    ("bits-stored-over-allocated", ("bits",), number(0x00280101, 20)),
    ("high-bit-off", ("bits",), number(0x00280102, 15)),
    ("bits-allocated-odd", ("bits",), number(0x00280100, 13)),
    ("rows-none", ("matrix-not-sane",), number(0x00280010, 0)),
    ("rows-missing", ("matrix-not-sane",), without(0x00280010)),
    (
        "bomb-of-rows",
        ("matrix-not-sane",),
        both(number(0x00280010, 65535), number(0x00280011, 65535)),
    ),
    ("bomb-of-frames", ("too-many-voxels", "frame-count"), put(0x00280008, "2000000000", b"IS")),
    ("frames-negative", ("matrix-not-sane",), put(0x00280008, "-1", b"IS")),
    ("pixels-missing", ("pixel-data-missing",), without(PIXELS)),
    ("pixels-cut", ("pixel-data-short",), half_pixels),
    ("pixels-too-many", ("pixel-data-long",), more_pixels),
    ("slope-nought", ("rescale",), both(put(0x00281052, "0", b"DS"), put(0x00281053, "0", b"DS"))),
    (
        "slope-not-a-number",
        (
            "value-malformed",
            "rescale",
        ),
        put(0x00281053, "NaN", b"DS"),
    ),
    (
        "fragment-past-the-end",
        (
            "fragments-broken",
            "length-beyond-end",
        ),
        both(encapsulated(RLE, bytes(64)), cut(0.95)),
    ),
    ("fragments-none", ("fragment-count",), encapsulated(RLE)),
    (
        "offset-table-wrong",
        ("offset-table",),
        encapsulated(RLE, bytes(64), table=struct.pack("<I", 4000)),
    ),
    (
        "fragment-of-noise-rle",
        (
            "pixels-do-not-decode",
            "decoder-died",
            "compression-ratio",
        ),
        encapsulated(RLE, b"\x05\x00\x00\x00" + bytes(range(250))),
    ),
    (
        "fragment-of-noise-jpeg2000",
        (
            "pixels-do-not-decode",
            "decoder-died",
            "compression-ratio",
        ),
        encapsulated(JPEG_2000, bytes(range(256))),
    ),
    # the place
    ("position-missing", ("geometry-missing",), without(0x00200032)),
    ("position-of-two-numbers", ("geometry-missing",), put(0x00200032, "1\\2")),
    ("orientation-not-square", ("geometry-not-sane",), put(0x00200037, "1\\0\\0\\1\\0\\0")),
    ("pixel-spacing-nought", ("geometry-not-sane",), put(0x00280030, "0\\0")),
    ("pixel-spacing-negative", ("geometry-not-sane",), put(0x00280030, "-1\\1")),
    (
        "image-of-tiles",
        (
            "mosaic",
            "image-type",
        ),
        put(0x00080008, "ORIGINAL\\PRIMARY\\M\\MOSAIC"),
    ),
)
"""Name, reasons that name it rightly, and what is done to one file of the series."""

REPAIRABLE: tuple[tuple[str, Edit], ...] = (
    ("file-without-preamble", no_preamble),
    ("file-without-part10", no_part10),
    ("syntax-of-native-missing", without(SYNTAX)),
)
"""Name, and what is done to one file of a series that must be accepted all the same."""
