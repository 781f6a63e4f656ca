"""Identities encrypted at rest: AES-256-GCM, bound to what they belong to.

A sealed identity: version (1 byte), name of the key (8), nonce (12), ciphertext and tag (16). The
name tells which key opens it, so that a new key can seal while older ones still open.
"""

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from mri_guard.deidentify.identity import Identity
from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.errors import DigestError, SettingsError

_VERSION = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 8, 12
_HEAD_BYTES = 1 + _NAME_BYTES + _NONCE_BYTES
_USE = "sealing"


def seal(identity: Identity, key: DeidentificationKey, belongs_to: str) -> bytes:
    """The identity, encrypted.

    Args:
        identity: what is sealed.
        key: that seals.
        belongs_to: what it is filed under, such as a de-identified UID; authenticated, so that a
            sealed identity moved to another's place does not open.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    head = _VERSION + bytes.fromhex(key.name) + nonce
    plain = identity.model_dump_json().encode()
    return head + AESGCM(key.derive(_USE)).encrypt(nonce, plain, _associated(head, belongs_to))


def unseal(sealed: bytes, keys: Sequence[DeidentificationKey], belongs_to: str) -> Identity:
    """The identity again.

    Args:
        sealed: from `seal`.
        keys: the present key and earlier ones.
        belongs_to: what it is filed under.

    Raises:
        SettingsError: none of the keys is the one that sealed it.
        DigestError: it was changed, cut or moved.
    """
    head, body = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
    if len(head) < _HEAD_BYTES or head[:1] != _VERSION:
        raise DigestError("not a sealed identity of a known version")
    name = head[1 : 1 + _NAME_BYTES].hex()
    key = next((key for key in keys if key.name == name), None)
    if key is None:
        raise SettingsError(f"sealed with key {name}, which is not at hand")
    try:
        cipher = AESGCM(key.derive(_USE))
        plain = cipher.decrypt(head[1 + _NAME_BYTES :], body, _associated(head, belongs_to))
        return Identity.model_validate_json(plain)
    except (InvalidTag, ValidationError) as error:
        raise DigestError("a sealed identity was changed, or belongs elsewhere") from error


def _associated(head: bytes, belongs_to: str) -> bytes:
    return head[: 1 + _NAME_BYTES] + belongs_to.encode()
