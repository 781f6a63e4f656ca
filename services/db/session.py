"""The database: SQLite embedded by default, PostgreSQL in a hospital."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_SECONDS = 30
_MIGRATION_LOCK = 0x6D67_0001
_READING = "mri_guard_reading"


class Database:
    """Transactions on one database; cheap to make, connects at first use.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://...`.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._engine = create_engine(parsed, pool_size=5, max_overflow=45)
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
            self._reader = self._engine.execution_options(**{_READING: True})
        else:
            self._engine = create_engine(
                parsed,
                pool_size=5,
                max_overflow=45,
                pool_pre_ping=True,
                connect_args={"options": "-c timezone=UTC -c datestyle=ISO"},
            )
            self._reader = self._engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def engine(self) -> Engine:
        """The engine underneath, for migrations and tests."""
        return self._engine

    def exists(self) -> bool:
        """Whether the file of an embedded database is there; a server is taken to be."""
        path = self._engine.url.database
        return not self.is_sqlite or (path is not None and Path(path).is_file())

    def migrate(self) -> None:
        """Brings the tables up to date; of several processes that start, one does it.

        The whole upgrade is one transaction on both databases: a crash leaves the old tables.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._engine.begin() as connection:
            if not self.is_sqlite:  # there BEGIN IMMEDIATE is the lock
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end and rolls back on an exception.

        SQLite takes its one write lock at once (BEGIN IMMEDIATE), waiting up to 30 s, so that what
        is read stays true until the commit. PostgreSQL runs READ COMMITTED: lock what you decide
        on (`with_for_update`).
        """
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one unchanging view of the data, which keeps no writer waiting."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Closes every connection."""
        self._engine.dispose()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite begins nothing by itself; `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Tries for a while: on a new file SQLite does not wait for others that switch it too."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
