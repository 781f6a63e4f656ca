"""Transactions that hold what they promise, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from services import clock
from services.db.models import Instance, Job, Role, Series, User, WorkState
from services.db.session import Database
from tests.services.making import make_series


def add(database: Database, name: str) -> None:
    with database.transaction() as session:
        session.add(User(name=name, role=Role.ADMIN, created_at=clock.now()))


def add_and_fail(database: Database) -> None:
    with database.transaction() as session:
        session.add(User(name="one", role=Role.ADMIN, created_at=clock.now()))
        session.flush()
        raise RuntimeError


def add_twins(database: Database) -> None:
    with database.transaction() as session:
        series = make_series(session)
        for _ in range(2):
            session.add(
                Instance(
                    series_id=series.id,
                    sop_digest="s",
                    sha256="h",
                    size_bytes=1,
                    received_at=clock.now(),
                )
            )


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.scalars(text("SELECT name FROM app_user")))


def test_commits_at_the_end(database: Database) -> None:
    add(database, "one")
    assert names(database) == ["one"]


def test_rolls_back_on_an_exception(database: Database) -> None:
    with pytest.raises(RuntimeError):
        add_and_fail(database)
    assert names(database) == []


def test_gives_back_aware_times_and_members(database: Database) -> None:
    now = clock.now()
    with database.transaction() as session:
        series = make_series(session)
        job = Job(series_id=series.id, revision=1, lease_until=now, created_at=now)
        session.add(job)
    with database.reading() as session:
        found = session.get_one(Job, job.id)
        assert found.lease_until == now
        assert found.state is WorkState.SCHEDULED


def test_refuses_a_naive_time(database: Database) -> None:
    with pytest.raises(Exception, match="naive datetime"), database.transaction() as session:
        session.add(User(name="x", role=Role.ADMIN, created_at=clock.now().replace(tzinfo=None)))


def test_refuses_a_row_without_its_parent(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(
            Instance(
                series_id=404, sop_digest="s", sha256="h", size_bytes=1, received_at=clock.now()
            )
        )


def test_refuses_the_same_content_of_an_instance_twice(database: Database) -> None:
    with pytest.raises(IntegrityError):
        add_twins(database)


def test_shows_a_reader_one_unchanging_view(database: Database) -> None:
    add(database, "one")
    with database.reading() as session:
        before = session.scalar(text("SELECT count(*) FROM app_user"))
        add(database, "two")
        assert session.scalar(text("SELECT count(*) FROM app_user")) == before == 1
    assert names(database) == ["one", "two"]


def test_loses_no_update_of_threads_that_read_then_write(database: Database) -> None:
    with database.transaction() as session:
        series_id = make_series(session).id

    def raise_revision(_: int) -> None:
        with database.transaction() as session:
            series = session.get_one(Series, series_id, with_for_update=True)
            series.revision += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(raise_revision, range(24)))
    with database.reading() as session:
        assert session.get_one(Series, series_id).revision == 25


def test_keeps_no_reader_waiting_for_a_writer(database: Database) -> None:
    with database.transaction() as session:
        session.add(User(name="one", role=Role.ADMIN, created_at=clock.now()))
        session.flush()
        seen: list[list[str]] = []
        reader = threading.Thread(target=lambda: seen.append(names(database)))
        reader.start()
        reader.join(timeout=5)
        assert seen == [[]]


def test_makes_sqlite_keep_what_it_acknowledged(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite3")
    with database.transaction() as session:
        pragmas = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_takes_the_write_lock_of_sqlite_before_the_first_read(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite3")
    database.migrate()
    with database.transaction() as session:
        series_id = make_series(session).id
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        with database.transaction() as session:
            started.set()
            session.execute(update(Series).values(revision=Series.revision + 1))
            order.append("second")

    with database.transaction() as session:
        session.get_one(Series, series_id)  # a read is enough
        thread = threading.Thread(target=second)
        thread.start()
        started.wait(5)
        thread.join(timeout=0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(timeout=10)
    database.dispose()
    assert order == ["first", "second"]
