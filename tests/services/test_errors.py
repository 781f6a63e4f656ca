"""Every error of ours has its HTTP status, and no operator's detail leaves the house."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from mri_guard.errors import (
    BundleError,
    ConflictError,
    InputError,
    LimitError,
    MriGuardError,
    NotAllowedError,
    NotFoundError,
    ReviewError,
    SettingsError,
    UnreadableError,
)
from services import errors


def subclasses(kind: type[MriGuardError]) -> Iterator[type[MriGuardError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def answer(error: Exception) -> tuple[int, dict[str, Any], Any]:
    app = FastAPI()
    errors.install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    response = TestClient(app, raise_server_exceptions=False).get("/")
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.text), response.headers


def test_maps_every_error_of_the_tree() -> None:
    ours = {
        kind
        for kind in subclasses(MriGuardError)
        if kind.__module__.partition(".")[0] in ("mri_guard", "services", "bundles")
    }
    assert ours == set(errors.STATUS)


def test_maps_by_who_must_act() -> None:
    for kind, status in errors.STATUS.items():
        if issubclass(kind, InputError | ReviewError):
            assert 400 <= status < 500, kind
        else:
            assert status >= 500, kind


def test_gives_a_subclass_the_status_of_its_parent() -> None:
    class CrowdedError(ConflictError):
        pass

    assert errors.status_of(CrowdedError("x")) == 409


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no such case"), 404),
        (NotAllowedError("role is gateway"), 403),
        (ConflictError("case is held"), 409),
    ],
)
def test_tells_the_reader_what_is_in_the_way(error: MriGuardError, status: int) -> None:
    code, body, _ = answer(error)
    assert (code, body["status"], body["detail"]) == (status, status, str(error))


def test_tells_the_sender_a_stable_reason() -> None:
    assert answer(UnreadableError("no-preamble", "saw 0 bytes; wanted 132"))[:2] == (
        422,
        {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "saw 0 bytes; wanted 132",
            "reason": "no-preamble",
        },
    )
    assert answer(LimitError("too-large", "x"))[0] == 413
    code, body, _ = answer(LimitError("disk-low", "1 MB free; wanted 1024 MB"))
    assert (code, body["reason"], body["status"]) == (507, "disk-low", 507)


@pytest.mark.parametrize("error", [BundleError("/etc/secret"), SettingsError("/etc/secret")])
def test_keeps_the_operators_detail_in_the_house(error: MriGuardError) -> None:
    code, body, _ = answer(error)
    assert code == 503
    assert "secret" not in json.dumps(body)


def test_says_when_to_come_back_while_the_database_is_away() -> None:
    code, body, headers = answer(
        OperationalError("SELECT secret", {"name": "secret"}, Exception("secret"))
    )
    assert code == 503
    assert headers["retry-after"] == "5"
    assert "secret" not in json.dumps(body)


def test_tells_nothing_of_what_it_did_not_expect() -> None:
    code, body, _ = answer(ZeroDivisionError("secret"))
    assert code == 500
    assert "secret" not in json.dumps(body)
