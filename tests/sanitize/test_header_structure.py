"""How a file is put together: each reason of the checks that need no value."""

import struct
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage

from mri_guard.ports import HeaderCheck
from mri_guard.readers import read_header
from mri_guard.records import Flaw, Rejection
from mri_guard.sanitize import HEADER_CHECKS
from mri_guard.sanitize.header_checks.element_lengths import ElementLengths
from mri_guard.sanitize.header_checks.file_meta import FileMeta
from mri_guard.sanitize.header_checks.fragments import Fragments
from mri_guard.sanitize.header_checks.nesting import Nesting
from mri_guard.sanitize.header_checks.parsers_agree import ParsersAgree
from mri_guard.sanitize.header_checks.pixel_geometry import PixelGeometry
from mri_guard.sanitize.header_checks.preamble import Preamble
from mri_guard.sanitize.header_checks.private_elements import PrivateElements
from mri_guard.sanitize.header_checks.tag_order import TagOrder
from mri_guard.sanitize.header_checks.value_representations import ValueRepresentations
from tests.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    element,
    implicit,
    item,
    meta,
    open_item,
)
from tests.readers.test_structure import BROKEN

PIXELS = element(0x7FE00010, b"OW", b"\0" * 32)
CREATOR = element(0x00290010, b"LO", b"MAKER 1 ")
CLASS = element(0x00080016, b"UI", MRImageStorage.encode() + b"\0")
INSTANCE = element(0x00080018, b"UI", b"1.2.3.4\0")


def judge(check: HeaderCheck, content: bytes, folder: Path) -> str:
    """The reason that one check gives for these bytes; empty when it has none."""
    path = folder / "made.dcm"
    path.write_bytes(content)
    rejection = check(read_header(path))
    return rejection.reason if rejection else ""


BY_CHECK: dict[str, set[Flaw]] = {
    "meta": {Flaw.META_BROKEN, Flaw.META_LENGTH},
    "representations": {Flaw.ENCODING_CONTRADICTED, Flaw.VR_UNKNOWN},
    "nesting": {Flaw.NESTED_TOO_DEEP, Flaw.TOO_MANY_ELEMENTS},
    "order": {Flaw.TAG_TWICE, Flaw.TAGS_OUT_OF_ORDER, Flaw.GROUP_NOT_ALLOWED},
    "fragments": {Flaw.FRAGMENTS_BROKEN},
}
CHECK_OF: dict[str, HeaderCheck] = {
    "meta": FileMeta(),
    "representations": ValueRepresentations(),
    "nesting": Nesting(),
    "order": TagOrder(),
    "fragments": Fragments(),
}


def check_for(flaw: Flaw) -> HeaderCheck:
    return next(
        (CHECK_OF[name] for name, flaws in BY_CHECK.items() if flaw in flaws), ElementLengths()
    )


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        pytest.param(content, flaw, id=name)
        for name, content, flaw in BROKEN
        if flaw is not Flaw.PIXELS_BEYOND_END  # told by the matrix, see below
    ],
)
def test_refuses_each_flaw_of_the_walk_by_its_name(
    content: bytes, flaw: Flaw, tmp_path: Path
) -> None:
    assert judge(check_for(flaw), content, tmp_path) == flaw


def test_refuses_more_elements_than_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mri_guard.readers.structure.walk.__defaults__", (100, 16))
    content = meta() + element(0x00081140, b"SQ", item() * 200) + PIXELS
    assert judge(Nesting(), content, tmp_path) == "too-many-elements"


def test_refuses_pixels_that_claim_more_than_there_is(tmp_path: Path) -> None:
    matrix = (
        element(0x00280010, b"US", b"\4\0")
        + element(0x00280011, b"US", b"\4\0")
        + element(0x00280100, b"US", b"\x10\0")
    )
    lying = element(0x7FE00010, b"OW", b"\0" * 32, length=0x7FFFFFF0)
    assert judge(PixelGeometry(), meta() + matrix + PIXELS, tmp_path) == ""
    assert judge(PixelGeometry(), meta() + matrix + lying, tmp_path) == "pixel-data-short"


PREAMBLES: list[tuple[str, bytes]] = [
    ("PE", b"MZ\x90\0"),
    ("ELF", b"\x7fELF\2\1\1"),
    ("Mach-O 32", b"\xce\xfa\xed\xfe"),
    ("Mach-O 64", b"\xcf\xfa\xed\xfe"),
    ("Mach-O big-endian", b"\xfe\xed\xfa\xcf"),
    ("Mach-O fat", b"\xca\xfe\xba\xbe\0\0\0\2"),
    ("WebAssembly", b"\0asm\1\0\0\0"),
    ("script", b"#!/bin/sh\n"),
    ("batch script", b"@echo off\r\n"),
    ("zip", b"PK\3\4"),
    ("gzip", b"\x1f\x8b\x08"),
    ("bzip2", b"BZh9"),
    ("xz", b"\xfd7zXZ\0"),
    ("7z", b"7z\xbc\xaf\x27\x1c"),
    ("RAR", b"Rar!\x1a\7"),
    ("PDF", b"%PDF-1.7"),
    ("PDF further in", b"\0" * 100 + b"%PDF-1.4\n"),
    ("HTML", b"<!DOCTYPE html><script>"),
    ("HTML behind spaces", b" \r\n\t<HTML>"),
    ("XML", b"<?xml version"),
    ("Office", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("JPEG", b"\xff\xd8\xff\xe0"),
    ("BigTIFF", b"II+\0\x08\0\0\0\x10"),
]


@pytest.mark.parametrize("start", [pytest.param(start, id=name) for name, start in PREAMBLES])
def test_refuses_a_preamble_that_is_something_else(start: bytes, tmp_path: Path) -> None:
    content = meta() + PIXELS
    assert judge(Preamble(), start + content[len(start) :], tmp_path) == "preamble-not-empty"


def test_refuses_a_tar_archive_within_the_header(tmp_path: Path) -> None:
    content = bytearray(meta() + element(0x0008103E, b"LO", b" " * 200) + PIXELS)
    content[257:262] = b"ustar"
    assert judge(Preamble(), bytes(content), tmp_path) == "preamble-not-empty"


def test_refuses_a_zip_that_is_read_from_the_end(tmp_path: Path) -> None:
    end = b"PK\5\6" + b"\0" * 18
    padding = element(0xFFFCFFFC, b"OB", b"\0" * 10 + end)
    assert judge(Preamble(), meta() + PIXELS + padding, tmp_path) == "archive-at-end"
    hidden = element(0x7FE00010, b"OW", b"\0" * 10 + end)
    assert judge(Preamble(), meta() + hidden, tmp_path) == "archive-at-end"


def dual(strip: int, count: int = 1) -> bytes:
    """A DICOM file that is a TIFF too: its directory in the padding, pointing to one strip."""
    body = meta() + PIXELS
    entry = struct.pack("<HHII", 273, 4, count, strip)
    directory = struct.pack("<H", 1) + entry + b"\0\0\0\0"
    at = len(body) + 12
    return b"II*\0" + struct.pack("<I", at) + (body + element(0xFFFCFFFC, b"OB", directory))[8:]


def test_accepts_a_tiff_that_shows_the_same_pixels(tmp_path: Path) -> None:
    assert judge(Preamble(), dual(len(meta()) + 12), tmp_path) == ""


@pytest.mark.parametrize(("strip", "count"), [(0, 1), (400, 2), (100_000, 1)])
def test_refuses_a_tiff_that_shows_another_picture(strip: int, count: int, tmp_path: Path) -> None:
    assert judge(Preamble(), dual(strip, count), tmp_path) == "preamble-not-empty"


@pytest.mark.parametrize("start", [b"\0" * 128, b"II*\0\0\0\0\x10", b"leftover buffer", b"MM\0*"])
def test_accepts_preambles_that_nothing_opens(start: bytes, tmp_path: Path) -> None:
    content = meta() + PIXELS
    assert judge(Preamble(), start + content[len(start) :], tmp_path) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (meta() + CLASS + INSTANCE, ""),
        (meta(), ""),
        (meta(instance="1.2.3.5") + CLASS + INSTANCE, "meta-contradicted"),
        (meta(sop_class=CTImageStorage) + CLASS + INSTANCE, "meta-contradicted"),
        (meta(length_off=4) + CLASS + INSTANCE, "meta-length"),
    ],
)
def test_compares_file_and_data_set(content: bytes, reason: str, tmp_path: Path) -> None:
    assert judge(FileMeta(), content + PIXELS, tmp_path) == reason


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (CREATOR + element(0x00291001, b"LO", b"ab"), ""),
        (element(0x00291001, b"LO", b"ab"), "private-without-creator"),
        (CREATOR + element(0x00291101, b"LO", b"ab"), "private-without-creator"),
        (element(0x00081140, b"SQ", item(element(0x00291001, b"LO", b"ab"))), ""),
        (CREATOR + element(0x00291001, b"OB", b"\0" * 600), "private-too-large"),
        (
            CREATOR
            + element(0x00291001, b"OB", b"\0" * 300) * 1
            + element(0x00291002, b"OB", b"\0" * 300),
            "private-too-large",
        ),
    ],
)
def test_asks_whose_private_elements_are(elements: bytes, reason: str, tmp_path: Path) -> None:
    content = meta() + elements + PIXELS
    assert judge(PrivateElements(max_bytes=500), content, tmp_path) == reason


def test_notices_a_header_that_pydicom_reads_differently(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(meta() + CLASS + INSTANCE + PIXELS)
    header = read_header(path)
    assert ParsersAgree()(header) is None
    assert header.dataset is not None
    del header.dataset["SOPInstanceUID"]
    assert ParsersAgree()(header) == Rejection(
        "parsers-disagree", "(0008,0018) is read differently"
    )


@pytest.mark.parametrize(
    "elements",
    [
        # pydicom takes a VR of two letters that does not exist for one with a short length
        CLASS + element(0x00080060, b"QQ", b"MR") + PIXELS,
        # ... switches to implicit VR for one element
        CLASS + implicit(0x00080060, b"MR") + PIXELS,
    ],
)
def test_refuses_what_two_parsers_may_read_differently(elements: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(meta() + elements)
    header = read_header(path)
    refusing = [check.name for check in HEADER_CHECKS if check(header)]
    assert {"value_representations", "parsers_agree"} <= set(refusing)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (element(0x00280010, b"US", b"\4\0"), ""),
        (element(0x00280010, b"SS", b"\4\0"), ""),
        (element(0x00280010, b"UN", b"\4\0"), ""),
        (element(0x0008103E, b"SH", b"t1"), ""),
        (element(0x00280010, b"IS", b"4 "), "vr-contradicted"),
        (element(0x00280030, b"FD", b"\0" * 16), "vr-contradicted"),
        (element(0x00081140, b"OB", b"\0" * 8), "vr-contradicted"),
        (element(0x0008103E, b"SQ", item()), "vr-contradicted"),
        (
            CREATOR + element(0x00291001, b"SQ", item(element(0x00280010, b"IS", b"4 "))),
            "vr-contradicted",
        ),
    ],
)
def test_compares_representations_with_the_dictionary(
    elements: bytes, reason: str, tmp_path: Path
) -> None:
    assert judge(ValueRepresentations(), meta() + elements + PIXELS, tmp_path) == reason


def compressed(
    fragments: list[bytes], table: bytes = b"", frames: int = 1, before: bytes = b"", side: int = 4
) -> bytes:
    """Encapsulated pixels of so many frames of 8 bits."""
    sides = struct.pack("<H", side)
    header = (
        element(0x00280008, b"IS", f"{frames:<4d}".encode())
        + element(0x00280010, b"US", sides)
        + element(0x00280011, b"US", sides)
        + element(0x00280100, b"US", b"\x08\0")
        + before
    )
    items = b"".join(implicit(0xFFFEE000, one) for one in [table, *fragments])
    pixels = element(0x7FE00010, b"OB", items + SEQUENCE_END, UNDEFINED)
    return meta("1.2.840.10008.1.2.4.90") + header + pixels


def extended(offsets: list[int], lengths: list[int]) -> bytes:
    return element(0x7FE00001, b"OV", struct.pack(f"<{len(offsets)}Q", *offsets)) + element(
        0x7FE00002, b"OV", struct.pack(f"<{len(lengths)}Q", *lengths)
    )


A, B = b"a" * 10, b"b" * 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(content, reason, id=name)
        for name, content, reason in [
            ("one fragment, no table", compressed([A]), ""),
            ("one frame in two fragments", compressed([A, B]), ""),
            ("a fragment a frame", compressed([A, B], frames=2), ""),
            ("a table", compressed([A, B], struct.pack("<II", 0, 18), 2), ""),
            ("a table over split frames", compressed([A, B, B], struct.pack("<II", 0, 32), 2), ""),
            ("an extended table", compressed([A, B], b"", 2, extended([0, 18], [10, 6])), ""),
            ("odd frames", compressed([A, B], b"", 2, extended([0, 18], [9, 6])), ""),
            ("fewer fragments than frames", compressed([A], frames=2), "fragment-count"),
            ("no fragments", compressed([], frames=1), "fragment-count"),
            ("which frame?", compressed([A, B, B], frames=2), "fragment-count"),
            ("too short a table", compressed([A, B], b"\0" * 4, 2), "offset-table"),
            ("no first place", compressed([A, B], struct.pack("<II", 18, 0), 2), "offset-table"),
            ("between items", compressed([A, B], struct.pack("<II", 0, 12), 2), "offset-table"),
            ("a place twice", compressed([A, B], struct.pack("<II", 0, 0), 2), "offset-table"),
            ("beyond", compressed([A, B], struct.pack("<II", 0, 9999), 2), "offset-table"),
            (
                "two tables",
                compressed([A, B], struct.pack("<II", 0, 18), 2, extended([0, 18], [10, 6])),
                "offset-table",
            ),
            (
                "extended, wrong lengths",
                compressed([A, B], b"", 2, extended([0, 18], [10, 600])),
                "offset-table",
            ),
            (
                "extended, wrong places",
                compressed([A, B], b"", 2, extended([0, 19], [10, 6])),
                "offset-table",
            ),
            (
                "extended, one place",
                compressed([A, B], b"", 2, extended([0], [10])),
                "offset-table",
            ),
            ("stuffed", compressed([b"x" * 70_000]), "compression-ratio"),
        ]
    ],
)
def test_places_each_frame(content: bytes, reason: str, tmp_path: Path) -> None:
    assert judge(Fragments(), content, tmp_path) == reason


def test_refuses_a_decompression_bomb_by_arithmetic(tmp_path: Path) -> None:
    bomb = compressed([A] * 20, frames=20, side=4000)
    assert judge(Fragments(), bomb, tmp_path) == "compression-ratio"
    blank = compressed([A], side=512)  # an empty slice compresses well and costs little
    assert judge(Fragments(), blank, tmp_path) == ""


def test_wants_one_fragment_a_frame_of_run_lengths(tmp_path: Path) -> None:
    content = compressed([A, B]).replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.5\0\0\0")
    assert judge(Fragments(), content, tmp_path) == "fragment-count"


def test_accepts_open_items_and_sequences(tmp_path: Path) -> None:
    sequence = element(
        0x00081140, b"SQ", open_item(element(0x00081150, b"UI", b"1.2\0")) + SEQUENCE_END, UNDEFINED
    )
    content = meta() + CLASS + INSTANCE + sequence + PIXELS
    for check in (ElementLengths(), TagOrder(), ParsersAgree(), ValueRepresentations(), Nesting()):
        assert judge(check, content, tmp_path) == ""
