"""The kit's own secrets, made at the first start; there is no default one."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes

from mri_guard.errors import SettingsError

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys that live under `home/secrets`, readable by their owner alone.

    Attributes:
        audit_key: of the audit chain's HMAC.
        identifier_key: of the keyed digests that stand for UIDs in the database and the logs.
        identity_keys: of identified headers and of de-identified UIDs and dates: the present one,
            `identity.key`, then former ones, `identity-*.key`, which open but seal nothing more.
        fingerprint_key: of the fingerprints by which near-duplicates are found.
    """

    audit_key: SecretBytes
    identifier_key: SecretBytes
    identity_keys: tuple[SecretBytes, ...]
    fingerprint_key: SecretBytes


def load_or_create(home: Path) -> Secrets:
    """Secrets of this home, made when they are missing.

    Raises:
        SettingsError: a key file has another length, or others may read it.
    """
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    former = sorted(folder.glob("identity-*.key"), reverse=True)
    return Secrets(
        audit_key=_key(folder / "audit.key"),
        identifier_key=_key(folder / "identifier.key"),
        identity_keys=tuple(map(_key, (folder / "identity.key", *former))),
        fingerprint_key=_key(folder / "fingerprint.key"),
    )


def _key(path: Path) -> SecretBytes:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # only the first of several starting processes wins
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path.name} may be read by others; wanted mode 0600")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{path.name} holds {len(key)} bytes; wanted {KEY_BYTES}")
    return SecretBytes(key)
