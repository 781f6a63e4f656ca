"""`mri-guard users` from the host itself."""

import json

import pytest
from typer.testing import CliRunner, Result

from services.context import Context
from services.db.models import Role, User
from services.identity import service as identity
from services.identity.cli import users_app


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(context.settings.home))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(users_app, list(arguments))


def who(context: Context, key: str) -> User | None:
    with context.database.reading() as session:
        return identity.authenticate(session, key)


def test_adds_a_user_and_prints_a_key_that_works(context: Context) -> None:
    made = json.loads(run("add", "gw", "gateway", "--json").output)
    user = who(context, made["key"])
    assert user is not None
    assert (user.id, user.role) == (made["user"], Role.GATEWAY)


def test_prints_the_key_on_a_line_of_its_own(context: Context) -> None:
    assert who(context, run("add", "gw", "gateway").output.splitlines()[-1]) is not None


def test_lists_users(context: Context) -> None:
    run("add", "gw", "gateway")
    run("disable", "gw")
    assert "gw\tgateway\tdisabled" in run("list").output.splitlines()
    listed = {user["name"]: user for user in json.loads(run("list", "--json").output)}
    assert listed["gw"]["active"] is False


def test_disables_a_user(context: Context) -> None:
    key = json.loads(run("add", "gw", "gateway", "--json").output)["key"]
    assert run("disable", "gw").exit_code == 0
    assert who(context, key) is None


def test_makes_and_revokes_further_keys(context: Context) -> None:
    first = json.loads(run("add", "gw", "gateway", "--json").output)
    second = json.loads(run("new-key", "gw", "--json").output)
    assert run("revoke-key", str(first["key_id"])).exit_code == 0
    assert who(context, first["key"]) is None
    assert who(context, second["key"]) is not None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "admin", "auditor"), 1),
        (("disable", "nobody"), 1),
        (("new-key", "nobody"), 1),
        (("revoke-key", "999"), 1),
        (("add", "Upper", "auditor"), 2),
        (("add", "x", "root"), 2),
    ],
)
def test_exits_with_what_went_wrong(
    context: Context, arguments: tuple[str, ...], code: int
) -> None:
    assert run(*arguments).exit_code == code


def test_exits_3_when_the_set_up_is_broken(context: Context) -> None:
    (context.settings.home / "secrets" / "audit.key").write_bytes(b"short")
    assert run("list").exit_code == 3
