"""`mri-guard monitors` from the host itself."""

import json

import pytest
from typer.testing import CliRunner, Result

from services.context import Context
from services.monitoring.cli import monitors_app
from tests.services.monitoring.test_service import drift


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(context.settings.home))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(monitors_app, list(arguments))


def test_says_no_while_an_alarm_stands(context: Context) -> None:
    assert run("list").exit_code == 0
    drift(context.database)
    listed = run("list")
    assert listed.exit_code == 1
    assert any("score_cusum" in line and "ALARM" in line for line in listed.output.splitlines())
    shown = {one["name"]: one for one in json.loads(run("list", "--json").output)}
    assert shown["score_cusum"]["alarm"]


def test_ends_an_alarm(context: Context) -> None:
    drift(context.database)
    ended = run("acknowledge", "score_cusum", "--new-normal", "--json")
    assert (ended.exit_code, json.loads(ended.output)["scans"]) == (0, 0)
    assert run("acknowledge", "score_cusum").exit_code == 1


def test_exits_with_what_went_wrong(context: Context) -> None:
    assert run("acknowledge", "no_monitor").exit_code == 1
    (context.settings.home / "secrets" / "audit.key").unlink()
    assert run("list").exit_code == 3
