"""What every endpoint keeps: who may call it, its headers, its errors."""

import re
import uuid

import pytest

from services.db.models import Role
from services.identity import service as identity
from tests.services.making import Api

REVIEW = frozenset({Role.RADIOLOGIST})
CASES = REVIEW | {Role.AUDITOR}
AUDIT = frozenset({Role.AUDITOR, Role.ADMIN})
ADMIN = frozenset({Role.ADMIN})
OPEN = {"/health", "/docs", "/openapi.json"}

ROLES = {
    ("GET", "/cases"): CASES,
    ("GET", "/cases/{case_id}"): CASES,
    ("GET", "/cases/{case_id}/history"): CASES,
    ("GET", "/cases/{case_id}/picture.png"): CASES,
    ("GET", "/cases/{case_id}/map.nii.gz"): CASES,
    ("POST", "/cases/{case_id}/claim"): REVIEW,
    ("POST", "/cases/{case_id}/release"): REVIEW,
    ("POST", "/cases/{case_id}/impression"): REVIEW,
    ("POST", "/cases/{case_id}/decide"): REVIEW,
    ("GET", "/reliance"): frozenset({Role.AUDITOR}),
    ("GET", "/audit"): AUDIT,
    ("GET", "/audit/verify"): AUDIT,
    ("GET", "/users"): ADMIN,
    ("POST", "/users"): ADMIN,
    ("DELETE", "/users/{user_id}"): ADMIN,
    ("POST", "/users/{user_id}/keys"): ADMIN,
    ("DELETE", "/keys/{key_id}"): ADMIN,
    ("GET", "/metrics"): AUDIT,
    ("GET", "/monitors"): AUDIT,
    ("POST", "/monitors/{name}/acknowledge"): ADMIN,
    ("GET", "/senders/quarantines"): AUDIT,
    ("POST", "/senders/quarantines/{quarantine_id}/lift"): ADMIN,
}
"""Who may call what. `services/intake` has a table of its own."""

INTAKE = {"/studies", "/dicom-web/studies"}


def concrete(path: str) -> str:
    return (
        path.replace("{case_id}", str(uuid.uuid4()))
        .replace("{user_id}", "9")
        .replace("{key_id}", "9")
        .replace("{quarantine_id}", "9")
        .replace("{name}", "score_cusum")
    )


def test_lists_every_endpoint_in_the_table_of_roles(api: Api) -> None:
    described = {
        (verb.upper(), path)
        for path, verbs in api.client.get("/openapi.json").json()["paths"].items()
        for verb in verbs
        if path not in OPEN | INTAKE
    }
    assert described == set(ROLES)


@pytest.mark.parametrize(("method", "path"), ROLES)
def test_asks_for_credentials(api: Api, method: str, path: str) -> None:
    response = api.call(method, concrete(path), by=None)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), ROLES)
def test_refuses_every_other_role(api: Api, method: str, path: str) -> None:
    for role in set(Role) - ROLES[method, path]:
        assert api.call(method, concrete(path), f"{role}-1", json={}).status_code == 403, role
    for role in ROLES[method, path]:
        assert api.call(method, concrete(path), f"{role}-1", json={}).status_code not in (401, 403)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer mg_guess",
        "Basic mg_",
        "Bearer \u00e9",
        "mg_x",
        "Bearer a b",
    ],
)
def test_refuses_credentials_that_are_no_key_of_ours(api: Api, value: str) -> None:
    headers = {b"Authorization": value.encode("latin-1")}
    assert api.client.get("/cases", headers=headers).status_code == 401


def test_refuses_the_hash_of_a_key(api: Api) -> None:
    stolen = identity.digest(api.keys["radiologist-1"])
    headers = {"Authorization": f"Bearer {stolen}"}
    assert api.client.get("/cases", headers=headers).status_code == 401


def test_answers_an_unknown_path_and_a_wrong_method_with_a_problem(api: Api) -> None:
    for method, path, status in (("GET", "/none", 404), ("PUT", "/cases", 405)):
        response = api.call(method, path)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


@pytest.mark.parametrize("by", ["admin-1", None])
def test_refuses_a_body_that_is_too_large_with_a_problem(api: Api, by: str | None) -> None:
    response = api.post("/users", by, content=b" " * 100_000)
    assert response.status_code == 413
    assert response.json() == {
        "type": "about:blank",
        "title": response.json()["title"],
        "status": 413,
    }
    assert response.headers["content-type"] == "application/problem+json"


def test_refuses_a_body_that_grows_too_large_without_saying_so(api: Api) -> None:
    response = api.post("/users", "admin-1", content=iter([b" " * 3000] * 10))
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


def test_never_echoes_what_was_sent(api: Api) -> None:
    marker = "DOE^JOHN"
    case = api.case()
    responses = [
        api.post("/users", "admin-1", json={"name": marker, "role": marker, marker: 1}),
        api.post("/users", "admin-1", content=marker),
        api.get(f"/cases?outcome={marker}&{marker}=1&limit={marker}"),
        api.get(f"/cases/{marker}"),
        api.get(f"/{marker}"),
        api.post(f"/cases/{case}/decide", json={"finding": marker, "note": marker, "version": 1}),
        api.post(
            f"/cases/{case}/decide",
            json={"finding": "normal", "version": 1},
            headers={"Idempotency-Key": marker * 20},
        ),
    ]
    assert [response.status_code for response in responses] == [422, 422, 422, 422, 404, 422, 422]
    for response in responses:
        assert marker not in response.text


@pytest.mark.parametrize(
    "query",
    [
        "created_after=2026-01-01T00:00:00",  # no offset
        "created_after=0001-01-01T00:00:00%2B14:00",
        "created_before=9999-12-31T23:59:59-12:00",
        "offset=-1",
        "limit=0",
        "limit=100000",
        "study=x%00",
        "sort=%00",
    ],
)
def test_refuses_a_query_that_the_database_would_choke_on(api: Api, query: str) -> None:
    assert api.get(f"/cases?{query}").status_code == 422


@pytest.mark.parametrize("query", ["subject=%00", "event=a%00b", "before=99999999999999999999"])
def test_refuses_an_audit_query_that_the_database_would_choke_on(api: Api, query: str) -> None:
    assert api.get(f"/audit?{query}", "auditor-1").status_code == 422


@pytest.mark.parametrize("path", ["/cases", "/none", "/docs", "/health"])
def test_lets_no_browser_keep_sniff_or_frame_a_response(api: Api, path: str) -> None:
    headers = api.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]


def test_describes_itself_without_a_script_or_a_request_elsewhere(api: Api) -> None:
    page = api.get("/docs", by=None).text
    for _, path in ROLES:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=['\"]?(https?:)?//", page)
    assert "url(" not in page
    assert "@import" not in page


def test_survives_a_crash_without_telling_internals(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("secret DOE^JOHN")

    monkeypatch.setattr("services.review.repository.page", crash)
    response = api.get("/cases")
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
    }
    assert response.headers["cache-control"] == "no-store"
    assert api.get("/users", "admin-1").status_code == 200
