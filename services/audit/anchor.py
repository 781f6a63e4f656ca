"""Heads of the audit chain in a file of their own, which belongs on another host.

One JSON line a head, only ever appended, so that the file may be made append-only
(`chattr +a`) or live on write-once storage.
"""

import json
import os
from datetime import datetime
from pathlib import Path

from mri_guard.errors import SettingsError
from services.audit import chain
from services.audit.chain import Anchor, Head
from services.db.session import Database

TAIL_BYTES = 512
"""More than one line takes."""


def anchor_head(database: Database, path: Path) -> Head | None:
    """The head that the file now ends with; None for an empty chain.

    Call it periodically and at shutdown. Nothing is verified here: `chain.verify` compares every
    anchored head with the table, so that a head anchored after a cut vouches for nothing.
    """
    with database.reading() as session:
        newest = chain.head(session)
    if newest is not None and newest != _last(path):
        write_anchor(path, newest)
    return newest


def write_anchor(path: Path, newest: Head) -> None:
    """Appends one head and forces it to the disk."""
    line = json.dumps({"sequence": newest.sequence, "mac": newest.mac, "at": newest.at.isoformat()})
    with path.open("ab+") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that a power cut tore
                line = "\n" + line
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_anchor(path: Path) -> Anchor:
    """The heads in a file, oldest first. Lines that a power cut tore are passed over.

    Raises:
        SettingsError: the file cannot be read, or holds no head.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(f"anchor file cannot be read: {type(error).__name__}") from error
    heads = tuple(item for item in map(_parse, lines) if item is not None)
    if lines and not heads:
        raise SettingsError("anchor file holds no head of an audit chain")
    return Anchor(heads)


def _last(path: Path) -> Head | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().splitlines()
    return _parse(lines[-1]) if lines else None


def _parse(line: bytes) -> Head | None:
    try:
        fields = json.loads(line)
        return Head(
            int(fields["sequence"]), str(fields["mac"]), datetime.fromisoformat(fields["at"])
        )
    except (ValueError, TypeError, KeyError):
        return None
