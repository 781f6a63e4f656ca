import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mri_guard.evaluation.hostile import part10
from mri_guard.readers.repairs import FILE_META, PREAMBLE, TRANSFER_SYNTAX, repaired
from tests.dicom_files import mr_slices, write


def written(implicit: bool) -> bytes:
    image = mr_slices()[3]
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    image.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dcmwrite(out, image, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    return out.getvalue()


def data_of(content: bytes) -> bytes:
    """The data set alone."""
    return content[144 + int.from_bytes(content[140:144], "little") :]


def without_syntax(content: bytes) -> bytes:
    file = part10.read(written(implicit=False))
    file.remove(0x00020010)
    return file.encode()[: -len(data_of(file.encode()))] + data_of(content)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (lambda content: content[132:], PREAMBLE),
        (data_of, FILE_META),
        (without_syntax, TRANSFER_SYNTAX),
    ],
)
def test_gives_back_the_file_as_it_was_meant(broken: object, name: str, implicit: bool) -> None:
    assert callable(broken)
    whole = written(implicit)
    content, repair = repaired(broken(whole))
    assert repair == name
    meant, made = dcmread(io.BytesIO(whole)), dcmread(io.BytesIO(content))
    assert made == meant
    assert data_of(content) == data_of(whole)
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"):
        assert made.file_meta[keyword] == meant.file_meta[keyword]
    assert repaired(content) == (content, "")


def test_leaves_a_whole_file_alone() -> None:
    assert repaired(written(implicit=False)) == (written(implicit=False), "")


def test_guesses_no_codec(tmp_path: Path) -> None:
    image = mr_slices()[3]
    image.compress("1.2.840.10008.1.2.5")
    content = write([image], tmp_path)[0].read_bytes()
    assert repaired(data_of(content)) == (data_of(content), "")
    file = without_syntax(content)
    assert repaired(file) == (file, "")


def test_guesses_no_byte_order() -> None:
    out = io.BytesIO()
    image = mr_slices()[3]
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dcmwrite(out, image, implicit_vr=False, little_endian=False, enforce_file_format=True)
    data = data_of(out.getvalue())
    assert repaired(data) == (data, "")


def test_leaves_a_data_set_without_names_alone() -> None:
    file = part10.read(written(implicit=False))
    file.remove(0x00080018)
    data = data_of(file.encode())
    assert repaired(data) == (data, "")


@given(st.binary(max_size=300), st.sampled_from([0, 132, 140, 144, 200]))
def test_never_raises_on_mangled_bytes(noise: bytes, at: int) -> None:
    whole = written(implicit=False)
    for start in (b"", whole[:at], whole[132 : 132 + at], data_of(whole)[:at]):
        content, repair = repaired(start + noise)
        assert content.endswith(noise) if not repair else len(content) > len(start + noise)
