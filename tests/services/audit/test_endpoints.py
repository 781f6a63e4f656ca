"""The audit log over HTTP."""

from pathlib import Path

import pytest
from sqlalchemy import update

from services.app import create_app
from services.audit.anchor import anchor_head
from services.context import Context
from services.db.models import AuditEntry
from tests.services.making import Api, Callers


def test_pages_from_the_newest_to_the_first(api: Api) -> None:
    everything = api.get("/audit?limit=500", "auditor-1").json()
    assert everything["next_before"] is None
    sequences = [entry["sequence"] for entry in everything["entries"]]
    assert sequences == list(range(everything["total"], 0, -1))
    seen: list[int] = []
    before = ""
    while True:
        page = api.get(f"/audit?limit=5{before}", "auditor-1").json()
        seen += [entry["sequence"] for entry in page["entries"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert seen == sequences


def test_filters_by_subject_and_event(api: Api) -> None:
    page = api.get(f"/audit?subject=user:{api.ids['gateway-1']}", "admin-1").json()
    assert [entry["event"] for entry in page["entries"]] == [
        "identity.key.made",
        "identity.user.added",
    ]
    assert page["total"] == 2
    added = api.get("/audit?event=identity.user.added&limit=2", "admin-1").json()
    assert added["total"] == len(api.ids) + 1
    assert len(added["entries"]) == 2


def test_verifies(api: Api) -> None:
    report = api.get("/audit/verify", "auditor-1").json()
    total = api.get("/audit", "auditor-1").json()["total"]
    assert report == {
        "intact": True,
        "entries": total,
        "broken_at": None,
        "problem": "",
        "anchored": 0,
    }


def test_says_where_the_chain_is_broken(api: Api) -> None:
    with api.context.database.transaction() as session:
        session.execute(update(AuditEntry).where(AuditEntry.sequence == 2).values(actor="x"))
    report = api.get("/audit/verify", "auditor-1").json()
    assert (report["intact"], report["broken_at"]) == (False, 2)


def anchored(api: Api, path: Path) -> Api:
    settings = api.context.settings.model_copy(update={"audit_anchor": path})
    context = Context(settings, api.context.secrets, api.context.database)
    return Api(context, Callers(api.ids, api.keys))


def test_holds_the_deployments_anchor_against_the_chain(api: Api, tmp_path: Path) -> None:
    head = anchor_head(api.context.database, tmp_path / "anchor")
    assert head is not None
    with_anchor = anchored(api, tmp_path / "anchor")
    assert with_anchor.get("/audit/verify", "auditor-1").json()["anchored"] == head.sequence
    with api.context.database.transaction() as session:
        session.delete(session.get_one(AuditEntry, head.sequence))
    report = with_anchor.get("/audit/verify", "auditor-1").json()
    assert (report["intact"], report["broken_at"]) == (False, head.sequence)


def test_does_not_pass_for_verified_without_the_anchor_it_was_told_of(
    api: Api, tmp_path: Path
) -> None:
    response = anchored(api, tmp_path / "absent").get("/audit/verify", "auditor-1")
    assert response.status_code == 503
    assert str(tmp_path) not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_offers_no_way_to_change_an_entry(api: Api, method: str) -> None:
    assert api.call(method, "/audit", "admin-1").status_code == 405
    paths = create_app(api.context).openapi()["paths"]
    assert {verb for path in paths if path.startswith("/audit") for verb in paths[path]} == {"get"}
