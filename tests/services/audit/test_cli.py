"""`mri-guard audit verify` and its exit codes."""

import json
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from services.audit.anchor import anchor_head
from services.audit.cli import audit_app
from services.context import Context
from services.db.models import AuditEntry


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "context" in request.fixturenames:
        context: Context = request.getfixturevalue("context")
        monkeypatch.setenv("MRI_GUARD_HOME", str(context.settings.home))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(audit_app, ["verify", *arguments])


def test_exits_0_for_an_intact_chain(context: Context) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.output.startswith("intact: ")
    assert "anchored not at all" in result.output


def test_exits_1_for_a_broken_chain_and_says_where(context: Context) -> None:
    with context.database.transaction() as session:
        session.execute(update(AuditEntry).where(AuditEntry.sequence == 2).values(actor="x"))
    result = run()
    assert result.exit_code == 1
    assert "BROKEN at entry 2" in result.output
    report = json.loads(run("--json").output)
    assert (report["intact"], report["broken_at"]) == (False, 2)


def test_exits_1_for_a_tail_that_was_cut_after_it_was_anchored(
    context: Context, tmp_path: Path
) -> None:
    head = anchor_head(context.database, tmp_path / "anchor")
    assert head is not None
    assert run("--anchor", str(tmp_path / "anchor")).exit_code == 0
    with context.database.transaction() as session:
        session.delete(session.get_one(AuditEntry, head.sequence))
    assert run().exit_code == 0
    assert run("--anchor", str(tmp_path / "anchor")).exit_code == 1


def test_exits_2_when_called_wrongly(context: Context) -> None:
    assert run("--nonsense").exit_code == 2


def test_exits_3_without_a_deployment_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(tmp_path / "home"))
    assert run().exit_code == 3
    assert not (tmp_path / "home").exists()


def test_exits_3_without_the_anchor_that_was_named(context: Context, tmp_path: Path) -> None:
    assert run("--anchor", str(tmp_path / "absent")).exit_code == 3


def test_exits_3_when_the_database_is_none(context: Context) -> None:
    context.close()
    for path in context.settings.home.glob("*.sqlite3*"):
        path.write_bytes(b"not a database" * 100)
    assert run().exit_code == 3
