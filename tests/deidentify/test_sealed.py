from pathlib import Path

import pytest

from mri_guard.deidentify import DeidentificationKey, Identity, seal, unseal
from mri_guard.deidentify.key import load_key_file, make_key_file
from mri_guard.errors import DigestError, SettingsError

KEY, OTHER = DeidentificationKey(b"k" * 32), DeidentificationKey(b"o" * 32)
IDENTITY = Identity(
    attributes={"PatientName": "Müller^Anna", "PatientID": "4711"},
    uids={"1.2.3": "2.25.7"},
    shift_days=4000,
    key_name=KEY.name,
)


def test_opens_with_the_key_that_sealed_it() -> None:
    sealed = seal(IDENTITY, KEY, "2.25.7")
    assert unseal(sealed, [OTHER, KEY], "2.25.7") == IDENTITY
    assert IDENTITY.original("2.25.7") == "1.2.3"
    assert IDENTITY.original("2.25.8") is None


def test_says_nothing_and_never_the_same() -> None:
    sealed = [seal(IDENTITY, KEY, "2.25.7") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert all(word not in sealed[0] for word in (b"4711", b"Anna", b"1.2.3", KEY.secret))


def test_a_key_that_is_gone_is_named() -> None:
    with pytest.raises(SettingsError, match=KEY.name):
        unseal(seal(IDENTITY, KEY, "2.25.7"), [OTHER], "2.25.7")


def test_a_change_of_any_byte_is_noticed() -> None:
    sealed = seal(IDENTITY, KEY, "2.25.7")
    for at in range(len(sealed)):
        hurt = bytearray(sealed)
        hurt[at] ^= 1
        with pytest.raises((DigestError, SettingsError)):
            unseal(bytes(hurt), [KEY], "2.25.7")
    with pytest.raises(DigestError):
        unseal(sealed[:-1], [KEY], "2.25.7")
    with pytest.raises(DigestError):
        unseal(b"", [KEY], "2.25.7")


def test_does_not_open_in_another_place() -> None:
    with pytest.raises(DigestError):
        unseal(seal(IDENTITY, KEY, "2.25.7"), [KEY], "2.25.8")


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key_file(path) == made
    assert made != make_key_file(tmp_path / "other")
    with pytest.raises(SettingsError, match="exists"):
        make_key_file(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="others"):
        load_key_file(path)


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 31, "00" * 33])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError):
        load_key_file(path)
    with pytest.raises(SettingsError, match="--make-key"):
        load_key_file(tmp_path / "none")


def test_a_key_does_not_show_itself() -> None:
    assert "k" * 8 not in repr(KEY)
    assert KEY.derive("uid") != KEY.derive("days")
