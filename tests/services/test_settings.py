from pathlib import Path

import pytest
from pydantic import ValidationError

from services.settings import Settings


def test_hides_the_databases_password_when_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_GUARD_DATABASE_URL", "postgresql+psycopg://u:hunter2@host/db")
    settings = Settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert settings.database == "postgresql+psycopg://u:hunter2@host/db"


def test_keeps_its_own_database_under_home_by_default(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).database == f"sqlite:///{tmp_path}/mri-guard.sqlite3"


def test_refuses_a_setting_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        Settings(quiet_minutes=1)  # type: ignore[call-arg]  # that it is unknown is the point
