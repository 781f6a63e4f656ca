import socket

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.settings import Settings

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(settings.home))
    monkeypatch.setenv("MRI_GUARD_HTTP_PORT", "0")
    monkeypatch.setenv("MRI_GUARD_DICOM_PORT", "0")
    monkeypatch.setattr("services.logging.configure", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_lists_the_librarys_commands_and_those_of_the_services() -> None:
    listed = run(app, ["--help"]).output

    for command in ("screen", "serve", "worker", "demo", "audit", "users"):
        assert f" {command} " in listed


def test_runs_a_command_of_a_sub_app() -> None:
    ended = run(app, ["audit", "verify"])

    assert (ended.exit_code, "intact" in ended.output) == (0, True)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_names_a_variable_that_does_not_fit_and_not_its_value(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_GUARD_MAX_ATTEMPTS", "secret")

    ended = run(app, [command])

    assert ended.exit_code == 3
    assert "MRI_GUARD_MAX_ATTEMPTS (int_parsing)" in ended.output
    assert "secret" not in ended.output


def test_does_not_serve_on_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MRI_GUARD_DICOM_PORT", str(taken.getsockname()[1]))
        ended = run(app, ["serve"])

    assert (ended.exit_code, "in use" in ended.output) == (3, True)


def test_does_not_work_with_a_broken_bundle(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_GUARD_BUNDLE", str(settings.bundle))

    assert run(app, ["worker"]).exit_code == 3
