import re

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID, MRImageStorage

from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.deidentify.uids import is_registered, keyed_uid

KEY, OTHER = DeidentificationKey(b"k" * 32), DeidentificationKey(b"o" * 32)
PARTS = st.lists(st.integers(0, 10**8), min_size=2, max_size=6)
UIDS = PARTS.map(lambda parts: ".".join(map(str, (1, 2, *parts))))


@given(UIDS)
def test_is_a_valid_uid_of_a_uuid(uid: str) -> None:
    made = keyed_uid(KEY, uid)
    assert UID(made).is_valid
    assert re.fullmatch(r"2\.25\.[1-9]\d{35,38}", made)
    number = int(made.removeprefix("2.25."))
    assert number.bit_length() <= 128
    assert number >> 76 & 0xF == 8  # version
    assert number >> 62 & 0x3 == 2  # variant


@given(UIDS)
def test_is_the_same_for_the_same_key_and_another_for_another(uid: str) -> None:
    assert keyed_uid(KEY, uid) == keyed_uid(DeidentificationKey(b"k" * 32), uid)
    assert keyed_uid(KEY, uid) != keyed_uid(OTHER, uid)


@given(st.sets(UIDS, min_size=2, max_size=50))
def test_differs_where_the_originals_do(uids: set[str]) -> None:
    assert len({keyed_uid(KEY, uid) for uid in uids}) == len(uids)


def test_knows_what_the_standard_registers() -> None:
    assert is_registered(MRImageStorage)
    assert is_registered("1.2.840.10008.1.4.1.1")  # Talairach frame of reference
    assert not is_registered("1.2.840.10008.1.2.3.4.5.6.7")
    assert not is_registered("1.3.12.2.1107.5.2.43.67093")
