"""Anchored heads survive torn lines and notice what they were written for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mri_guard.errors import SettingsError
from services.audit import chain
from services.audit.anchor import anchor_head, read_anchor, write_anchor
from services.audit.chain import Head
from services.context import Context

HEADS = [Head(number, f"{number:064x}", datetime(2026, 1, number, tzinfo=UTC)) for number in (1, 2)]


def append(context: Context) -> None:
    with context.database.transaction() as session:
        chain.append(
            session,
            context.secrets.audit_key,
            event="test.thing.done",
            actor="worker",
            subject="thing:1",
            payload={},
        )


def test_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "anchor"
    for head in HEADS:
        write_anchor(path, head)
    assert list(read_anchor(path).heads) == HEADS


@pytest.mark.parametrize("torn", [b'{"sequence": 9, "mac', b"\0\0\0", b"[]", b'{"sequence": "x"}'])
def test_passes_over_a_torn_line_and_writes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "anchor"
    write_anchor(path, HEADS[0])
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_anchor(path).heads) == HEADS[:1]
    write_anchor(path, HEADS[1])
    assert list(read_anchor(path).heads) == HEADS


def test_only_ever_appends(tmp_path: Path) -> None:
    path = tmp_path / "anchor"
    write_anchor(path, HEADS[0])
    before = path.read_bytes()
    write_anchor(path, HEADS[1])
    assert path.read_bytes().startswith(before)


def test_refuses_a_file_that_is_absent_or_holds_something_else(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_anchor(tmp_path / "absent")
    other = tmp_path / "other"
    other.write_text("hello\n")
    with pytest.raises(SettingsError, match="no head"):
        read_anchor(other)


def test_anchors_the_head_once_until_the_chain_grows(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "anchor"
    first = anchor_head(context.database, path)
    assert anchor_head(context.database, path) == first
    assert read_anchor(path).heads == (first,)
    append(context)
    second = anchor_head(context.database, path)
    assert read_anchor(path).heads == (first, second)


def test_anchors_nothing_of_an_empty_chain(tmp_path: Path) -> None:
    from services.db.session import Database  # noqa: PLC0415 - the one test without a deployment

    database = Database(f"sqlite:///{tmp_path}/x.sqlite3")
    database.migrate()
    assert anchor_head(database, tmp_path / "anchor") is None
    assert not (tmp_path / "anchor").exists()
    database.dispose()


def test_still_tells_of_a_cut_after_later_heads_were_anchored(
    context: Context, tmp_path: Path
) -> None:
    path = tmp_path / "anchor"
    for _ in range(3):
        append(context)
    anchor_head(context.database, path)
    with context.database.transaction() as session:
        newest = chain.head(session)
        assert newest is not None
        session.connection().exec_driver_sql(
            f"DELETE FROM audit_entry WHERE sequence = {newest.sequence}"
        )
    append(context)
    append(context)
    anchor_head(context.database, path)
    with context.database.reading() as session:
        report = chain.verify(session, context.secrets.audit_key, read_anchor(path))
    assert report.broken_at == newest.sequence
