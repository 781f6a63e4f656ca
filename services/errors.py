"""Errors as problem details (RFC 9457); nothing that was sent in is ever echoed."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from mri_guard.errors import (
    BundleError,
    ConflictError,
    DigestError,
    InputError,
    LimitError,
    MriGuardError,
    NotAllowedError,
    NotCalibratedError,
    NotFoundError,
    ReviewError,
    SeriesError,
    SettingsError,
    UnfitModelError,
    UnreadableError,
)
from services.intake.limits import SenderLimitError
from services.logging import place

logger = structlog.get_logger(__name__)

STATUS: dict[type[MriGuardError], int] = {
    MriGuardError: 500,
    InputError: 422,
    UnreadableError: 422,
    LimitError: 413,
    SenderLimitError: 429,
    SeriesError: 422,
    BundleError: 503,
    DigestError: 503,
    NotCalibratedError: 503,
    UnfitModelError: 503,
    SettingsError: 503,
    ReviewError: 400,
    NotFoundError: 404,
    NotAllowedError: 403,
    ConflictError: 409,
}
"""HTTP status of every error of ours, by its exact class; a test keeps it complete."""

REASON_STATUS = {"disk-low": 507}
"""HTTP status of an `InputError` by its reason, where its class says too little."""

OPERATOR_STATUS = 500
"""From here on the operator must act: the sender is told no detail, the log has it."""


def install(app: FastAPI) -> None:
    """Turns whatever an endpoint raises into a problem document."""
    app.exception_handler(MriGuardError)(_ours)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(OperationalError)(_database)
    app.exception_handler(Exception)(_unexpected)


def problem(
    status: int,
    detail: str = "",
    *,
    reason: str = "",
    fields: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An `application/problem+json` response.

    Args:
        status: HTTP status.
        detail: what was seen and what was wanted; no input, no patient data.
        reason: a stable code such as `pixel-data-short`.
        fields: where a request does not fit its schema, and how.
        headers: further response headers.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
    }
    if detail:
        body["detail"] = detail
    if reason:
        body["reason"] = reason
    if fields:
        body["errors"] = fields
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def status_of(error: MriGuardError) -> int:
    """HTTP status of an error of ours."""
    if isinstance(error, InputError) and error.reason in REASON_STATUS:
        return REASON_STATUS[error.reason]
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


async def _ours(_request: Request, error: MriGuardError) -> JSONResponse:
    status = status_of(error)
    if isinstance(error, InputError):
        headers = None
        if isinstance(error, SenderLimitError):
            headers = {"Retry-After": str(error.retry_after_seconds)}
        return problem(status, error.detail, reason=error.reason, headers=headers)
    if status >= OPERATOR_STATUS:
        logger.error("http.request.failed", error=type(error).__name__, detail=str(error))
        return problem(status)
    return problem(status, str(error))


async def _http(_request: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, headers=dict(error.headers or {}))


async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    # Pydantic's message and context quote the input now and then; its type does not. A location
    # may hold a name that the sender made up, so that only the schema's own part is told.
    fields = [
        {"in": str(item["loc"][0]), "field": _field(item), "problem": str(item["type"])}
        for item in error.errors()
    ]
    return problem(422, "the request does not fit its schema", fields=fields)


def _field(item: dict[str, object]) -> str:
    location = item["loc"]
    if not isinstance(location, tuple) or len(location) < 2 or item["type"] == "extra_forbidden":
        return ""
    return str(location[1])


async def _database(_request: Request, error: OperationalError) -> JSONResponse:
    logger.error("http.database.unavailable", error=type(error.orig).__name__)
    return problem(503, headers={"Retry-After": "5"})


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    logger.error("http.request.crashed", **place(error))
    return problem(500)
