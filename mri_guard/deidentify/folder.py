"""De-identifies files into a folder, under names that say nothing, with a file of identities."""

import base64
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri_guard.deidentify.identity import Identity
from mri_guard.deidentify.instance import deidentify
from mri_guard.deidentify.key import DeidentificationKey
from mri_guard.deidentify.sealed import seal, unseal
from mri_guard.errors import DigestError, InputError, SettingsError


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    Attributes:
        source: the file that was read.
        written: the file that was written, named by its new SOP Instance UID; None: refused.
        reason: stable code of a refusal, else empty.
        detail: of a refusal, without patient data.
        milliseconds: from reading to writing.
        sealed: the identity, sealed under the new SOP Instance UID; None: refused.
    """

    source: Path
    written: Path | None
    reason: str = ""
    detail: str = ""
    milliseconds: float = 0.0
    sealed: bytes | None = None


def deidentify_files(
    files: Iterable[Path], out: Path, key: DeidentificationKey
) -> Iterator[FileResult]:
    """What became of each file; a refused one leaves nothing in the folder.

    Args:
        files: DICOM instances.
        out: folder, made where it is missing.
        key: the same key gives the same UIDs, so that series and studies stay together.

    Raises:
        OSError: a file cannot be read, or the folder not written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        start = time.perf_counter()
        try:
            made = deidentify(file, key)
            path = out / f"{made.sop_instance_uid}.dcm"
            _write_new(path, made.content)
        except InputError as error:
            elapsed = (time.perf_counter() - start) * 1000
            yield FileResult(file, None, error.reason, error.detail, elapsed)
            continue
        sealed = seal(made.identity, key, made.sop_instance_uid)
        elapsed = (time.perf_counter() - start) * 1000
        yield FileResult(file, path, milliseconds=elapsed, sealed=sealed)


def write_identities(path: Path, results: Iterable[FileResult]) -> None:
    """Writes the sealed identities, by new SOP Instance UID, to a new file of mode 0600.

    Raises:
        SettingsError: the file exists: the identities in it would be lost.
    """
    sealed = {
        result.written.stem: base64.b64encode(result.sealed).decode()
        for result in results
        if result.written is not None and result.sealed is not None
    }
    try:
        _create(path, json.dumps({"version": 1, "sealed": sealed}, indent=1).encode())
    except FileExistsError as error:
        raise SettingsError("the file of identities exists; wanted a new one") from error


def read_identities(path: Path, keys: Sequence[DeidentificationKey]) -> dict[str, Identity]:
    """Identities by new SOP Instance UID, as `write_identities` wrote them.

    Raises:
        DigestError: it is no such file, or was changed.
        SettingsError: none of the keys opens it.
    """
    try:
        sealed = json.loads(path.read_text())["sealed"]
        bodies = {str(uid): base64.b64decode(text, validate=True) for uid, text in sealed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DigestError("not a file of sealed identities") from error
    return {uid: unseal(body, keys, uid) for uid, body in bodies.items()}


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; the same bytes may be there already."""
    if path.exists():
        if path.read_bytes() != content:
            raise InputError(
                "instance-collision", "another file with the same SOP Instance UID came before"
            )
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    _create(part, content)
    part.replace(path)


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
