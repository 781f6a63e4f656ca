"""Each defect of one instance, built in code, and the reason it is refused for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    HTJ2K,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from mri_guard.phantom import write_dicom_series
from mri_guard.readers import read_header
from mri_guard.records import Contrast, InstanceHeader, Rejection
from mri_guard.sanitize import HEADER_CHECKS
from mri_guard.sanitize.header_checks.file_size import FileSize
from mri_guard.sanitize.header_checks.parses import Parses
from mri_guard.sanitize.header_checks.transfer_syntax import TransferSyntax
from tests.dicom_files import enhanced_mr, mr_slices, write


def first_rejection(path: Path) -> tuple[str, Rejection] | None:
    header = read_header(path)
    for check in HEADER_CHECKS:
        if (rejection := check(header)) is not None:
            return check.name, rejection
    return None


def set_to(**attributes: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for keyword, value in attributes.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    return change


def syntax(uid: UID) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = uid

    return change


def test_accepts_what_an_mr_scanner_sends(tmp_path: Path) -> None:
    for path in write([*mr_slices()[:3], enhanced_mr()], tmp_path):
        assert first_rejection(path) is None


@pytest.mark.parametrize(
    "encoding", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_accepts_every_native_encoding(tmp_path: Path, encoding: UID) -> None:
    for made in (mr_slices()[0], enhanced_mr()):
        made.file_meta.TransferSyntaxUID = encoding
        if encoding == ExplicitVRBigEndian:
            made.PixelData = np.frombuffer(made.PixelData, np.uint16).byteswap().tobytes()
            made["PixelData"].VR = "OW"
        assert first_rejection(write([made], tmp_path)[0]) is None


def test_accepts_phantoms(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 4096, (32, 40, 3))
    for contrast in (Contrast.FLAIR, Contrast.T1):
        for path in write_dicom_series(voxels, np.eye(4), tmp_path, contrast, seed=0):
            assert first_rejection(path) is None


def test_says_what_the_walk_saw_where_the_parser_gives_up(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\2\0UI\xff\xff1.2")
    found = Parses()(replace(read_header(path), dataset=None, parse_error="OSError"))
    assert found is not None
    assert found.reason == "does-not-parse"
    assert found.detail.endswith("; meta-broken (0002,0002) at byte 132")


def test_accepts_compressed_pixels(tmp_path: Path) -> None:
    compressed = mr_slices()[0]
    compressed.compress(RLELossless)
    assert first_rejection(write([compressed], tmp_path)[0]) is None


@pytest.mark.parametrize(
    ("change", "check", "reason"),
    [
        pytest.param(change, check, reason, id=f"{reason}-{number}")
        for number, (change, check, reason) in enumerate(
            [
                (syntax(DeflatedExplicitVRLittleEndian), "transfer_syntax", "transfer-syntax"),
                (set_to(SOPClassUID=CTImageStorage), "sop_class", "sop-class"),
                (set_to(SOPClassUID=SegmentationStorage), "sop_class", "sop-class"),
                (set_to(Modality="CT"), "modality", "modality"),
                (set_to(Modality=None), "modality", "modality"),
                (set_to(PhotometricInterpretation="RGB"), "photometric", "photometric"),
                (set_to(PhotometricInterpretation="MONOCHROME1"), "photometric", "photometric"),
                (set_to(SamplesPerPixel=3), "photometric", "photometric"),
                (set_to(BitsStored=17), "photometric", "bits"),
                (set_to(HighBit=3), "photometric", "bits"),
                (set_to(BitsAllocated=64), "photometric", "bits"),
                (set_to(BitsStored=None), "photometric", "bits"),
                (set_to(PixelRepresentation=7), "photometric", "bits"),
                (set_to(Rows=0), "pixel_geometry", "matrix-not-sane"),
                (set_to(Columns=None), "pixel_geometry", "matrix-not-sane"),
                (set_to(Rows=60000), "pixel_geometry", "matrix-not-sane"),
                (set_to(NumberOfFrames=0), "pixel_geometry", "matrix-not-sane"),
                (set_to(NumberOfFrames=-4), "pixel_geometry", "matrix-not-sane"),
                (
                    set_to(Rows=4000, Columns=4000, NumberOfFrames=335),
                    "pixel_geometry",
                    "too-many-voxels",
                ),
                (set_to(PixelData=b""), "pixel_geometry", "pixel-data-missing"),
                (set_to(PixelData=None), "pixel_geometry", "pixel-data-missing"),
                (set_to(Rows=64), "pixel_geometry", "pixel-data-short"),
                (set_to(Rows=16), "pixel_geometry", "pixel-data-long"),
                (set_to(ImagePositionPatient=None), "slice_geometry", "geometry-missing"),
                (set_to(ImageOrientationPatient=None), "slice_geometry", "geometry-missing"),
                (set_to(PixelSpacing=None), "slice_geometry", "geometry-missing"),
                (set_to(ImagePositionPatient=[1, 2]), "slice_geometry", "geometry-missing"),
                (set_to(PixelSpacing=[0, 1]), "slice_geometry", "geometry-not-sane"),
                (set_to(PixelSpacing=[-1, 1]), "slice_geometry", "geometry-not-sane"),
                (
                    set_to(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
                    "slice_geometry",
                    "geometry-not-sane",
                ),
                (
                    set_to(ImageOrientationPatient=[2, 0, 0, 0, 1, 0]),
                    "slice_geometry",
                    "geometry-not-sane",
                ),
                (set_to(ImagePositionPatient=[1e9, 0, 0]), "slice_geometry", "geometry-not-sane"),
                (set_to(ImageType=["ORIGINAL", "PRIMARY", "MOSAIC"]), "image_type", "mosaic"),
            ]
        )
    ],
)
def test_refuses_by_name(
    tmp_path: Path, change: Callable[[Dataset], None], check: str, reason: str
) -> None:
    made = mr_slices()[0]
    change(made)
    found = first_rejection(write([made], tmp_path)[0])
    assert found is not None
    assert (found[0], found[1].reason) == (check, reason)


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (b"NaN\\0\\0 ", "value-malformed"),
        (b"inf\\0\\0 ", "value-malformed"),
        (b"1;2\\0\\0 ", "value-malformed"),
        (b"1e999\\0\\0 ", "geometry-missing"),
    ],
)
def test_refuses_positions_that_are_no_numbers(
    tmp_path: Path, position: bytes, reason: str
) -> None:
    path = write([mr_slices(ImagePositionPatient=["77", "0", "0"])[0]], tmp_path)[0]
    content = path.read_bytes()
    assert content.count(b"77\\0\\0") == 1
    at = content.index(b"77\\0\\0")
    length = len(position) - len(b"77\\0\\0")
    field = content[at - 2 : at]
    grown = (int.from_bytes(field, "little") + length).to_bytes(2, "little")
    path.write_bytes(content[: at - 2] + grown + position + content[at + len(b"77\\0\\0") :])
    found = first_rejection(path)
    assert found is not None
    assert found[1].reason == reason


def test_refuses_frames_without_a_place_for_each(tmp_path: Path) -> None:
    enhanced = enhanced_mr()
    enhanced.PerFrameFunctionalGroupsSequence = enhanced.PerFrameFunctionalGroupsSequence[:-1]
    found = first_rejection(write([enhanced], tmp_path)[0])
    assert found is not None
    assert found[1] == Rejection("frame-count", "24 frames declared, 23 described")


@pytest.mark.parametrize(
    ("content", "reason", "seen"),
    [
        (b"", "file-empty", "0 bytes"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 200, "not-dicom", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "not-dicom", "a PNG picture"),
        (b"%PDF-1.7", "not-dicom", "a PDF document"),
        (b"\x7fELF\x02", "not-dicom", "an ELF program"),
        (b"MZ\x90\0", "not-dicom", "a Windows program"),
        (b"PK\x03\x04", "not-dicom", "a zip archive"),
        (b"hello, world" * 50, "not-dicom", "something else"),
    ],
)
def test_names_what_came_instead_of_dicom(
    tmp_path: Path, content: bytes, reason: str, seen: str
) -> None:
    path = tmp_path / "sent.dcm"
    path.write_bytes(content)
    found = first_rejection(path)
    assert found is not None
    assert found[1].reason == reason
    assert seen in found[1].detail


@pytest.mark.parametrize("magic", [b"MZ", b"\x7fELF", b"%PDF", b"#!/bin/sh\n", b"<html>"])
def test_refuses_a_dicom_file_that_is_a_program_too(tmp_path: Path, magic: bytes) -> None:
    path = write(mr_slices()[:1], tmp_path)[0]
    path.write_bytes(magic + path.read_bytes()[len(magic) :])
    found = first_rejection(path)
    assert found is not None
    assert found[1].reason == "preamble-not-empty"


def test_accepts_the_tiff_preamble_that_the_standard_has_in_mind(tmp_path: Path) -> None:
    path = write(mr_slices()[:1], tmp_path)[0]
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    assert first_rejection(path) is None


def test_refuses_a_truncated_file(tmp_path: Path) -> None:
    path = write(mr_slices()[:1], tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1])
    found = first_rejection(path)
    assert found is not None
    assert found[1] == Rejection("pixel-data-short", "1791 bytes seen; 1792 wanted")


def test_refuses_a_file_cut_within_its_header(tmp_path: Path) -> None:
    path = write(mr_slices()[:1], tmp_path)[0]
    content = path.read_bytes()
    for length in (133, 150, 300, 400, 700, 1000):
        path.write_bytes(content[:length])
        assert first_rejection(path) is not None


def test_refuses_a_file_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM")
    found = first_rejection(path)
    assert found is not None
    assert found[1].reason == "header-empty"


def test_refuses_a_missing_transfer_syntax(tmp_path: Path) -> None:
    compressed = mr_slices()[0]
    compressed.compress(RLELossless)  # what native pixels are written in can be derived
    path = write([compressed], tmp_path)[0]
    content = path.read_bytes().replace(b"\x02\0\x10\0UI", b"\x02\0\x04\0UI", 1)
    path.write_bytes(content)
    found = first_rejection(path)
    assert found is not None
    assert found[1].reason == "transfer-syntax-missing"


def test_refuses_a_codec_that_is_not_on_the_list(tmp_path: Path) -> None:
    compressed = mr_slices()[0]
    compressed.compress(RLELossless)
    compressed.file_meta.TransferSyntaxUID = HTJ2K
    found = first_rejection(write([compressed], tmp_path)[0])
    assert found is not None
    assert found[1].reason == "transfer-syntax"
    assert "High-Throughput JPEG 2000" in found[1].detail


def test_refuses_native_pixels_under_a_compressed_name(tmp_path: Path) -> None:
    native = mr_slices()[0]
    header = read_header(write([native], tmp_path)[0])
    assert header.dataset is not None
    header.dataset.file_meta.TransferSyntaxUID = RLELossless
    rejection = TransferSyntax()(header)
    assert rejection is not None
    assert rejection.reason == "transfer-syntax-contradicted"


def test_refuses_a_file_over_the_limit() -> None:
    huge = InstanceHeader(Path("unread"), 3 * 2**30, "0" * 64, None)
    rejection = FileSize()(huge)
    assert rejection is not None
    assert rejection.reason == "file-too-large"


def test_repeats_nothing_that_the_sender_wrote(tmp_path: Path) -> None:
    secret = "DOE JANE"  # a valid Code String
    for keyword in ("Modality", "PhotometricInterpretation", "BodyPartExamined"):
        made = mr_slices()[0]
        setattr(made, keyword, secret)
        found = first_rejection(write([made], tmp_path)[0])
        assert found is None or secret not in found[1].detail
