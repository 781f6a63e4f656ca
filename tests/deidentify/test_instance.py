"""De-identification end to end: nothing is left, and what is read is what was read before."""

import copy
import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mri_guard.deidentify import DeidentificationKey, deidentify
from mri_guard.errors import InputError, UnreadableError
from mri_guard.readers import Decoder
from mri_guard.readers.frames import frames_of
from mri_guard.readers.values import quietly
from mri_guard.records import Format, Scan, Source
from tests.deidentify.images import CODESTREAMS, compressed, one_slice
from tests.deidentify.markers import Markers, as_file, originals, plant_everywhere
from tests.deidentify.table_e1_1 import TABLE_E1_1
from tests.dicom_files import enhanced_mr, mr_slices, write
from tests.peers import peer

KEY = DeidentificationKey(b"k" * 32)


def again(dataset: Dataset) -> Dataset:
    """What is read of a dataset after de-identification."""
    return dcmread(io.BytesIO(deidentify(as_file(dataset), KEY).content))


@pytest.mark.parametrize(
    ("multi_frame", "syntax", "grammatical", "at_least"),
    [
        (False, ExplicitVRLittleEndian, True, 19_000),
        (False, ImplicitVRLittleEndian, False, 19_000),
        (True, ImplicitVRLittleEndian, True, 33_000),
    ],
)
def test_no_planted_marker_uid_or_date_is_left(
    multi_frame: bool, syntax: UID, grammatical: bool, at_least: int
) -> None:
    dataset = enhanced_mr() if multi_frame else mr_slices()[0]
    dataset.file_meta.TransferSyntaxUID = syntax
    pixels, markers = dataset.pixel_array, Markers(grammatical)
    originals(dataset, markers)
    with quietly():
        plant_everywhere(dataset, markers)
        file = as_file(dataset)
        assert markers.planted(file) > at_least
        made = deidentify(file, KEY)
    assert markers.left(made.content) == set()
    assert made.content[:128] == bytes(128)
    read = dcmread(io.BytesIO(made.content))
    assert np.array_equal(read.pixel_array, pixels)
    assert set(read.file_meta.keys()) == {
        0x00020000 + n for n in (0x00, 0x01, 0x02, 0x03, 0x10, 0x12, 0x13)
    }
    assert max(read.keys()) == 0x7FE00010
    for element in read.iterall():
        assert not element.tag.is_private
        assert element.tag.element != 0  # group length
        assert element.tag.group >> 8 not in (0x50, 0x60)  # curves, overlays


def test_the_table_is_planted_whole() -> None:
    assert len(set(TABLE_E1_1)) == 614
    dataset, markers = mr_slices()[0], Markers(grammatical=False)
    with quietly():
        plant_everywhere(dataset, markers)
    planted = set(dataset.keys()) | {0x00020003}  # written as a copy of the planted (0008,0018)
    assert {f"{tag:08X}" for tag in TABLE_E1_1 if tag not in planted} == set()


def test_the_object_says_what_was_done_to_it() -> None:
    made = again(mr_slices()[0])
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [code.CodeValue for code in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108"]


def test_instances_stay_together_and_patients_apart() -> None:
    first, second = map(again, mr_slices()[:2])
    other = again(mr_slices(PatientID="MADE-2")[0])
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first[keyword].value == second[keyword].value
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    assert other.PatientID != first.PatientID
    assert other.StudyDate != first.StudyDate


def test_a_reference_meets_what_it_refers_to() -> None:
    first, second = mr_slices()[:2]
    reference = Dataset()
    reference.ReferencedSOPClassUID = first.SOPClassUID
    reference.ReferencedSOPInstanceUID = first.SOPInstanceUID
    second.ReferencedImageSequence = [reference]
    made = again(second).ReferencedImageSequence[0]
    assert made.ReferencedSOPInstanceUID == again(first).SOPInstanceUID
    assert made.ReferencedSOPClassUID == first.SOPClassUID


def test_the_identity_leads_back() -> None:
    image = mr_slices(AccessionNumber="A-17")[0]
    made = deidentify(as_file(image), KEY)
    assert made.identity.attributes["PatientName"] == "Made^Up"
    assert made.identity.attributes["AccessionNumber"] == "A-17"
    assert made.identity.original(made.sop_instance_uid) == image.SOPInstanceUID
    assert "Made" not in repr(made)


def test_takes_its_own_output_again() -> None:
    once = deidentify(as_file(mr_slices()[0]), KEY)
    twice = deidentify(once.content, KEY)
    assert twice.sop_instance_uid != once.sop_instance_uid


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_bits_stored_are_cleared(syntax: UID, signed: bool) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    image = one_slice()
    stored = np.random.default_rng(1).integers(0, 4096, (64, 72), dtype=np.uint16)
    overlay = stored | np.uint16(0x5000)
    image.PixelData = overlay.astype(f"{order}u2").tobytes()
    image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, int(signed)
    image.file_meta.TransferSyntaxUID = syntax
    made = again(image)
    found = np.frombuffer(made.PixelData, f"{order}{'i' if signed else 'u'}2").astype(int)
    wanted = stored.astype(int).ravel()
    assert np.array_equal(
        found, np.where(wanted >= 2048, wanted - 4096, wanted) if signed else wanted
    )


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("sop-class", {"SOPClassUID": CTImageStorage}),
        ("modality", {"Modality": "CT"}),
        ("burned-in-annotation", {"BurnedInAnnotation": "YES"}),
        ("photometric", {"SamplesPerPixel": 3}),
        ("bits", {"BitsStored": 17}),
        ("pixel-data-short", {"Rows": 4000}),
        ("matrix-not-sane", {"Rows": 0}),
        ("uid-missing", {"StudyInstanceUID": ""}),
        ("uid-missing", {"SOPInstanceUID": ["1.2.3", "1.2.4"]}),
        ("pixel-data-missing", {"PixelData": None}),
    ],
)
def test_refuses_by_name(reason: str, change: dict[str, Any]) -> None:
    with quietly():
        file = as_file(mr_slices(**change)[0])
    with pytest.raises(InputError, match=f"^{reason}:"):
        deidentify(file, KEY)


def test_refuses_what_is_no_dicom_and_what_is_deflated() -> None:
    with pytest.raises(UnreadableError, match="not-dicom"):
        deidentify(b"Anna Miller" * 100, KEY)
    image = mr_slices()[0]
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(UnreadableError, match="transfer-syntax"):
        deidentify(as_file(image), KEY)


def test_every_cut_file_is_refused_or_read() -> None:
    file = as_file(mr_slices()[0])
    for length in range(0, len(file), 37):
        with pytest.raises(InputError):
            deidentify(file[:length], KEY)


def test_hostile_bytes_end_in_a_refusal_or_a_file() -> None:
    rng = np.random.default_rng(11)
    files = [as_file(mr_slices()[0]), as_file(compressed(CODESTREAMS["JPEG-LS"]))]
    ends: set[str] = set()
    for number in range(200):
        hurt = bytearray(files[number % 2])
        for at in rng.integers(128, 2000, rng.integers(1, 6)):
            hurt[at] = rng.integers(0, 256)
        try:
            assert deidentify(bytes(hurt), KEY).content[:128] == bytes(128)
            ends.add("made")
        except InputError as refused:
            ends.add(refused.reason)
    assert "made" in ends
    assert len(ends) > 5


@pytest.mark.parametrize("multi_frame", [False, True])
def test_dciodvfy_finds_no_new_kind_of_error(tmp_path: Path, multi_frame: bool) -> None:
    program = peer("dciodvfy")
    before = enhanced_mr() if multi_frame else mr_slices()[0]
    files = [tmp_path / "before.dcm", tmp_path / "after.dcm"]
    files[0].write_bytes(as_file(before))
    files[1].write_bytes(deidentify(files[0], KEY).content)
    seen = []
    for file in files:
        ran = subprocess.run([program, str(file)], capture_output=True, check=False)
        lines = (ran.stdout + ran.stderr).decode(errors="replace").splitlines()
        seen.append({line for line in lines if line.startswith("Error")})
    assert seen[1] <= seen[0]


def test_dcmdump_reads_every_element(tmp_path: Path) -> None:
    file = tmp_path / "made.dcm"
    file.write_bytes(deidentify(as_file(enhanced_mr()), KEY).content)
    ran = subprocess.run([peer("dcmdump"), str(file)], capture_output=True, check=False, text=True)
    assert ran.returncode == 0
    assert ran.stderr == ""


def scans(files: list[Path], folder: Path) -> tuple[Scan, Scan]:
    """The volume that files make up, and the one that they make up afterwards."""
    folder.mkdir()
    made = [folder / f"{number}.dcm" for number in range(len(files))]
    for file, path in zip(files, made, strict=True):
        path.write_bytes(deidentify(file, KEY).content)
    with Decoder() as decode:
        return (
            decode(Source(tuple(files), Format.DICOM)),
            decode(Source(tuple(made), Format.DICOM)),
        )


@pytest.mark.parametrize("multi_frame", [False, True])
def test_our_decoder_reads_the_same_scan(tmp_path: Path, multi_frame: bool) -> None:
    datasets = [enhanced_mr()] if multi_frame else mr_slices()
    before, after = scans(write(datasets, tmp_path / "before"), tmp_path / "after")
    assert np.array_equal(before.voxels, after.voxels)
    assert np.array_equal(before.affine, after.affine)
    assert before.header == after.header


def test_a_real_series_is_the_same_scan_afterwards(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "dicom" / "series_t1.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".dcm"))[::8]
        files = [Path(archive.extract(name, tmp_path / "in")) for name in names]
    assert len(files) >= 24
    before, after = scans(files, tmp_path / "after")
    assert np.array_equal(before.voxels, after.voxels)
    # Its decimal strings are longer than the 16 characters that DS allows, and become that short.
    assert np.allclose(before.affine, after.affine, rtol=0, atol=1e-9)
    assert before.header.contrast == after.header.contrast


REFUSED = {"sop-class", "not-dicom", "transfer-syntax", "pixel-data-missing"}


def test_every_real_file_is_the_same_image_or_refused_by_name(shared_data: Path) -> None:
    ends: dict[str, int] = {}
    for file in sorted((shared_data / "dicom").rglob("*")):
        if not file.is_file() or file.suffix == ".zip" or _one_of_many(file):
            continue
        try:
            made = deidentify(file, KEY)
        except InputError as refused:
            ends[refused.reason] = ends.get(refused.reason, 0) + 1
            continue
        with quietly():
            before, after = dcmread(file), dcmread(io.BytesIO(made.content))
            assert np.array_equal(before.pixel_array, after.pixel_array), file.name
        assert places(before) == places(after), file.name
        ends["same"] = ends.get("same", 0) + 1
    assert set(ends) == REFUSED | {"same"}
    assert ends["same"] >= 36


def places(dataset: Dataset) -> object:
    try:
        frames = frames_of(copy.copy(dataset))
    except InputError as refused:
        return refused.reason
    return [
        (frame.position, frame.orientation, frame.spacing, frame.slope, frame.intercept)
        for frame in frames
    ]


def _one_of_many(file: Path) -> bool:
    """Of the 150 files of one GE series, all but the first three."""
    return file.parent.name == "ge" and not file.stem.endswith(("00001", "00002", "00003"))
