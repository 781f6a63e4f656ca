import hashlib
import struct
import time
import tracemalloc
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from mri_guard.errors import LimitError, UnreadableError
from mri_guard.readers import headers
from mri_guard.readers.headers import parse_header, read_header
from mri_guard.readers.values import items, numbers
from mri_guard.sanitize import HEADER_CHECKS
from tests.dicom_files import mr_slices, write, write_series


@cache
def small_file() -> bytes:
    with TemporaryDirectory() as folder:
        return write_series(Path(folder))[0].read_bytes()


def test_reads_everything_before_the_pixels_and_none_of_them(tmp_path: Path) -> None:
    path = write_series(tmp_path)[3]
    header = read_header(path)
    assert header.dataset is not None
    assert header.dataset.InstanceNumber == 4
    assert "PixelData" not in header.dataset
    assert header.pixel_bytes == 32 * 28 * 2
    assert not header.encapsulated
    assert header.parse_error == ""
    assert header.size_bytes == path.stat().st_size
    assert header.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_reports_the_pixels_that_are_there_not_the_pixels_claimed(tmp_path: Path) -> None:
    path = write_series(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert read_header(path).pixel_bytes == 32 * 28 * 2 - 100


def test_sees_that_pixels_lie_in_fragments(tmp_path: Path) -> None:
    compressed = mr_slices()[0]
    compressed.compress(RLELossless)
    header = read_header(write([compressed], tmp_path)[0])
    assert header.encapsulated
    assert header.pixel_bytes is not None
    assert 0 < header.pixel_bytes < header.size_bytes


def test_inflates_nothing(tmp_path: Path) -> None:
    bomb = mr_slices()[0]
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    bomb.PixelData = b"\0" * 50_000_000
    path = write([bomb], tmp_path)[0]
    tracemalloc.start()
    header = read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.size_bytes < 100_000
    assert peak < 2_000_000
    assert header.dataset is not None
    assert header.dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert len(header.dataset) == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 JFIF", b"\x7fELF" + b"\0" * 500])
def test_names_the_error_of_bytes_that_do_not_parse(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    header = read_header(path)
    assert header.dataset is None
    assert header.parse_error == "InvalidDicomError"
    with pytest.raises(UnreadableError) as caught:
        parse_header(path)
    assert caught.value.reason == "does-not-parse"


def test_gives_up_on_a_header_of_endless_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_series(tmp_path)[0]
    item, sequence_end = struct.pack("<HHI", 0xFFFE, 0xE000, 0), b"\xfe\xff\xdd\xe0\0\0\0\0"
    start = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    plain = path.read_bytes()
    meta_end = 144 + struct.unpack("<I", plain[140:144])[0]
    path.write_bytes(plain[:meta_end] + start + item * 5000 + sequence_end)
    assert read_header(path).parse_error == ""
    monkeypatch.setattr(headers, "MAX_HEADER_READS", 4000)
    assert read_header(path).parse_error == "LimitError"
    with pytest.raises(LimitError):
        parse_header(path)


def test_decodes_no_sequence_of_endless_items(tmp_path: Path) -> None:
    path = write_series(tmp_path)[0]
    plain = path.read_bytes()
    body = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 500_000
    start = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, len(body))
    path.write_bytes(plain[: 144 + struct.unpack("<I", plain[140:144])[0]] + start + body)
    header = read_header(path)
    begun = time.perf_counter()
    assert items(header.dataset, "PerFrameFunctionalGroupsSequence") == ()
    assert time.perf_counter() - begun < 1


def test_decodes_no_endless_value(tmp_path: Path) -> None:
    header = read_header(write_series(tmp_path)[0])
    assert header.dataset is not None
    raw: Any = header.dataset.get_item("RepetitionTime")
    header.dataset._dict[raw.tag] = raw._replace(value=b"1\\" * 10_000)
    assert numbers(header.dataset, "RepetitionTime") == ()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=6)), max_size=8),
    st.integers(0, 3000),
)
@example([], 140)
def test_never_raises_whatever_bytes_change(changes: list[tuple[int, bytes]], end: int) -> None:
    content = bytearray(small_file())
    for at, new in changes:
        where = at % len(content)
        content[where : where + len(new)] = new
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mutated"
        path.write_bytes(content[: end or None])
        header = read_header(path)
        assert (header.dataset is None) == bool(header.parse_error)
        for check in HEADER_CHECKS:
            if check(header) is not None:
                break


def test_reads_a_large_file_as_it_reads_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_series(tmp_path)[0]
    small = read_header(path)
    monkeypatch.setattr(headers, "MAX_IN_MEMORY_BYTES", 1000)
    large = read_header(path)
    assert (large.sha256, large.size_bytes) == (small.sha256, small.size_bytes)
    assert large.structure == small.structure
    assert large.dataset == small.dataset
    assert large.pixel_bytes == small.pixel_bytes


def test_walks_the_same_bytes(tmp_path: Path) -> None:
    header = read_header(write_series(tmp_path)[0])
    assert header.dataset is not None
    before_pixels = [element.tag for element in header.structure.elements if element.depth == 0]
    assert before_pixels == [*header.dataset.keys(), 0x7FE00010]
