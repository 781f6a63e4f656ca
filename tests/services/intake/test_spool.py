import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.errors import LimitError
from services.intake import spool as module
from services.intake.spool import Spool

CHUNKS = [b"one", b"", b"two"]
DIGEST = hashlib.sha256(b"onetwo").hexdigest()


class Disk(NamedTuple):
    total: int
    used: int
    free: int


def files(home: Path) -> list[Path]:
    return [path for path in (home / "spool").rglob("*") if path.is_file()]


def test_keeps_the_bytes_under_their_digest(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spooled = spool.store(CHUNKS)
    assert (spooled.sha256, spooled.size_bytes) == (DIGEST, 6)
    assert spool.path(DIGEST) == tmp_path / "spool" / "instances" / DIGEST[:2] / f"{DIGEST}.dcm"
    assert spool.path(DIGEST).read_bytes() == b"onetwo"
    assert files(tmp_path) == [spool.path(DIGEST)]


def test_keeps_the_same_bytes_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.store([b"onetwo"]) == spool.store(CHUNKS)
    assert list(spool.all()) == [DIGEST]


def test_another_process_finds_what_one_has_stored(tmp_path: Path) -> None:
    Spool(tmp_path).store(CHUNKS)
    Spool(tmp_path).store([b"more"])
    assert list(Spool(tmp_path).all()) == sorted([DIGEST, hashlib.sha256(b"more").hexdigest()])


def test_an_empty_home_has_an_empty_spool(tmp_path: Path) -> None:
    Spool(tmp_path).clear_incoming()
    assert list(Spool(tmp_path).all()) == []


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    path = spool.path(spool.store(CHUNKS).sha256)
    for made in (path, path.parent, tmp_path / "spool"):
        assert made.stat().st_mode & 0o077 == 0


def test_syncs_the_file_before_it_is_named_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.store([b"first"])  # makes and syncs the folders
    seen: list[str] = []

    def fsync(descriptor: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        kind = "folder" if target.is_dir() else f"{target.stat().st_size} bytes"
        seen.append(f"{kind}, named: {spool.path(DIGEST).exists()}")

    monkeypatch.setattr(os, "fsync", fsync)
    spool.store(CHUNKS)
    assert seen == ["6 bytes, named: False", "folder, named: True"]


def test_refuses_a_file_over_the_limit_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_instance_mb=1)
    spool.store([bytes(2**20)])
    spool.path(spool.store([bytes(2**20)]).sha256).unlink()
    with pytest.raises(LimitError, match="instance-too-large"):
        spool.store([bytes(2**20), b"1"])
    assert files(tmp_path) == []


def test_refuses_when_the_disk_is_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, min_free_disk_mb=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, 10 * 2**20 - 1))
    with pytest.raises(LimitError, match="disk-low"):
        spool.store(CHUNKS)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, 10 * 2**20))
    assert spool.store(CHUNKS).sha256 == DIGEST


def test_notices_that_the_disk_fills_while_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([20 * 2**20, 5 * 2**20])
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, next(free)))
    monkeypatch.setattr(module, "CHECK_EVERY_BYTES", 4)
    with pytest.raises(LimitError, match="disk-low"):
        Spool(tmp_path, min_free_disk_mb=10).store(CHUNKS)
    assert files(tmp_path) == []


def test_a_disk_that_is_full_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.store([b"first"])

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LimitError, match="disk-low"):
        spool.store(CHUNKS)
    assert DIGEST not in list(spool.all())


def test_a_sender_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        Spool(tmp_path).store(broken())
    assert files(tmp_path) == []


def test_removes_what_a_crash_left_half_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.store(CHUNKS)
    (tmp_path / "spool" / "incoming" / "left.part").write_bytes(b"half")
    spool.clear_incoming()
    assert files(tmp_path) == [spool.path(DIGEST)]


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Spool:
    return Spool(tmp_path_factory.mktemp("home"))


@settings(deadline=None, max_examples=50)
@given(chunks=st.lists(st.binary(max_size=50)))
def test_stores_any_bytes_bit_for_bit(spool: Spool, chunks: list[bytes]) -> None:
    spooled = spool.store(chunks)
    content = b"".join(chunks)
    assert spooled.sha256 == hashlib.sha256(content).hexdigest()
    assert spool.path(spooled.sha256).read_bytes() == content
