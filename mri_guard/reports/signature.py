"""Ed25519 over canonical JSON: who vouches for the bytes of a report.

Signed is `statement.json`, canonical JSON (RFC 8785), which names every other file with its
SHA-256. `signature.json` beside it is canonical too, so that no byte of either can change
unnoticed. Ed25519: RFC 8032; deterministic, so that a report has one signature under one key.
"""

import json
import os
from pathlib import Path

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mri_guard.errors import SettingsError

ALGORITHM = "Ed25519"


def make_key(path: Path) -> Path:
    """Path of the public key, beside a new private key that only its owner may read.

    Args:
        path: of the private key, PEM (PKCS #8); the public one has the ending `.pub`.

    Raises:
        SettingsError: either file exists, or cannot be written.
    """
    key, public = Ed25519PrivateKey.generate(), path.with_name(path.name + ".pub")
    if public.exists():
        raise SettingsError(f"{public.name} exists; wanted a new name")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(public_pem(key.public_key()))
    except OSError as error:
        raise SettingsError(f"cannot write {path.name}: {error.strerror}") from error
    return public


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """A private key that nobody else may read.

    Raises:
        SettingsError: not readable, open to others, or no Ed25519 key.
    """
    try:
        others = path.stat().st_mode & 0o077
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path.name}: {error.strerror}") from error
    if others:
        raise SettingsError(f"{path.name} is open to others; wanted mode 0600")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{path.name} is no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path.name} is another kind of key; wanted {ALGORITHM}")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """A public key.

    Raises:
        SettingsError: not readable, or no Ed25519 key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read {path.name}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{path.name} is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{path.name} is another kind of key; wanted {ALGORITHM}")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """As a file."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signature(statement: bytes, key: Ed25519PrivateKey) -> bytes:
    """Content of `signature.json`, canonical."""
    return _document(key.sign(statement), key.public_key())


def signed_by(statement: bytes, content: bytes, key: Ed25519PublicKey) -> bool:
    """Whether `content` is the signature of the statement by this key, to the byte."""
    try:
        claimed = bytes.fromhex(json.loads(content)["signature"])
        key.verify(claimed, statement)
    except (ValueError, TypeError, KeyError, InvalidSignature):
        return False
    return content == _document(claimed, key)


def _document(signed: bytes, key: Ed25519PublicKey) -> bytes:
    return rfc8785.dumps(
        {
            "algorithm": ALGORITHM,
            "public_key": key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
            "signature": signed.hex(),
        }
    )
