import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from mri_guard.evaluation.hostile import part10
from mri_guard.evaluation.hostile.part10 import Element, File, fragments, item
from mri_guard.records.structure import UNDEFINED
from tests.dicom_files import mr_slices, write

TEXT = st.text(st.sampled_from("ABC 123"), max_size=20).filter(lambda text: text == text.strip())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(mr_slices()[:1], tmp_path_factory.mktemp("flat"))[0].read_bytes()


def test_writes_what_it_read_byte_for_byte(clean: bytes) -> None:
    assert part10.read(clean).encode() == clean


def test_finds_the_elements_that_pydicom_finds(clean: bytes) -> None:
    read = dcmread(io.BytesIO(clean))
    file = part10.read(clean)
    assert [element.tag for element in file.data] == [int(element.tag) for element in read]
    assert np.array_equal(file.pixels, read.pixel_array)


@given(values=st.dictionaries(st.sampled_from([0x00081030, 0x0008103E, 0x00204000]), TEXT))
def test_writes_values_that_pydicom_reads(clean: bytes, values: dict[int, str]) -> None:
    file = part10.read(clean)
    for tag, value in values.items():
        file.set(tag, value, b"LO")
    read = dcmread(io.BytesIO(file.encode()))
    assert {tag: read[tag].value or "" for tag in values} == values
    assert [int(element.tag) for element in read] == sorted(int(element.tag) for element in read)


def test_lies_about_lengths(clean: bytes) -> None:
    file = part10.read(clean)
    file.lie(0x00280010, 9)
    assert struct.pack("<HH2sH", 0x28, 0x10, b"US", 9) in file.encode()
    file.meta_length = 3
    assert file.encode()[140:144] == struct.pack("<I", 3)


def test_nests_items_and_frames_fragments_as_pydicom_reads_them(clean: bytes) -> None:
    file = part10.read(clean)
    inner = Element(0x00081155, b"UI", b"1.2.3\0")
    file.add(Element(0x00081140, b"SQ", item(inner) + item(inner, undefined=True)))
    read = dcmread(io.BytesIO(file.encode()))
    assert [one.ReferencedSOPInstanceUID for one in read.ReferencedImageSequence] == ["1.2.3"] * 2

    file = part10.read(clean)
    file.set(0x00020010, "1.2.840.10008.1.2.5")
    file.remove(0x7FE00010)
    framed = fragments(b"ab", b"cdef", table=struct.pack("<II", 0, 10))
    file.data.append(Element(0x7FE00010, b"OB", framed, UNDEFINED))
    read = dcmread(io.BytesIO(file.encode()))
    assert bytes(read.PixelData) == framed[:-8]


def test_refuses_what_is_not_flat(clean: bytes) -> None:
    with pytest.raises(ValueError, match="no DICM"):
        part10.read(clean[1:])
    file = part10.read(clean)
    file.lie(0x7FE00010, UNDEFINED)
    with pytest.raises(ValueError, match="undefined length"):
        part10.read(file.encode())
    with pytest.raises(KeyError):
        File(b"", b"", [], []).get(0x00100010)
