"""Health says what does not work, and nothing more."""

import pytest
from sqlalchemy import text

from services.db.models import WorkState
from services.settings import Settings
from tests.services.making import Api, make_job


def test_is_ready_when_every_part_is(api: Api) -> None:
    with api.context.database.transaction() as session:
        make_job(session, state=WorkState.SCHEDULED)
        make_job(session, state=WorkState.COMPLETED)
    response = api.get("/health", by=None)
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "checks": {"database": True, "bundle": True, "disk": True},
        "queue_depth": 1,
    }


def test_is_not_ready_without_a_bundle(api: Api) -> None:
    (api.context.settings.bundle / "bundle.yaml").unlink()
    response = api.get("/health", by=None)
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": True, "bundle": False, "disk": True}


def test_is_not_ready_with_a_full_disk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 0

    monkeypatch.setattr("shutil.disk_usage", lambda _: Full)
    response = api.get("/health", by=None)
    assert response.status_code == 503
    assert response.json()["checks"]["disk"] is False


def test_is_not_ready_without_a_database(api: Api) -> None:
    with api.context.database.transaction() as session:
        session.execute(text("ALTER TABLE job RENAME TO gone"))
    response = api.get("/health", by=None)
    assert response.status_code == 503
    assert response.json()["checks"]["database"] is False
    assert response.json()["queue_depth"] is None


def test_names_no_place_of_the_deployment(api: Api, settings: Settings) -> None:
    (api.context.settings.bundle / "bundle.yaml").unlink()
    assert str(settings.home.parent) not in api.get("/health", by=None).text
