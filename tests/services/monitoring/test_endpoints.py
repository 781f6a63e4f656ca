"""Monitors over HTTP: who may look, and who may begin them again."""

import pytest

from tests.services.making import Api
from tests.services.monitoring.test_service import drift

ACKNOWLEDGE = "/monitors/score_cusum/acknowledge"


@pytest.fixture
def drifted(api: Api) -> Api:
    drift(api.context.database)
    return api


@pytest.mark.parametrize("by", ["auditor-1", "admin-1"])
def test_shows_where_monitors_stand(drifted: Api, by: str) -> None:
    shown = {one["name"]: one for one in drifted.get("/monitors", by).json()}
    assert shown["score_cusum"]["alarm"]
    assert shown["score_cusum"]["alarm_since"]
    assert not shown["refusal_rate"]["alarm"]
    figures = drifted.get("/metrics", "auditor-1").text
    assert 'mri_guard_monitor_alarm{monitor="score_cusum"} 1.0' in figures
    assert 'mri_guard_monitor_alarm{monitor="refusal_rate"} 0.0' in figures


def test_shows_nothing_before_the_first_scan(api: Api) -> None:
    assert api.get("/monitors", "admin-1").json() == []


def test_ends_an_alarm_for_an_admin(drifted: Api) -> None:
    answer = drifted.post(ACKNOWLEDGE, "admin-1", json={})
    assert (answer.status_code, answer.json()["alarm"]) == (200, False)
    (entry,) = drifted.events("monitor.alarm.acknowledged")
    assert entry["actor"] == f"user:{drifted.ids['admin-1']}"
    assert drifted.post(ACKNOWLEDGE, "admin-1", json={}).status_code == 409


@pytest.mark.parametrize(
    ("by", "status"),
    [(None, 401), ("radiologist-1", 403), ("gateway-1", 403), ("auditor-1", 403)],
)
def test_lets_nobody_else_end_it(drifted: Api, by: str | None, status: int) -> None:
    assert drifted.post(ACKNOWLEDGE, by, json={}).status_code == status
    assert not drifted.events("monitor.alarm.acknowledged")


@pytest.mark.parametrize(("by", "status"), [(None, 401), ("radiologist-1", 403)])
def test_shows_them_to_nobody_else(api: Api, by: str | None, status: int) -> None:
    assert api.get("/monitors", by).status_code == status


@pytest.mark.parametrize(("name", "status"), [("no_monitor", 404), ("site_mix", 404), ("A", 422)])
def test_knows_no_other_monitor(api: Api, name: str, status: int) -> None:
    assert api.post(f"/monitors/{name}/acknowledge", "admin-1", json={}).status_code == status
