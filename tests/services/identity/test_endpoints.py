"""Users and keys over HTTP."""

import pytest

from services.db.models import ApiKey
from services.identity import service as identity
from tests.services.making import Api


def add(api: Api, name: str = "new", role: str = "radiologist") -> tuple[int, int]:
    """Id of a new user and of their key; the caller is known to `api` by name."""
    user = api.post("/users", "admin-1", json={"name": name, "role": role})
    assert user.status_code == 201
    key = api.post(f"/users/{user.json()['id']}/keys", "admin-1")
    assert key.status_code == 201
    api.keys[name] = key.json()["key"]
    return user.json()["id"], key.json()["id"]


def test_lets_a_new_user_call_with_a_new_key(api: Api) -> None:
    add(api)
    assert api.get("/cases", "new").status_code == 200


def test_lists_users_without_any_key(api: Api) -> None:
    response = api.get("/users", "admin-1")
    names = [user["name"] for user in response.json()]
    assert names[0] == "admin"
    assert {"gateway-1", "radiologist-2"} < set(names)
    for key in api.keys.values():
        assert key not in response.text
        assert identity.digest(key) not in response.text


def test_turns_a_disabled_user_away(api: Api) -> None:
    user, _ = add(api)
    assert api.call("DELETE", f"/users/{user}", "admin-1").status_code == 204
    assert api.get("/cases", "new").status_code == 401
    assert api.post(f"/users/{user}/keys", "admin-1").status_code == 409
    assert api.call("DELETE", f"/users/{user}", "admin-1").status_code == 204


def test_turns_a_revoked_key_away_and_no_other(api: Api) -> None:
    user, key = add(api)
    other = api.post(f"/users/{user}/keys", "admin-1").json()["key"]
    assert api.call("DELETE", f"/keys/{key}", "admin-1").status_code == 204
    assert api.get("/cases", "new").status_code == 401
    api.keys["new"] = other
    assert api.get("/cases", "new").status_code == 200
    assert api.call("DELETE", f"/keys/{key}", "admin-1").status_code == 204


def test_keeps_the_last_active_admin(api: Api) -> None:
    first = next(user for user in api.get("/users", "admin-1").json() if user["name"] == "admin")
    assert api.call("DELETE", f"/users/{first['id']}", "admin-1").status_code == 204
    response = api.call("DELETE", f"/users/{api.ids['admin-1']}", "admin-1")
    assert response.status_code == 409
    assert api.get("/users", "admin-1").status_code == 200


def test_refuses_a_name_that_is_taken(api: Api) -> None:
    body = {"name": "gateway-1", "role": "auditor"}
    assert api.post("/users", "admin-1", json=body).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Upper", "role": "admin"},
        {"name": "", "role": "admin"},
        {"name": "a" * 65, "role": "admin"},
        {"name": "a\n", "role": "admin"},
        {"name": "a", "role": "root"},
        {"name": "a", "role": "admin", "active": True},
        {"name": "a"},
    ],
)
def test_refuses_a_user_that_does_not_fit(api: Api, body: dict[str, object]) -> None:
    assert api.post("/users", "admin-1", json=body).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/users/999/keys"), ("DELETE", "/users/999"), ("DELETE", "/keys/999")],
)
def test_knows_no_user_or_key_that_is_not_there(api: Api, method: str, path: str) -> None:
    assert api.call(method, path, "admin-1").status_code == 404


@pytest.mark.parametrize("path", ["/users/0", "/users/99999999999999999999", "/keys/x"])
def test_refuses_an_id_that_is_none(api: Api, path: str) -> None:
    assert api.call("DELETE", path, "admin-1").status_code == 422


def test_chains_what_an_admin_does_and_never_a_name_or_key(api: Api) -> None:
    user, key = add(api, "dr.doe")
    api.call("DELETE", f"/keys/{key}", "admin-1")
    api.call("DELETE", f"/users/{user}", "admin-1")
    log = api.get(f"/audit?subject=user:{user}", "auditor-1")
    assert [entry["event"] for entry in log.json()["entries"]] == [
        "identity.user.disabled",
        "identity.key.revoked",
        "identity.key.made",
        "identity.user.added",
    ]
    assert {entry["actor"] for entry in log.json()["entries"]} == {f"user:{api.ids['admin-1']}"}
    assert "doe" not in log.text
    assert api.keys["dr.doe"] not in log.text


def test_stores_a_hash_of_a_256_bit_key_alone(api: Api) -> None:
    _, key_id = add(api)
    key = api.keys["new"]
    assert key.startswith("mg_")
    assert len(key) == 3 + 43  # 32 bytes in base64
    with api.context.database.reading() as session:
        row = session.get_one(ApiKey, key_id)
        assert row.sha256 == identity.digest(key)
    stored = b"".join(path.read_bytes() for path in api.context.settings.home.glob("*.sqlite3*"))
    assert key.encode() not in stored
