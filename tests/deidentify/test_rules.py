from decimal import Decimal

import pytest

from mri_guard.deidentify import words
from mri_guard.deidentify.allow_list import MULTI_FRAME, AllowList, Items
from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.deidentify.rules import Decimals, Integers, Patient, Tags, Terms, description, keyed
from mri_guard.deidentify.words import SEQUENCE_NAME, maker, recognised

PATIENT = Patient(DeidentificationKey(b"k" * 32), 4000, "P-0")


def test_a_description_keeps_the_words_it_knows() -> None:
    said = "t2_tse_dark-fluid_tra for Dr Miller, prev. 12.3.2019 MR-4711"
    assert description([said], PATIENT) == "T2 TSE DARK FLUID TRA"
    assert description(["Miller"], PATIENT) is None
    assert recognised("T2* ax") == "T2STAR AX"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("SIEMENS", "SIEMENS"),
        ("Siemens Healthineers", "SIEMENS"),
        ("GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"),
        ("GENERAL Hospital", "UNKNOWN"),
        ("Philips Medical Systems of Miller", "Philips"),
        ("", "UNKNOWN"),
    ],
)
def test_a_maker_is_a_known_one(said: str, written: str) -> None:
    assert maker(said) == written


@pytest.mark.parametrize("name", ["*tfl3d1_16ns", "*se2d1", "*ep_b1000t", "epi2", "*tir2d1_15"])
def test_a_sequence_name_is_composed_as_makers_do(name: str) -> None:
    assert SEQUENCE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["miller", "*tfl3d1_16ns miller", "se123456789", "ep_b12345678"])
def test_another_sequence_name_is_dropped(name: str) -> None:
    assert not SEQUENCE_NAME.fullmatch(name)


def test_decimals_keep_their_spelling_or_go() -> None:
    rule = Decimals(0, 100, (1, 2))
    assert rule(["1.50", "2"], PATIENT) == ["1.50", "2"]
    assert rule([Decimal("1.25")], PATIENT) == "1.25"
    for refused in (["101"], ["-1"], ["nan"], ["inf"], ["1a"], ["1", "2", "3"], []):
        assert rule(refused, PATIENT) is None, refused
    assert rule(["１"], PATIENT) == "1.0"
    long = rule(["1.00000000000000000001"], PATIENT)
    assert isinstance(long, str)
    assert len(long) <= 16


def test_integers_are_whole_and_within() -> None:
    rule = Integers(0, 10)
    assert rule(["7"], PATIENT) == 7
    for refused in (["7.5"], ["11"], ["x"], [], ["1", "2"]):
        assert rule(refused, PATIENT) is None


def test_terms_keep_their_places() -> None:
    rule = Terms(frozenset({"ORIGINAL", "M"}), "OTHER")
    assert rule(["ORIGINAL", "MILLER", "M"], PATIENT) == ["ORIGINAL", "OTHER", "M"]
    assert Terms(frozenset({"YES"}))(["MILLER"], PATIENT) is None


def test_tags_are_public_ones() -> None:
    assert Tags()([0x00200032], PATIENT) == 0x00200032
    assert Tags()([0x00191001], PATIENT) is None


def test_a_registered_frame_of_reference_stays() -> None:
    assert keyed(["1.2.840.10008.1.4.1.1"], PATIENT) == "1.2.840.10008.1.4.1.1"
    assert str(keyed(["1.2.3.4"], PATIENT)).startswith("2.25.")


def every_rule(allowed: AllowList) -> list[tuple[str, object]]:
    return [
        pair
        for keyword, rule in allowed.items()
        for pair in (every_rule(rule.allowed) if isinstance(rule, Items) else [(keyword, rule)])
    ]


@pytest.mark.parametrize(("keyword", "rule"), every_rule(MULTI_FRAME))
def test_no_rule_lets_a_free_text_through(keyword: str, rule: object) -> None:
    assert callable(rule)
    for said in (["Miller^Anna"], ["Miller", "Anna"], ["4711 Miller 20250102"], ["Müller"]):
        written = str(rule(said, PATIENT))
        assert "iller" not in written, keyword
        assert "Anna" not in written, keyword
        assert "4711" not in written, keyword
        assert "20250102" not in written, keyword
        assert "ü" not in written, keyword


def test_the_vocabulary_is_short_words_of_imaging() -> None:
    for text in words.DESCRIPTION | words.IMAGE_TYPE | words.ANATOMY:
        assert text == text.upper()
        assert len(text) <= 16
