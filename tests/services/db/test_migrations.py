"""The tables that migrations make are the tables that the models name."""

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from services.db.models import Base
from services.db.session import MIGRATIONS, Database


def test_agrees_with_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(found, Base.metadata) == []


def test_makes_every_table(database: Database) -> None:
    tables = set(inspect(database.engine).get_table_names())
    assert tables == set(Base.metadata.tables) | {"alembic_version"}


def test_changes_nothing_the_second_time(database: Database) -> None:
    database.migrate()
    with database.engine.connect() as connection:
        head = MigrationContext.configure(connection).get_current_revision()
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert head == newest


def test_runs_once_when_several_processes_start(database_url: str) -> None:
    program = (
        "import sys; from services.db.session import Database; Database(sys.argv[1]).migrate()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, database_url]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
