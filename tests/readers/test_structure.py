import io
import struct
import time
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, Sequence, dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from mri_guard.readers.structure import walk
from mri_guard.records import Flaw, Structure
from tests.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    element,
    implicit,
    item,
    meta,
    open_item,
)
from tests.dicom_files import enhanced_mr, mr_slices, write

ROWS = element(0x00280010, b"US", b"\4\0")
PIXELS = element(0x7FE00010, b"OW", b"\0" * 32)
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


def flaws(structure: Structure) -> list[Flaw]:
    return [problem.flaw for problem in structure.problems]


def test_finds_each_element_where_it_lies() -> None:
    image_type = element(0x00080008, b"CS", b"ORIGINAL")
    nested = element(0x00081140, b"SQ", item(element(0x00081150, b"UI", b"1.2\0")))
    content = meta() + image_type + nested + ROWS + PIXELS
    found = walk(content)
    start = len(meta())
    assert found.problems == ()
    assert found.part10
    assert found.transfer_syntax == ExplicitVRLittleEndian
    assert found.meta_length == found.meta_length_true == start - 144
    assert [(e.tag, e.vr, e.length, e.depth, e.item) for e in found.elements] == [
        (0x00080008, "CS", 8, 0, 0),
        (0x00081140, "SQ", 20, 0, 0),
        (0x00081150, "UI", 4, 1, 1),
        (0x00280010, "US", 2, 0, 0),
        (0x7FE00010, "OW", 32, 0, 0),
    ]
    assert found.value(found.elements[0]) == b"ORIGINAL"
    assert found.value(found.elements[2]) == b"1.2\0"
    assert found.items == found.depth == 1
    assert found.pixels is not None
    assert found.pixels.offset == len(content) - 32
    assert found.head == content[:-32]


def test_lists_fragments_and_their_offset_table() -> None:
    table = struct.pack("<II", 0, 12)
    fragments = implicit(0xFFFEE000, b"abcd") + implicit(0xFFFEE000, b"efghij")
    content = meta(RLELossless) + element(
        0x7FE00010, b"OB", implicit(0xFFFEE000, table) + fragments + SEQUENCE_END, UNDEFINED
    )
    found = walk(content)
    assert found.problems == ()
    assert found.pixels is not None
    assert found.pixels.offset_table == table
    assert [content[at : at + length] for at, length in found.pixels.fragments] == [
        b"abcd",
        b"efghij",
    ]


@pytest.mark.parametrize("last", [0xFFFCFFFC, 0x7FE11010])
def test_allows_elements_that_may_follow_pixels(last: int) -> None:
    assert walk(meta() + PIXELS + element(last, b"OB", b"\0" * 8)).problems == ()


def test_lets_a_private_sequence_be_as_its_maker_wrote_it() -> None:
    backwards = element(0x00291012, b"LO", b"ab") + element(0x00291010, b"LO", b"cd")
    implicit_vr = implicit(0x00291010, b"abcd")
    sequence = element(0x00291020, b"SQ", item(backwards) + item(implicit_vr))
    found = walk(meta() + sequence + PIXELS)
    assert found.problems == ()
    assert len(found.elements) == 5


@pytest.mark.parametrize("syntax", NATIVE)
def test_reads_unknown_of_undefined_length_as_an_implicit_sequence(syntax: UID) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if syntax == ImplicitVRLittleEndian:
        held = implicit(0x00091010, open_item(implicit(0x00081150, b"1.2\0")), UNDEFINED)
    else:
        inner = open_item(implicit(0x00081150, b"1.2\0")) + SEQUENCE_END
        held = element(0x00091010, b"UN", inner, UNDEFINED, order)
    end = SEQUENCE_END if syntax == ImplicitVRLittleEndian else b""
    found = walk(meta(syntax) + held + end)
    assert found.problems == ()
    assert [(e.tag, e.depth) for e in found.elements] == [(0x00091010, 0), (0x00081150, 1)]


def test_does_not_look_into_deflated_data() -> None:
    found = walk(meta(DeflatedExplicitVRLittleEndian) + b"\x4b\x4c\x05\x00" * 100)
    assert found.problems == ()
    assert found.elements == ()
    assert len(found.meta) == 5


SEQ = 0x00081140
BROKEN: list[tuple[str, bytes, Flaw]] = [
    ("meta group length too long", meta(length_off=2) + PIXELS, Flaw.META_LENGTH),
    ("meta group length too short", meta(length_off=-8) + PIXELS, Flaw.META_LENGTH),
    (
        "no meta group length",
        b"\0" * 128 + b"DICM" + element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0") + PIXELS,
        Flaw.META_LENGTH,
    ),
    (
        "meta element beyond the end",
        b"\0" * 128 + b"DICM" + element(0x00020010, b"UI", b"1.2\0", length=4000),
        Flaw.META_BROKEN,
    ),
    (
        "meta in implicit VR",
        b"\0" * 128 + b"DICM" + implicit(0x00020010, b"1.2\0"),
        Flaw.META_BROKEN,
    ),
    ("implicit under explicit", meta() + implicit(0x00080060, b"MR"), Flaw.ENCODING_CONTRADICTED),
    (
        "explicit under implicit",
        meta(ImplicitVRLittleEndian) + element(0x00080060, b"CS", b"MR"),
        Flaw.ENCODING_CONTRADICTED,
    ),
    (
        "implicit item in a public sequence",
        meta() + element(SEQ, b"SQ", item(implicit(0x00081150, b"1.2\0"))) + PIXELS,
        Flaw.ENCODING_CONTRADICTED,
    ),
    ("a VR that is none", meta() + element(0x00080060, b"ZZ", b"MR"), Flaw.VR_UNKNOWN),
    (
        "a switch to implicit VR midway",
        meta() + ROWS + implicit(0x00280011, b"\4\0") + PIXELS,
        Flaw.VR_UNKNOWN,
    ),
    (
        "a value beyond the end",
        meta() + element(0x00080060, b"CS", b"MR", length=400),
        Flaw.LENGTH_BEYOND_END,
    ),
    (
        "a length field cut off",
        meta() + element(0x00420011, b"OB", b"")[:8],
        Flaw.LENGTH_BEYOND_END,
    ),
    (
        "a sequence beyond the end",
        meta() + element(SEQ, b"SQ", item(ROWS), length=900),
        Flaw.LENGTH_BEYOND_END,
    ),
    (
        "a value beyond its item",
        meta() + element(SEQ, b"SQ", item(element(0x00081150, b"UI", b"", length=90))) + PIXELS * 9,
        Flaw.LENGTH_BEYOND_ITEM,
    ),
    (
        "an item beyond its sequence",
        meta() + element(SEQ, b"SQ", implicit(0xFFFEE000, ROWS, 64)) + PIXELS * 9,
        Flaw.LENGTH_BEYOND_ITEM,
    ),
    ("an odd length", meta() + element(0x00080060, b"CS", b"MRI") + PIXELS, Flaw.LENGTH_ODD),
    (
        "undefined length of a text",
        meta() + element(0x00081190, b"UT", b"ab", UNDEFINED),
        Flaw.LENGTH_UNDEFINED,
    ),
    ("a delimiter in the data set", meta() + ROWS + implicit(0xFFFEE00D), Flaw.DELIMITER_STRAY),
    ("an item in the data set", meta() + item(ROWS), Flaw.DELIMITER_STRAY),
    (
        "a sequence that holds elements",
        meta() + element(SEQ, b"SQ", ROWS) + PIXELS,
        Flaw.DELIMITER_STRAY,
    ),
    (
        "a delimiter with a length",
        meta() + element(SEQ, b"SQ", implicit(0xFFFEE0DD, b"ab"), UNDEFINED) + PIXELS,
        Flaw.DELIMITER_STRAY,
    ),
    (
        "a delimiter after a sequence of defined length",
        meta() + element(SEQ, b"SQ", item(ROWS)) + SEQUENCE_END + PIXELS,
        Flaw.DELIMITER_STRAY,
    ),
    (
        "a sequence without its delimiter",
        meta() + element(SEQ, b"SQ", item(ROWS), UNDEFINED),
        Flaw.SEQUENCE_NOT_CLOSED,
    ),
    (
        "an item without its delimiter",
        meta() + element(SEQ, b"SQ", implicit(0xFFFEE000, ROWS, UNDEFINED)),
        Flaw.SEQUENCE_NOT_CLOSED,
    ),
    ("zeros behind the pixels", meta() + PIXELS + b"\0" * 64, Flaw.TRAILING_BYTES),
    ("a few bytes behind the pixels", meta() + PIXELS + b"abc", Flaw.TRAILING_BYTES),
    ("a zip behind the pixels", meta() + PIXELS + b"PK\3\4" + b"\0" * 60, Flaw.TRAILING_BYTES),
    ("a second image behind the pixels", meta() + PIXELS + ROWS, Flaw.TRAILING_BYTES),
    (
        "too deep",
        meta() + (element(SEQ, b"SQ", b"", UNDEFINED) + implicit(0xFFFEE000, b"", UNDEFINED)) * 99,
        Flaw.NESTED_TOO_DEEP,
    ),
    ("a tag twice", meta() + ROWS + ROWS + PIXELS, Flaw.TAG_TWICE),
    (
        "tags out of order",
        meta() + ROWS + element(0x00080060, b"CS", b"MR") + PIXELS,
        Flaw.TAGS_OUT_OF_ORDER,
    ),
    (
        "a tag twice in an item",
        meta() + element(SEQ, b"SQ", item(ROWS, ROWS)) + PIXELS,
        Flaw.TAG_TWICE,
    ),
    (
        "a command element in an item",
        meta() + element(SEQ, b"SQ", item(element(0x00000100, b"US", b"\1\0"))) + PIXELS,
        Flaw.GROUP_NOT_ALLOWED,
    ),
    ("a group that is none", meta() + element(0x00050010, b"LO", b"ab"), Flaw.GROUP_NOT_ALLOWED),
    (
        "pixels beyond the end",
        meta() + element(0x7FE00010, b"OW", b"\0" * 32, length=64),
        Flaw.PIXELS_BEYOND_END,
    ),
    (
        "a fragment beyond the end",
        meta(RLELossless)
        + element(0x7FE00010, b"OB", item() + implicit(0xFFFEE000, b"ab", 80), UNDEFINED),
        Flaw.FRAGMENTS_BROKEN,
    ),
    (
        "fragments without a delimiter",
        meta(RLELossless) + element(0x7FE00010, b"OB", item() + item(b"ab"), UNDEFINED),
        Flaw.FRAGMENTS_BROKEN,
    ),
    (
        "fragments that are no items",
        meta(RLELossless) + element(0x7FE00010, b"OB", item() + ROWS + SEQUENCE_END, UNDEFINED),
        Flaw.FRAGMENTS_BROKEN,
    ),
]


@pytest.mark.parametrize(
    ("content", "flaw"), [pytest.param(content, flaw, id=name) for name, content, flaw in BROKEN]
)
def test_notes_what_does_not_add_up(content: bytes, flaw: Flaw) -> None:
    assert flaws(walk(content)) == [flaw]


def test_says_where_the_flaw_is() -> None:
    start = len(meta())
    (problem,) = walk(meta() + ROWS + ROWS + PIXELS).problems
    assert (problem.tag, problem.offset) == (0x00280010, start + 10)
    assert str(problem) == f"(0028,0010) at byte {start + 10}"


def test_provokes_every_flaw_in_these_tests() -> None:
    provoked = {flaw for _, _, flaw in BROKEN} | {Flaw.TOO_MANY_ELEMENTS}
    assert provoked == set(Flaw)


@pytest.mark.parametrize(
    "content",
    [
        meta() + element(SEQ, b"SQ", item() * 5000) + PIXELS,
        meta() + b"".join(element(0x00100000 + n, b"UN") for n in range(5000)),
        meta(RLELossless) + element(0x7FE00010, b"OB", item() * 5000 + SEQUENCE_END, UNDEFINED),
        b"\0" * 128 + b"DICM" + b"".join(element(0x00020000 + n, b"UN") for n in range(5000)),
    ],
    ids=["items", "elements", "fragments", "meta"],
)
def test_stops_where_the_budget_ends(content: bytes) -> None:
    found = walk(content, max_elements=1000)
    assert Flaw.TOO_MANY_ELEMENTS in flaws(found)
    assert len(found.elements) + found.items <= 1001


def test_stays_within_time_and_memory_on_endless_items() -> None:
    content = meta() + element(SEQ, b"SQ", b"", UNDEFINED) + item() * 500_000
    tracemalloc.start()
    begun = time.perf_counter()
    found = walk(content, max_elements=50_000)
    seconds = time.perf_counter() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Flaw.TOO_MANY_ELEMENTS in flaws(found)
    assert seconds < 5
    assert peak < len(content) + 2**22


@pytest.mark.parametrize(
    ("tail", "seen"),
    [
        (b"PK\5\6" + b"\0" * 18, True),
        (b"PK\5\6" + b"\0" * 16 + b"\5\0hello", True),
        (b"PK\5\6" + b"\0" * 16 + b"\x09\0hello", False),
        (b"PK\5\6", False),
    ],
)
def test_sees_a_zip_directory_that_closes_the_file(tail: bytes, seen: bool) -> None:
    padding = element(0xFFFCFFFC, b"OB", b"\0" * 10 + tail)
    assert walk(meta() + PIXELS + padding).archive_at_end is seen


@pytest.mark.parametrize("content", [b"", b"\0" * 131, b"\0" * 300, b"\xff\xd8\xff" * 90])
def test_finds_no_structure_in_what_is_not_dicom(content: bytes) -> None:
    assert walk(content) == Structure()


@cache
def _written() -> tuple[bytes, ...]:
    compressed = mr_slices()[0]
    compressed.compress(RLELossless)
    with TemporaryDirectory() as folder:
        paths = write([mr_slices()[0], compressed, enhanced_mr()], Path(folder))
        return tuple(path.read_bytes() for path in paths)


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 2),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), max_size=8),
    st.integers(132, 60_000),
)
def test_never_raises_and_stays_within_the_file_whatever_bytes_change(
    which: int, changes: list[tuple[int, bytes]], end: int
) -> None:
    content = bytearray(_written()[which])
    for at, new in changes:
        where = at % len(content)
        content[where : where + len(new)] = new
    mutated = bytes(content[:end])
    found = walk(mutated)
    assert len(found.elements) <= len(mutated) // 8
    assert found.items <= len(mutated) // 8
    assert all(e.offset <= len(mutated) for e in found.elements)
    assert all(problem.offset <= len(mutated) for problem in found.problems)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([*NATIVE, RLELossless, "9.9"]))
def test_never_raises_over_bytes_of_any_kind(body: bytes, syntax: str) -> None:
    assert walk(meta(syntax) + body).part10


_VALUES: list[tuple[int, str, st.SearchStrategy[object]]] = [
    (0x00080008, "CS", st.lists(st.sampled_from(["ORIGINAL", "M", "ND"]), max_size=3)),
    (0x00080018, "UI", st.sampled_from(["1.2.3", "1.2.34.5"])),
    (0x0008103E, "LO", st.text("abc XYZ", max_size=20)),
    (0x00100030, "DA", st.sampled_from(["", "19700101"])),
    (0x00180050, "DS", st.sampled_from(["", "1.5", "-0.25"])),
    (0x00189087, "FD", st.floats(allow_nan=False)),
    (0x00200013, "IS", st.integers(0, 9999)),
    (0x00280010, "US", st.integers(0, 65535)),
    (0x00281052, "DS", st.just("0")),
    (0x00420011, "OB", st.binary(max_size=9).map(lambda b: b + b"\0" * (len(b) % 2))),
    (0x00091001, "UN", st.binary(max_size=9).map(lambda b: b + b"\0" * (len(b) % 2))),
]
_SEQUENCE_TAGS = (0x00081140, 0x00189114, 0x52009229)


@st.composite
def _datasets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    made = Dataset()
    for tag, vr, values in draw(st.lists(st.sampled_from(_VALUES), unique_by=lambda v: v[0])):
        made.add(DataElement(tag, vr, draw(values)))
    if depth:
        for tag in draw(st.lists(st.sampled_from(_SEQUENCE_TAGS), unique=True, max_size=2)):
            items = draw(st.lists(_datasets(depth - 1), max_size=3))
            for one in items:
                one.is_undefined_length_sequence_item = draw(st.booleans())
            sequence = Sequence(items)
            sequence.is_undefined_length = draw(st.booleans())
            made.add(DataElement(tag, "SQ", sequence))
            made[tag].is_undefined_length = sequence.is_undefined_length
    return made


def _tags(dataset: Dataset, depth: int = 0) -> Iterator[tuple[int, int]]:
    for one in dataset:
        yield int(one.tag), depth
        if one.VR == "SQ":
            for held in one.value:
                yield from _tags(held, depth + 1)


@settings(max_examples=150, deadline=None)
@given(_datasets(), st.sampled_from([*NATIVE, RLELossless]))
def test_finds_the_elements_that_pydicom_finds(made: Dataset, syntax: UID) -> None:
    made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, UID("1.2.3.4")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == RLELossless:
        made.PixelData = encapsulate([b"abcdef", b"gh"])
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
    else:
        made.PixelData = b"\0" * 8
        made["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    found = walk(buffer.getvalue())
    assert found.problems == ()
    buffer.seek(0)
    read = dcmread(buffer)
    assert [(e.tag, e.depth) for e in found.elements] == list(_tags(read))
    buffer.seek(0)
    raw = dcmread(buffer)
    for one in found.elements:
        if one.depth == 0 and one.vr != "SQ" and one.length != UNDEFINED:
            theirs: Any = raw.get_item(one.tag)
            if isinstance(theirs, RawDataElement):  # pydicom converts empty values at once
                assert (theirs.value_tell, theirs.length) == (one.offset, one.length)
    assert found.pixels is not None
    if syntax in NATIVE:
        pixels: Any = raw.get_item("PixelData")
        assert (pixels.value_tell, pixels.length) == (found.pixels.offset, found.pixels.length)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_finds_nothing_wrong_with_what_an_mr_scanner_sends(which: int) -> None:
    found = walk(_written()[which])
    assert found.problems == ()
    assert found.pixels is not None
    assert not found.archive_at_end
