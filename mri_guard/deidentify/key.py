"""The secret that pseudonyms, UIDs and date shifts are derived from, and identities sealed with.

There is no default one: whoever has it can join what was de-identified to the patient again.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from mri_guard.errors import SettingsError

KEY_BYTES = 32
_CONTEXT = b"mri-guard de-identification 1: "


@dataclass(frozen=True, slots=True)
class DeidentificationKey:
    """32 secret bytes; each use gets a key of its own, derived by HMAC-SHA256.

    Raises:
        SettingsError: another length.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise SettingsError(f"key of {len(self.secret)} bytes; wanted {KEY_BYTES}")

    def derive(self, use: str) -> bytes:
        """32 bytes for one use; from them neither the key nor another use's can be told."""
        return hmac.digest(self.secret, _CONTEXT + use.encode(), hashlib.sha256)

    def digest(self, use: str, value: str) -> bytes:
        """32 bytes that stand for a value; the same for the same key, use and value."""
        return hmac.digest(self.derive(use), value.encode(errors="surrogatepass"), hashlib.sha256)

    @property
    def name(self) -> str:
        """16 hex digits that tell this key from others and say nothing else about it."""
        return self.derive("name")[:8].hex()


def make_key_file(path: Path) -> DeidentificationKey:
    """A new key, written as hex to a new file that its owner alone may read.

    Raises:
        SettingsError: the file exists, or cannot be made.
    """
    key = DeidentificationKey(secrets.token_bytes(KEY_BYTES))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key.secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise SettingsError("the key file exists; a new key would orphan what it sealed") from error
    except OSError as error:
        raise SettingsError(f"the key file cannot be made: {type(error).__name__}") from error
    return key


def load_key_file(path: Path) -> DeidentificationKey:
    """The key that `make_key_file` wrote.

    Raises:
        SettingsError: no such file, others may read it, or it holds no key.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the key file cannot be read ({type(error).__name__}); --make-key makes one"
        ) from error
    if mode & 0o077:
        raise SettingsError("the key file may be read by others; wanted mode 0600")
    try:
        return DeidentificationKey(bytes.fromhex(text.strip()))
    except ValueError as error:
        raise SettingsError(f"the key file holds no {2 * KEY_BYTES} hex digits") from error
