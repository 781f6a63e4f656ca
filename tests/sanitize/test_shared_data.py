"""Where real files end: what scanners and other people's test suites hold, by folder."""

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
        {"contrast-unknown": 1, "contrast-not-in-bundle": 1},  # a field map, functional images
    ),
    ("dicom/compressed_mr", {"mosaic": 2}),
    ("dicom/epi/ge", {"contrast-not-in-bundle": 1}),
    ("dicom/epi/siemens", {"mosaic": 1}),
    ("dicom/odd/highdicom", {"sop-class": 22}),
]


@pytest.mark.parametrize(("where", "expected"), EXPECTED, ids=[where for where, _ in EXPECTED])
def test_ends_each_series_where_it_belongs(
    shared_data: Path, tmp_path: Path, decoder: Decoder, where: str, expected: dict[str, int]
) -> None:
    sources = open_sources(shared_data / where, tmp_path)
    assert Counter(outcome(source, decoder) for source in sources) == expected
