"""Where real files end: what scanners and other people's test suites hold, by folder."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mri_guard.errors import InputError
from mri_guard.readers import Decoder, open_sources
from mri_guard.records import Contrast, Source
from mri_guard.sanitize import Sanitizer

SANITIZER = Sanitizer.for_contrasts([Contrast.FLAIR, Contrast.T1])


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as warm:
        yield warm


def outcome(source: Source, decoder: Decoder) -> str:
    """The reason a source is refused for, or `accepted`."""
    results, _ = SANITIZER.check_headers(source)
    if not results[-1].passed:
        return results[-1].reason
    try:
        scan = decoder(source)
    except InputError as error:
        return error.reason
    return SANITIZER.check_voxels(scan)[-1].reason or "accepted"


EXPECTED: list[tuple[str, dict[str, int]]] = [
    ("dicom/series_t1.zip", {"accepted": 1}),
    ("dicom/enhanced/dcm_qa_xa30", {"accepted": 1}),
    (
        "dicom/enhanced/dcm_qa_enh",
        {"image-type": 1, "contrast-not-in-bundle": 1},  # a field map, functional images
    ),
    ("dicom/compressed_mr", {"mosaic": 2}),
    ("dicom/epi/ge", {"contrast-not-in-bundle": 1}),
    ("dicom/epi/siemens", {"mosaic": 1}),
    ("dicom/odd/highdicom", {"sop-class": 22}),
    (
        "dicom/odd/nibabel",
        {"mosaic": 2, "image-type": 1, "sop-class": 1},
    ),
    (
        "dicom/odd/pydicom-data",
        {
            "sop-class": 25,  # one of them without file meta
            "not-dicom": 4,
            "transfer-syntax": 4,
            "image-type": 1,  # a projection
            "too-few-slices": 1,
            "fragments-broken": 1,  # cut off
        },
    ),
    (
        "dicom/odd/pylibjpeg-data",
        {"sop-class": 24, "too-few-slices": 2, "uid-collision": 1, "frame-count": 1},
    ),
    (
        "dicom/odd/pynetdicom",
        {"sop-class": 1, "contrast-not-in-bundle": 1, "transfer-syntax": 1},
    ),
    ("elderly/scans", {"accepted": 24}),
]


@pytest.mark.parametrize(("where", "expected"), EXPECTED, ids=[where for where, _ in EXPECTED])
def test_ends_each_series_where_it_belongs(
    shared_data: Path, tmp_path: Path, decoder: Decoder, where: str, expected: dict[str, int]
) -> None:
    sources = open_sources(shared_data / where, tmp_path)
    assert Counter(outcome(source, decoder) for source in sources) == expected


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("CTImageStorage.dcm", "CT Image Storage seen; MR or Enhanced MR wanted"),
        ("seg_image_ct_binary.dcm", "Segmentation Storage seen; MR or Enhanced MR wanted"),
        (
            "sr_document_with_multiple_groups.dcm",
            "Comprehensive 3D SR Storage seen; MR or Enhanced MR wanted",
        ),
        ("rtdose.dcm", "RT Dose Storage seen; MR or Enhanced MR wanted"),
        ("SCImageStorage_Deflated.dcm", "Deflated Explicit VR Little Endian is not on the list"),
        ("MRImageStorage_ExplicitVRBigEndian.dcm", "seen T2, the bundle knows FLAIR, T1"),
    ],
)
def test_names_what_it_saw(shared_data: Path, tmp_path: Path, name: str, detail: str) -> None:
    path = next((shared_data / "dicom" / "odd").rglob(name))
    (source,) = open_sources(path, tmp_path)
    assert SANITIZER.check_headers(source)[0][-1].detail == detail


def test_reads_a_zip_and_its_folder_alike(
    shared_data: Path, tmp_path: Path, decoder: Decoder
) -> None:
    archive = shared_data / "dicom" / "series_t1.zip"
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(tmp_path / "folder")
    (tmp_path / "work").mkdir()
    (folder,) = open_sources(tmp_path / "folder", tmp_path / "work")
    (unzipped,) = open_sources(archive, tmp_path / "work")
    assert len(folder.files) == len(unzipped.files) == 384
    assert SANITIZER.check_headers(folder)[1] == SANITIZER.check_headers(unzipped)[1]
    seen = decoder(unzipped)
    assert seen.voxels.shape == (274, 384, 384)
    assert seen.header.contrast is Contrast.T1
