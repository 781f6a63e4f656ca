"""What the values of a header say: each reason of the checks that read them."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian
from pydicom.valuerep import VR, validate_value

from mri_guard.sanitize.header_checks.burned_in import BurnedIn
from mri_guard.sanitize.header_checks.character_set import CharacterSet
from mri_guard.sanitize.header_checks.identifiers import Identifiers
from mri_guard.sanitize.header_checks.image_type import ImageType
from mri_guard.sanitize.header_checks.rescale import Rescale
from mri_guard.sanitize.header_checks.value_grammar import _PATTERNS, ValueGrammar
from tests.dicom_bytes import element, implicit, item, meta
from tests.sanitize.test_header_structure import CREATOR, PIXELS, judge

TAGS = {
    "UI": 0x00081155,
    "DS": 0x00180050,
    "IS": 0x00200013,
    "CS": 0x00180015,
    "DA": 0x00100030,
    "TM": 0x00080030,
    "AS": 0x00101010,
    "DT": 0x0008002A,
    "US": 0x00280010,
    "FD": 0x00189087,
    "FL": 0x00189306,
    "UL": 0x00189098,
}


def padded(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


GOOD: list[tuple[str, bytes]] = [
    ("UI", b"1.2.840.10008.1.2\0"),
    ("UI", b"1.2\\1.3.4\0"),
    ("UI", b"1.02.3 "),
    ("DS", b" 1.5\\-2e-3\\+.5\\7.\\"),
    ("DS", b"0.666666686534882\0"),
    ("DS", b"-0.0217883751691557"),
    ("IS", b" 12 \\-7"),
    ("IS", b"3.0"),
    ("CS", b"ORIGINAL\\PRIMARY\\\\M_SE"),
    ("CS", b"Head, left/right"),
    ("DA", b"19700131"),
    ("DA", b"1970.01.31"),
    ("DA", b"00000000"),
    ("TM", b"235960.123456"),
    ("TM", b"12"),
    ("TM", b"12:34:56.7"),
    ("AS", b"042Y"),
    ("AS", b"42"),
    ("DT", b"20250102030405.123456+0100"),
    ("DT", b"2025"),
    ("US", b"\1\0\2\0"),
    ("FD", b"\0" * 16),
    *((vr, b"") for vr in TAGS),
    *((vr, b"  ") for vr in ("UI", "DS", "IS", "CS", "DA", "TM", "AS", "DT")),
]
BAD: list[tuple[str, bytes]] = [
    ("UI", b"1..2"),
    ("UI", b".1.2"),
    ("UI", b"1.2."),
    ("UI", b"1.2a"),
    ("UI", b"1.2\0.3"),
    ("DS", b"1,5"),
    ("DS", b"NaN"),
    ("DS", b"inf"),
    ("DS", b"1;2"),
    ("DS", b"0x10"),
    ("DS", b"1e5000"),
    ("DS", b"--1"),
    ("DS", b"1 2"),
    ("DS", b"1" * 40),
    ("IS", b"1e3"),
    ("IS", b"twelve"),
    ("IS", b"9" * 20),
    ("CS", b"A\nB"),
    ("CS", b"MR\0CT"),
    ("CS", b"caf\xe9"),
    ("CS", b"X" * 80),
    ("DA", b"19701301"),
    ("DA", b"1970"),
    ("DA", b"anonymous"),
    ("DA", b"19700101-19701231"),
    ("TM", b"2460"),
    ("TM", b"noon"),
    ("AS", b"old"),
    ("DT", b"2025-01-02"),
    ("US", b"\1\0\2"),
    ("FD", b"\0" * 12),
    ("FL", b"\0" * 6),
    ("UL", b"\0" * 2),
]


@pytest.mark.parametrize(("vr", "value"), GOOD)
def test_accepts_values_as_scanners_write_them(vr: str, value: bytes, tmp_path: Path) -> None:
    made = element(TAGS[vr], vr.encode(), padded(value))
    assert judge(ValueGrammar(), meta() + made + PIXELS, tmp_path) == ""


@pytest.mark.parametrize(("vr", "value"), BAD)
def test_refuses_values_that_are_not_what_they_claim(vr: str, value: bytes, tmp_path: Path) -> None:
    made = element(TAGS[vr], vr.encode(), value)
    assert judge(ValueGrammar(), meta() + made + PIXELS, tmp_path) == "value-malformed"


def test_reads_values_at_any_depth_and_in_any_encoding(tmp_path: Path) -> None:
    bad = element(TAGS["DS"], b"DS", b"1,5 ")
    nested = element(0x00081140, b"SQ", item(element(0x00081140, b"SQ", item(bad))))
    assert judge(ValueGrammar(), meta() + nested + PIXELS, tmp_path) == "value-malformed"
    plain = meta(ImplicitVRLittleEndian) + implicit(TAGS["DS"], b"1,5 ")
    assert judge(ValueGrammar(), plain, tmp_path) == "value-malformed"


def test_leaves_private_values_to_their_makers(tmp_path: Path) -> None:
    made = CREATOR + element(0x00291001, b"DS", b"1,5 ")
    assert judge(ValueGrammar(), meta() + made + PIXELS, tmp_path) == ""


_CHARACTERS = st.sampled_from(list("0123456789.-+eE \\:AYX"))


@given(st.sampled_from(sorted(_PATTERNS)), st.lists(_CHARACTERS, max_size=18).map("".join))
def test_refuses_no_value_that_pydicom_calls_valid(vr: str, value: str) -> None:
    try:
        for one in value.split("\\"):
            validate_value(VR(vr), one, 2)  # raises
    except ValueError:
        return
    if (vr == "DA" and "-" in value) or (vr in ("TM", "DT") and "-" in value):
        return  # a range, which stands in queries alone
    assert _PATTERNS[vr].fullmatch(value.encode())


@pytest.mark.parametrize("vr", sorted(_PATTERNS))
@pytest.mark.parametrize("unit", [b" ", b"0", b"1.", b"1\\", b"+", b"\0", b"1 ", b"A "])
def test_takes_no_time_over_values_made_to_take_it(vr: str, unit: bytes) -> None:
    long = unit * 100_000 + b"!\x01"
    begun = time.perf_counter()
    assert not _PATTERNS[vr].fullmatch(long)
    assert time.perf_counter() - begun < 1


SET = 0x00080005
NAME = 0x00100010


@pytest.mark.parametrize(
    ("terms", "name", "reason"),
    [
        (None, b"Doe^Jane", ""),
        (None, b"M\xfcller^Anna", ""),  # undeclared, and everybody reads Latin-1
        (b"ISO_IR 100", b"M\xfcller^Anna", ""),
        (b"ISO-IR 100", b"M\xfcller^Anna", ""),
        (b"ISO_IR 192 ", "Müller^Änne".encode(), ""),
        (b"ISO_IR 192 ", "山田^太郎 ".encode(), ""),
        (b"GB18030 ", "王^小东".encode("gb18030"), ""),
        (b"\\ISO 2022 IR 87 ", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", ""),
        (None, b"Doe^Jane\0\0", ""),
        (None, b"two\r\nlines", ""),
        (b"ISO_IR 666", b"Doe^Jane", "character-set"),
        (b"KLINGON ", b"Doe^Jane", "character-set"),
        (b"ISO_IR 192 ", b"M\xfcller^Anna", "text-not-decodable"),
        (b"ISO_IR 127", b"M\xfcller^A\xa1", "text-not-decodable"),
        (None, b"Doe\0^Jane ", "control-characters"),
        (None, b"Doe\x08^Jane ", "control-characters"),
        (None, b"Doe\x1b[2J^Jane ", "control-characters"),
        (b"ISO 2022 IR 87", b"Doe\x1b[2J^Jane ", "control-characters"),
        (b"ISO_IR 100", b"Doe\x1b$B^Jane", "control-characters"),
        (None, b"Doe\x7f^Jane ", "control-characters"),
    ],
)
def test_reads_text_in_the_declared_character_set(
    terms: bytes | None, name: bytes, reason: str, tmp_path: Path
) -> None:
    declared = b"" if terms is None else element(SET, b"CS", padded(terms))
    made = declared + element(NAME, b"PN", padded(name))
    assert judge(CharacterSet(), meta() + made + PIXELS, tmp_path) == reason


def test_reads_the_character_set_of_an_item(tmp_path: Path) -> None:
    def text(name: bytes) -> bytes:
        return (
            meta()
            + element(
                0x00081110,
                b"SQ",
                item(element(SET, b"CS", b"ISO_IR 192"), element(0x00081155, b"UI", b"1.2\0")),
            )
            + element(NAME, b"PN", padded(name))
            + PIXELS
        )

    assert judge(CharacterSet(), text("Müller".encode()), tmp_path) == ""
    assert judge(CharacterSet(), text(b"M\xfcller"), tmp_path) == "text-not-decodable"


def identified(
    instance: bytes = b"1.2.3.1", study: bytes = b"1.2.3.2", series: bytes = b"1.2.3.3"
) -> bytes:
    made = b""
    for tag, uid in ((0x00080018, instance), (0x0020000D, study), (0x0020000E, series)):
        made += element(tag, b"UI", uid + b"\0" * (len(uid) % 2)) if uid != b"-" else b""
    return meta() + made + PIXELS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (identified(), ""),
        (identified(b"2.25.329800735698586629295641978511506172918"), ""),
        (identified(b"1.3.12.2.1107.5.2.43.67093.0202"), ""),
        (identified(study=b"1.2.3.3"), ""),
        (identified(b"-"), "uid-missing"),
        (identified(b""), "uid-missing"),
        (identified(study=b"-"), "uid-missing"),
        (identified(b"1.2.3." + b"4" * 60), "uid-malformed"),
        (identified(b"9.8.7.6"), "uid-malformed"),
        (identified(b"1.99.3.4"), "uid-malformed"),
        (identified(b"12"), "uid-malformed"),
        (identified(b"1.2.3\\1.2.4"), "uid-malformed"),
        (identified(b"1.2.840.10008.5.1.4.1.1.4"), "uid-reserved"),
        (identified(series=b"1.2.840.10008.1.1"), "uid-reserved"),
        (identified(b"1.2.3.2"), "uid-shared"),
        (identified(b"1.2.3.3"), "uid-shared"),
    ],
)
def test_asks_identifiers_to_identify(content: bytes, reason: str, tmp_path: Path) -> None:
    assert judge(Identifiers(), content, tmp_path) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"ORIGINAL\\PRIMARY\\M\\ND\\DIS2D\\NORM", ""),  # Siemens
        (b"ORIGINAL\\PRIMARY\\OTHER", ""),  # GE
        (b"ORIGINAL\\PRIMARY\\M_IR\\M\\IR", ""),  # Philips
        (b"ORIGINAL\\PRIMARY\\M_SE\\M\\SE", ""),
        (b"ORIGINAL\\PRIMARY\\FLAIR", ""),  # Canon
        (b"ORIGINAL\\PRIMARY\\M\\NONE", ""),  # United Imaging
        (b"DERIVED\\SECONDARY", ""),
        (b"DERIVED\\PRIMARY\\M\\NORM\\FIL", ""),
        (b"DERIVED\\SECONDARY\\SCREEN SAVE", "image-type"),
        (b"DERIVED\\SECONDARY\\SCREENSHOT", "image-type"),
        (b"derived\\secondary\\screen save", "image-type"),
        (b"DERIVED\\SECONDARY\\MPR\\CSA MPR", "image-type"),
        (b"DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", "image-type"),  # GE
        (b"DERIVED\\SECONDARY\\PROJECTION IMAGE\\MIP", "image-type"),
        (b"DERIVED\\PRIMARY\\T1 MAP", "image-type"),
        (b"DERIVED\\PRIMARY\\DIFFUSION\\ADC", "image-type"),
        (b"ORIGINAL\\PRIMARY\\PHASE MAP\\P\\FFE", "image-type"),  # Philips
        (b"ORIGINAL\\PRIMARY\\R\\ND", "image-type"),
        (b"DERIVED\\SECONDARY\\COLOR", "image-type"),
        (b"ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC", "mosaic"),
    ],
)
def test_wants_the_scanner_s_own_images(value: bytes, reason: str, tmp_path: Path) -> None:
    made = element(0x00080008, b"CS", padded(value))
    assert judge(ImageType(), meta() + made + PIXELS, tmp_path) == reason


def test_takes_no_time_over_an_endless_type(tmp_path: Path) -> None:
    endless = meta(ImplicitVRLittleEndian) + implicit(0x00080008, b"A\\" * 1_000_000)
    begun = time.thread_time()
    assert judge(ImageType(), endless, tmp_path) == "image-type"
    assert time.thread_time() - begun < 0.5


def test_reads_the_type_of_each_frame(tmp_path: Path) -> None:
    frame = item(element(0x00089007, b"CS", b"DERIVED\\PRIMARY\\MPR\\NONE"))
    made = element(0x52009230, b"SQ", item(element(0x00189226, b"SQ", frame)))
    assert judge(ImageType(), meta() + made + PIXELS, tmp_path) == "image-type"


@pytest.mark.parametrize(("value", "reason"), [(b"WSD ", "image-type"), (b"SYN ", ""), (b"", "")])
def test_refuses_digitised_pictures(value: bytes, reason: str, tmp_path: Path) -> None:
    made = element(0x00080064, b"CS", value)
    assert judge(ImageType(), meta() + made + PIXELS, tmp_path) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"YES ", "burned-in-annotation"), (b"yes ", "burned-in-annotation"), (b"NO", ""), (b"", "")],
)
def test_believes_a_header_that_admits_to_text(value: bytes, reason: str, tmp_path: Path) -> None:
    made = element(0x00280301, b"CS", value)
    assert judge(BurnedIn(), meta() + made + PIXELS, tmp_path) == reason


INTERCEPT, SLOPE = 0x00281052, 0x00281053


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (b"", ""),
        (element(INTERCEPT, b"DS", b"0 ") + element(SLOPE, b"DS", b"1.5 "), ""),
        (element(INTERCEPT, b"DS", b"-1024 ") + element(SLOPE, b"DS", b"1e-3"), ""),
        (element(SLOPE, b"DS", b""), ""),
        (element(SLOPE, b"DS", b"0 "), "rescale"),
        (element(SLOPE, b"DS", b"-1"), "rescale"),
        (element(SLOPE, b"DS", b"NaN "), "rescale"),
        (element(SLOPE, b"DS", b"inf "), "rescale"),
        (element(SLOPE, b"DS", b"1e39"), "rescale"),
        (element(SLOPE, b"DS", b"1\\2 "), "rescale"),
        (element(SLOPE, b"DS", b"one "), "rescale"),
        (element(INTERCEPT, b"DS", b"NaN "), "rescale"),
        (element(INTERCEPT, b"DS", b"0" * 80), "rescale"),
        (element(INTERCEPT, b"DS", b"1e999 "), "rescale"),
        (element(0x00283000, b"SQ", item()), "rescale"),
        (
            element(
                0x52009230,
                b"SQ",
                item(element(0x00289145, b"SQ", item(element(SLOPE, b"DS", b"0 ")))),
            ),
            "rescale",
        ),
        # Real World Value Mapping has its own slope, which is not read
        (element(0x00409096, b"SQ", item(element(0x00409225, b"FD", b"\0" * 8))), ""),
    ],
)
def test_wants_a_rescale_that_can_be_applied(elements: bytes, reason: str, tmp_path: Path) -> None:
    assert judge(Rescale(), meta() + elements + PIXELS, tmp_path) == reason
