"""The first start makes what is missing, once, and shows it to its owner alone."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mri_guard.errors import SettingsError
from services.context import Context
from services.db.models import Role
from services.identity import service as identity
from services.settings import Settings


def test_makes_an_admin_whose_key_its_owner_alone_can_read(tmp_path: Path) -> None:
    context = Context.open(Settings(home=tmp_path / "home"))
    file = tmp_path / "home" / "secrets" / "admin-api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with context.database.reading() as session:
        user = identity.authenticate(session, file.read_text().strip())
    context.close()
    assert user is not None
    assert (user.name, user.role) == ("admin", Role.ADMIN)


def test_makes_no_second_admin_when_opened_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    Context.open(settings).close()
    file = tmp_path / "home" / "secrets" / "admin-api-key"
    key = file.read_text()
    context = Context.open(settings)
    with context.database.reading() as session:
        assert len(identity.users(session)) == 1
    context.close()
    assert file.read_text() == key


def test_gives_every_home_secrets_of_its_own(tmp_path: Path) -> None:
    contexts = [Context.open(Settings(home=tmp_path / name)) for name in ("a", "b")]
    keys = {context.secrets.audit_key.get_secret_value() for context in contexts}
    keys |= {context.secrets.identifier_key.get_secret_value() for context in contexts}
    files = {(tmp_path / name / "secrets" / "admin-api-key").read_text() for name in ("a", "b")}
    for context in contexts:
        context.close()
    assert len(keys) == 4
    assert len(files) == 2


def test_says_nothing_of_a_key_when_it_starts(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from services.context import Context;"
        "from services.settings import Settings; from services import logging;"
        "logging.configure(); Context.open(Settings(home=Path('home')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    key = (tmp_path / "home" / "secrets" / "admin-api-key").read_text().strip()
    assert key not in done.stdout + done.stderr


def test_makes_nothing_where_a_deployment_was_expected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no deployment"):
        Context.existing(Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_refuses_a_secret_that_others_may_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    Context.open(settings).close()
    (tmp_path / "home" / "secrets" / "audit.key").chmod(0o644)
    with pytest.raises(SettingsError, match="0600"):
        Context.open(settings)


def test_hides_its_secrets_when_printed(tmp_path: Path) -> None:
    context = Context.open(Settings(home=tmp_path / "home"))
    context.close()
    secret = context.secrets.audit_key.get_secret_value()
    assert repr(secret)[2:-1] not in repr(context)
    assert json.dumps(secret.hex()) not in repr(context)
