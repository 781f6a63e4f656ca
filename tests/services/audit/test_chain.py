"""The chain notices every way in which its table can be changed behind its back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, SecretBytes
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from services.audit import chain
from services.audit.chain import Anchor, ChainReport, Head
from services.db.models import AuditEntry
from services.db.session import Database
from tests.services.making import KEY

ENTRIES = 6


@pytest.fixture
def heads(database: Database) -> list[Head]:
    """The head after each of six appends."""
    seen = []
    for number in range(1, ENTRIES + 1):
        with database.transaction() as session:
            append(session, number)
            head = chain.head(session)
            assert head is not None
            seen.append(head)
    return seen


def append(session: Session, number: int) -> AuditEntry:
    return chain.append(
        session,
        KEY,
        event="test.thing.done",
        actor="worker",
        subject=f"thing:{number}",
        payload={"number": number, "list": [1.5, None, "é"]},
    )


def append_and_fail(database: Database) -> None:
    with database.transaction() as session:
        append(session, 99)
        raise RuntimeError


def verify(database: Database, anchor: Anchor | None = None) -> ChainReport:
    with database.reading() as session:
        return chain.verify(session, KEY, anchor)


def tamper(database: Database, *statements: object) -> None:
    with database.transaction() as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]  # update, delete or text


def test_finds_an_untouched_chain_intact(database: Database, heads: list[Head]) -> None:
    report = verify(database, Anchor(tuple(heads)))
    assert report == ChainReport(entries=ENTRIES, anchored=ENTRIES)
    assert report.intact


def test_finds_an_empty_chain_intact(database: Database) -> None:
    assert verify(database) == ChainReport(entries=0)


def test_numbers_entries_from_one_without_a_gap(database: Database, heads: list[Head]) -> None:
    assert [head.sequence for head in heads] == list(range(1, ENTRIES + 1))


def test_leaves_no_entry_and_no_gap_when_the_transaction_fails(
    database: Database, heads: list[Head]
) -> None:
    with pytest.raises(RuntimeError):
        append_and_fail(database)
    with database.transaction() as session:
        assert append(session, 7).sequence == ENTRIES + 1
    assert verify(database).intact


EDITS: dict[str, object] = {
    "event": "test.thing.undone",
    "actor": "user:1",
    "subject": "thing:4",
    "payload": {"number": 4, "list": [1.5, None, "é"]},
    "at": datetime(2020, 1, 1, tzinfo=UTC),
    "mac": "0" * 64,
    "previous_mac": "0" * 64,
}


@pytest.mark.parametrize("column", EDITS)
def test_notices_an_edited_column(database: Database, heads: list[Head], column: str) -> None:
    tamper(
        database, update(AuditEntry).where(AuditEntry.sequence == 3).values({column: EDITS[column]})
    )
    assert verify(database).broken_at == 3


def test_covers_every_column_of_the_table() -> None:
    assert set(EDITS) | {"sequence"} == set(AuditEntry.__table__.columns.keys())


def test_notices_an_entry_edited_and_signed_with_another_key(
    database: Database, heads: list[Head]
) -> None:
    with database.transaction() as session:
        session.execute(delete(AuditEntry).where(AuditEntry.sequence == ENTRIES))
        chain.append(
            session,
            SecretBytes(b"x" * 32),
            event="test.thing.done",
            actor="worker",
            subject="thing:6",
            payload={},
        )
    assert verify(database).broken_at == ENTRIES


def test_notices_a_deleted_entry(database: Database, heads: list[Head]) -> None:
    tamper(database, delete(AuditEntry).where(AuditEntry.sequence == 3))
    report = verify(database)
    assert report.broken_at == 3
    assert "missing" in report.problem


def test_notices_a_deleted_entry_whose_followers_moved_up(
    database: Database, heads: list[Head]
) -> None:
    tamper(
        database,
        delete(AuditEntry).where(AuditEntry.sequence == 3),
        *(
            update(AuditEntry).where(AuditEntry.sequence == number).values(sequence=number - 1)
            for number in range(4, ENTRIES + 1)
        ),
    )
    assert verify(database).broken_at == 3


def test_notices_a_deleted_first_entry(database: Database, heads: list[Head]) -> None:
    tamper(database, delete(AuditEntry).where(AuditEntry.sequence == 1))
    assert verify(database).broken_at == 1


def test_notices_two_entries_that_changed_places(database: Database, heads: list[Head]) -> None:
    tamper(
        database,
        *(
            update(AuditEntry).where(AuditEntry.sequence == old).values(sequence=new)
            for old, new in ((3, 99), (4, 3), (99, 4))
        ),
    )
    assert verify(database).broken_at == 3


def test_notices_an_inserted_entry(database: Database, heads: list[Head]) -> None:
    with database.transaction() as session:
        for number in range(ENTRIES, 2, -1):
            session.execute(
                update(AuditEntry).where(AuditEntry.sequence == number).values(sequence=number + 1)
            )
        copy = session.get_one(AuditEntry, 2)
        session.add(
            AuditEntry(
                sequence=3,
                at=copy.at,
                event="test.thing.done",
                actor="user:1",
                subject="thing:x",
                payload={},
                previous_mac=copy.mac,
                mac="1" * 64,
            )
        )
    assert verify(database).broken_at == 3


def test_misses_a_cut_tail_without_an_anchor_and_notices_it_with_one(
    database: Database, heads: list[Head]
) -> None:
    tamper(database, delete(AuditEntry).where(AuditEntry.sequence > 4))
    assert verify(database).intact
    report = verify(database, Anchor((heads[-1],)))
    assert report.broken_at == 5
    assert "cut" in report.problem


def test_notices_a_wholly_emptied_table_with_an_anchor(
    database: Database, heads: list[Head]
) -> None:
    tamper(database, delete(AuditEntry))
    assert verify(database).intact
    assert verify(database, Anchor((heads[-1],))).broken_at == 1


def test_notices_a_tail_cut_and_grown_again_with_an_anchor(
    database: Database, heads: list[Head]
) -> None:
    tamper(database, delete(AuditEntry).where(AuditEntry.sequence > 4))
    with database.transaction() as session:
        for number in range(50, 54):
            append(session, number)
    assert verify(database).intact
    assert verify(database, Anchor((heads[-1],))).broken_at == ENTRIES


def test_notices_an_entry_of_an_abandoned_branch_put_back(
    database: Database, heads: list[Head]
) -> None:
    columns = AuditEntry.__table__.columns
    with database.reading() as session:
        old = session.execute(select(*columns).where(AuditEntry.sequence == 5)).one()._asdict()
    tamper(database, delete(AuditEntry).where(AuditEntry.sequence > 3))
    with database.transaction() as session:
        for number in range(50, 53):
            append(session, number)
    # Signed by us, with the right number: only the link to the entry before it is wrong.
    tamper(database, update(AuditEntry).where(AuditEntry.sequence == 5).values(old))
    assert verify(database).broken_at == 5


def test_names_the_first_of_several_broken_entries(database: Database, heads: list[Head]) -> None:
    tamper(
        database,
        update(AuditEntry).where(AuditEntry.sequence == 5).values(actor="x"),
        update(AuditEntry).where(AuditEntry.sequence == 2).values(actor="x"),
    )
    assert verify(database).broken_at == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET payload = 'not json' WHERE sequence = 3",
        "UPDATE audit_entry SET payload = '{\"number\": NaN}' WHERE sequence = 3",
        "UPDATE audit_entry SET at = 'yesterday' WHERE sequence = 3",
        "UPDATE audit_entry SET event = x'00ff' WHERE sequence = 3",
        "UPDATE audit_entry SET mac = 7 WHERE sequence = 3",
    ],
)
def test_reports_values_of_another_type_in_sqlite(tmp_path: object, statement: str) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite3")
    database.migrate()
    with database.transaction() as session:
        for number in range(1, 6):
            append(session, number)
    tamper(database, text(statement))
    assert verify(database).broken_at == 3
    database.dispose()


def test_stays_whole_when_threads_append_at_once(database: Database) -> None:
    def go(number: int) -> None:
        with database.transaction() as session:
            append(session, number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(go, range(24)))
    assert verify(database) == ChainReport(entries=24)


def test_refuses_a_payload_that_is_not_json(database: Database) -> None:
    with pytest.raises(ValueError, match="JSON"), database.transaction() as session:
        chain.append(
            session, KEY, event="e", actor="a", subject="s", payload={"score": float("nan")}
        )


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(payload=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values))
def test_verifies_any_payload_that_was_appended(
    database: Database, payload: dict[str, JsonValue]
) -> None:
    with database.transaction() as session:
        chain.append(session, KEY, event="e", actor="a", subject="s", payload=payload)
    with database.reading() as session:
        assert chain.verify(session, KEY).intact
