"""The net under the allow-list, with a hole torn into the list."""

import re
from collections.abc import Sequence

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from mri_guard.deidentify import DeidentificationKey, allow_list, deidentify, instance
from mri_guard.deidentify.residue import VOCABULARY, identifying, require_clean
from mri_guard.deidentify.rules import Patient, Written
from mri_guard.errors import InputError
from tests.deidentify.images import one_slice
from tests.deidentify.markers import as_file

KEY = DeidentificationKey(b"k" * 32)


def as_it_was(values: Sequence[object], patient: Patient) -> Written:
    """The rule that must never be written."""
    return str(values[0]) if values else None


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Miller^Anna"),
        ("PatientName", "Kim^Su"),
        ("PatientID", "4711-0815"),
        ("PatientID", "12345678"),
        ("AccessionNumber", "A2025017"),
        ("StudyDate", "20250102"),
        ("StudyID", "KH-77-ab12"),
        ("StudyInstanceUID", "1.3.12.2.1107.5.2.43.67093.2022"),
        ("ReferringPhysicianName", "Weber"),
        ("FrameOfReferenceUID", "1.3.12.2.1107.5.2.43.67093.7"),
    ],
)
def test_a_hole_in_the_list_is_noticed(
    monkeypatch: pytest.MonkeyPatch, keyword: str, value: str
) -> None:
    image = one_slice()
    setattr(image, keyword, value)
    assert deidentify(as_file(image), KEY)
    torn = {**allow_list.SINGLE_FRAME, keyword: as_it_was}
    monkeypatch.setitem(instance.ALLOW_LISTS, image.SOPClassUID, torn)
    with pytest.raises(InputError, match="deidentification-residue") as refused:
        deidentify(as_file(image), KEY)
    assert value not in str(refused.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-16-le", "utf-16-be"])
def test_a_name_is_found_in_another_encoding(encoding: str) -> None:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.PatientName = "Grünewald^Mäxchen"
    found = identifying(image)
    with pytest.raises(InputError, match="deidentification-residue"):
        require_clean(found, b"\0\0" + "Grünewald".encode(encoding), b"", ())
    with pytest.raises(InputError, match="deidentification-residue"):
        require_clean(found, b"", b"\1\2" + "xgrünewaldx".encode(encoding), ())
    require_clean(found, b"Gruenewald", b"", ())


def test_words_of_imaging_are_no_names() -> None:
    image = Dataset()
    image.PatientName = "Brain^Head"
    image.PatientComments = "original flair"
    require_clean(identifying(image), b"HEAD\\BRAIN ORIGINAL FLAIR", b"", ())


def test_measurements_are_no_dates_and_no_uids() -> None:
    image = Dataset()
    image.StudyDate, image.StudyInstanceUID = "20250102", "1.2.3.4.5.6"
    found = identifying(image)
    require_clean(found, b"0.20250102 120250102 11.2.3.4.5.6 1.2.3.4.5.67", b"", ())
    for left in (b"-20250102", b" 20250102101112", b"\\1.2.3.4.5.6\0"):
        with pytest.raises(InputError, match="deidentification-residue"):
            require_clean(found, left, b"", ())


def test_private_words_are_looked_for_too() -> None:
    image = Dataset()
    image.add_new(0x00290010, "LO", "MAKER HEADER")
    image.add_new(0x00291010, "OB", b"\0\1\2operator=Schneider\0\3\4")
    with pytest.raises(InputError, match="1 words"):
        require_clean(identifying(image), b"\0SCHNEIDER \0", b"", ())


@pytest.mark.parametrize("vr", ["DS", "TM", "MO", "UN", "OB"])
def test_a_name_is_found_wherever_it_was_put(vr: str) -> None:
    image = Dataset()
    image[0x00180050] = RawDataElement(Tag(0x00180050), vr, 8, b"Schneide", 0, False, True)
    with pytest.raises(InputError, match="1 words"):
        require_clean(identifying(image), b"\0SCHNEIDE\0", b"", ())


def test_an_exponent_and_an_age_are_no_words() -> None:
    image = Dataset()
    image[0x00101010] = RawDataElement(Tag(0x00101010), "AS", 4, b"047Y", 0, False, True)
    image[0x00180050] = RawDataElement(Tag(0x00180050), "DS", 8, b"1.1234e5", 0, False, True)
    require_clean(identifying(image), b"1.1234e5\\047Y", b"", ())


def test_the_vocabulary_holds_no_number_long_enough_to_look_for() -> None:
    longer = [word for word in VOCABULARY if word.isdigit() and len(word) >= 6]
    assert sorted(longer) == [
        "000000",
        "113100",
        "113105",
        "113107",
        "113108",
        "12738006",
        "69536005",
    ]
    assert all(re.fullmatch(r"[a-z0-9]+", word) for word in VOCABULARY)
