"""The spool: every received file, durable before anybody is told that it arrived.

A file is written aside, synced, renamed to the SHA-256 of its bytes, and its folder synced. The
same bytes twice are one file. No name holds anything that the sender said.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mri_guard.errors import LimitError
from services.settings import Settings

MEGABYTE = 2**20
CHECK_EVERY_BYTES = 16 * MEGABYTE
NO_ROOM = "disk-low"
TOO_LARGE = "instance-too-large"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that survives a power failure.

    Attributes:
        sha256: of its bytes, hex; its name.
        size_bytes: how many there are.
    """

    sha256: str
    size_bytes: int


class Spool:
    """Files by content under `home/spool`.

    Args:
        home: of the deployment.
        max_instance_mb: a larger file is refused; None takes any.
        min_free_disk_mb: with less room than this nothing more is taken.
    """

    def __init__(
        self, home: Path, *, max_instance_mb: int | None = None, min_free_disk_mb: int = 0
    ) -> None:
        self._incoming = home / "spool" / "incoming"
        self._instances = home / "spool" / "instances"
        self._max_bytes = None if max_instance_mb is None else max_instance_mb * MEGABYTE
        self._min_free_bytes = min_free_disk_mb * MEGABYTE
        self._ready = False

    @classmethod
    def under(cls, settings: Settings) -> "Spool":
        """The spool of a deployment, with its limits."""
        return cls(
            settings.home,
            max_instance_mb=settings.max_instance_mb,
            min_free_disk_mb=settings.min_free_disk_mb,
        )

    def path(self, sha256: str) -> Path:
        """Where the file with these bytes lies, or would lie."""
        return self._instances / sha256[:2] / f"{sha256}.dcm"

    def store(self, chunks: Iterable[bytes]) -> Spooled:
        """The file, on disk for good: it may be acknowledged.

        Raises:
            LimitError: `disk-low` or `instance-too-large`; nothing is left behind.
            OSError: the disk failed; nothing is left behind.
        """
        try:
            self._make_folders()
            descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._incoming)
            part = Path(name)
            try:
                spooled = self._write(descriptor, chunks)
                self._shelve(part, self.path(spooled.sha256))
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LimitError(NO_ROOM, "the disk is full") from error
            raise
        return spooled

    def all(self) -> Iterator[str]:
        """SHA-256 of every file, ascending."""
        for folder in sorted(self._instances.glob("??")):
            yield from sorted(file.stem for file in folder.glob("*.dcm"))

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A folder for an upload that is still to be taken apart; removed at the end."""
        self._make_folders()
        self._check_room()
        with tempfile.TemporaryDirectory(prefix="upload-", dir=self._incoming) as folder:
            yield Path(folder)

    def clear_incoming(self) -> None:
        """Removes what a crash left half-done. Only while nobody stores: at the start."""
        for left in self._incoming.glob("*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    def _write(self, descriptor: int, chunks: Iterable[bytes]) -> Spooled:
        digest = hashlib.sha256()
        size = unchecked = 0
        with os.fdopen(descriptor, "wb") as file:
            self._check_room()
            for chunk in chunks:
                size += len(chunk)
                unchecked += len(chunk)
                if self._max_bytes is not None and size > self._max_bytes:
                    allowed = self._max_bytes // MEGABYTE
                    raise LimitError(TOO_LARGE, f"more than {allowed} MB; no more are allowed")
                if unchecked > CHECK_EVERY_BYTES:
                    self._check_room()
                    unchecked = 0
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return Spooled(digest.hexdigest(), size)

    def _shelve(self, part: Path, target: Path) -> None:
        # Also over a file that is there: these bytes are known to be whole and durable.
        part.replace(target)
        _sync_folder(target.parent)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._incoming).free
        if free < self._min_free_bytes:
            seen, wanted = free // MEGABYTE, self._min_free_bytes // MEGABYTE
            raise LimitError(NO_ROOM, f"{seen} MB free; {wanted} MB wanted")

    def _make_folders(self) -> None:
        """Makes all folders, once a process, so that a power failure takes none of them away."""
        if self._ready:
            return
        root = self._incoming.parent
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shards = [self._instances / f"{prefix:02x}" for prefix in range(256)]
        for folder in (root, self._incoming, self._instances, *shards):
            folder.mkdir(exist_ok=True, mode=0o700)
        for folder in (self._instances, root, root.parent):
            _sync_folder(folder)
        self._ready = True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
