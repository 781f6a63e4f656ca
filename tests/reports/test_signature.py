"""Ed25519 over canonical JSON."""

import json
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mri_guard.errors import SettingsError
from mri_guard.reports.signature import (
    load_private_key,
    load_public_key,
    make_key,
    signature,
    signed_by,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STATEMENT = b'{"a":1}'


def test_key_is_made_for_its_owner_alone_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    public = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert public == tmp_path / "signing.pem.pub"
    signed = signature(STATEMENT, load_private_key(path))
    assert signed_by(STATEMENT, signed, load_public_key(public))
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="exists"):
        make_key(path)
    public.unlink()
    with pytest.raises(SettingsError, match="File exists"):
        make_key(path)
    assert path.read_bytes() == before


def test_key_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="open to others; wanted mode 0600"):
        load_private_key(path)


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="another kind of key; wanted Ed25519"):
        load_private_key(path)
    path.write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(SettingsError, match="another kind of key; wanted Ed25519"):
        load_public_key(path)
    path.write_text("none")
    with pytest.raises(SettingsError, match="no public key"):
        load_public_key(path)
    with pytest.raises(SettingsError, match="no private key"):
        load_private_key(path)
    with pytest.raises(SettingsError, match="No such file"):
        load_public_key(tmp_path / "absent")


def test_every_flipped_byte_of_statement_or_signature_is_seen() -> None:
    signed = signature(STATEMENT, KEY)
    assert signed_by(STATEMENT, signed, KEY.public_key())
    for place in range(len(signed)):
        broken = bytearray(signed)
        broken[place] ^= 1
        assert not signed_by(STATEMENT, bytes(broken), KEY.public_key()), place
    for place in range(len(STATEMENT)):
        changed = bytearray(STATEMENT)
        changed[place] ^= 1
        assert not signed_by(bytes(changed), signed, KEY.public_key())


def test_signature_in_another_spelling_or_by_another_key_is_not_one() -> None:
    signed = signature(STATEMENT, KEY)
    spelled = json.dumps(json.loads(signed)).encode()
    assert not signed_by(STATEMENT, spelled, KEY.public_key())
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert not signed_by(STATEMENT, signed, other.public_key())
    for junk in (b"", b"null", b"{}", b'{"signature":1}', b"\xff"):
        assert not signed_by(STATEMENT, junk, KEY.public_key())


def test_same_statement_and_key_give_the_same_bytes() -> None:
    assert signature(STATEMENT, KEY) == signature(STATEMENT, KEY)


def test_canonical_json_is_that_of_rfc_8785() -> None:
    # Section 3.2.2 and appendix B: numbers as ECMAScript writes them, keys by UTF-16 code units.
    assert rfc8785.dumps([333333333.33333329, 1e30, 4.50, 2e-3, 1e-27]) == (
        b"[333333333.3333333,1e+30,4.5,0.002,1e-27]"
    )
    keys = {"\u20ac": 1, "\r": 2, "1": 3, "\U0001f600": 4, "\ufb33": 5}
    assert list(json.loads(rfc8785.dumps(keys))) == ["\r", "1", "\u20ac", "\U0001f600", "\ufb33"]
