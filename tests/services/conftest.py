"""Deployments that tests run on: a copied home on SQLite, and a PostgreSQL server of their own."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from services import clock
from services.context import Context
from services.db.models import Role
from services.db.session import Database
from services.settings import Settings
from tests.peers import missing, peer
from tests.services.making import Api, Callers


@dataclass
class TurnedClock:
    """A clock that stands still until it is turned."""

    time: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@pytest.fixture
def turned_clock(monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """Stands for `clock.now` everywhere."""
    turned = TurnedClock()
    monkeypatch.setattr(clock, "now", turned)
    return turned


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callers]:
    """A home after its first start, with users of each role, to be copied."""
    home = tmp_path_factory.mktemp("deployment") / "home"
    context = Context.open(Settings(home=home))
    callers = Callers()
    for role in Role:
        callers.add(context, f"{role}-1", role)
    callers.add(context, "radiologist-2", Role.RADIOLOGIST)
    context.close()
    return home, callers


@pytest.fixture
def settings(template: tuple[Path, Callers], tmp_path: Path) -> Settings:
    """Settings of a deployment of the test's own."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.yaml").touch()
    home = shutil.copytree(template[0], tmp_path / "home")
    return Settings(home=Path(home), bundle=bundle, min_free_disk_mb=0)


@pytest.fixture
def context(settings: Settings) -> Iterator[Context]:
    """A deployment of the test's own, on SQLite."""
    opened = Context.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def api(context: Context, template: tuple[Path, Callers]) -> Iterator[Api]:
    """The application with callers of each role."""
    with Api(context, deepcopy(template[1])) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server on a free loopback port; skips by name where there is none."""
    peer("initdb")
    peer("pg_ctl")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        missing("runuser (Debian package util-linux): PostgreSQL refuses to run as root")
    pytest.importorskip("psycopg", reason="not installed: psycopg (extra `postgres`)")
    folder = Path(tempfile.mkdtemp(prefix="mri-guard-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(folder / "data")
    options = f"-h 127.0.0.1 -p {port} -k '' -c fsync=off -c synchronous_commit=off"
    _as_postgres("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
    _as_postgres("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        _as_postgres("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def _as_postgres(*command: str) -> None:
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run(  # the server outlives the command, so that it must not inherit a pipe
        [*user, *command],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite3'}"
    server = make_url(request.getfixturevalue("postgres_server"))
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with its tables, once of each kind."""
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.dispose()
