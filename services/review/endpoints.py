"""The review queue over HTTP."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from mri_guard.errors import NotFoundError
from services.context import Context
from services.db.models import Role, User
from services.identity.access import OpenContext, require
from services.review.records import (
    CasePage,
    CaseQuery,
    CaseView,
    ClaimView,
    DecideBody,
    EventView,
    ImpressionBody,
)
from services.review.service import Desk, Part

MAX_BODY_BYTES = 32 * 1024

router = APIRouter(tags=["review"], prefix="/cases", max_body_size=MAX_BODY_BYTES)
Reader = Annotated[User, Depends(require(Role.RADIOLOGIST))]
Onlooker = Annotated[User, Depends(require(Role.RADIOLOGIST, Role.AUDITOR))]
IdempotencyKey = Annotated[str | None, Header(pattern=r"^[!-~]{1,64}$")]


@router.get("")
def list_cases(
    context: OpenContext, user: Onlooker, query: Annotated[CaseQuery, Query()]
) -> CasePage:
    """The worklist: the most urgent first, and the oldest first among equals."""
    with context.database.reading() as session:
        return _desk(context, session, user).worklist(query)


@router.get("/{case_id}")
def get_case(context: OpenContext, user: Onlooker, case_id: UUID, blind: bool = False) -> CaseView:
    """A case with its examination. `blind` withholds what the model says until one has decided; of
    a blinded case it is withheld from readers until they have recorded a first impression.
    """
    with context.database.transaction() as session:
        return _desk(context, session, user).view(case_id, blind=blind)


@router.get("/{case_id}/history")
def get_history(context: OpenContext, user: Onlooker, case_id: UUID) -> list[EventView]:
    """Every act of readers on a case, oldest first."""
    with context.database.reading() as session:
        return _desk(context, session, user).history(case_id)


@router.get("/{case_id}/picture.png", response_class=FileResponse)
def get_picture(context: OpenContext, user: Onlooker, case_id: UUID) -> FileResponse:
    """Slices with the anomaly map over them; 404 when the journey ended before there was one, 409
    while one owes a first impression.
    """
    return FileResponse(
        _file(context, user, case_id, Part.PICTURE, "picture.png"), media_type="image/png"
    )


@router.get("/{case_id}/map.nii.gz", response_class=FileResponse)
def get_map(context: OpenContext, user: Onlooker, case_id: UUID) -> FileResponse:
    """The anomaly map as NIfTI; 404 when the journey ended before there was one, 409 while one owes
    a first impression.
    """
    return FileResponse(
        _file(context, user, case_id, Part.MAP, "map.nii.gz"), media_type="application/gzip"
    )


@router.post("/{case_id}/claim")
def claim_case(context: OpenContext, user: Reader, case_id: UUID) -> ClaimView:
    """Holds a case for its reader; claiming again prolongs it."""
    with context.database.transaction() as session:
        return _desk(context, session, user).claim(case_id)


@router.post("/{case_id}/release")
def release_case(context: OpenContext, user: Reader, case_id: UUID) -> ClaimView:
    """Gives a case back to the queue."""
    with context.database.transaction() as session:
        return _desk(context, session, user).release(case_id)


@router.post("/{case_id}/impression")
def record_first_impression(
    context: OpenContext, user: Reader, case_id: UUID, body: ImpressionBody
) -> CaseView:
    """Keeps one's first impression of a blinded case that one holds, and shows what the model says.
    It is given once, and never changed.
    """
    with context.database.transaction() as session:
        return _desk(context, session, user).impress(case_id, body)


@router.post("/{case_id}/decide")
def decide_case(
    context: OpenContext,
    user: Reader,
    case_id: UUID,
    body: DecideBody,
    idempotency_key: IdempotencyKey = None,
) -> CaseView:
    """Decides a case that one holds; with an Idempotency-Key it may be sent again."""
    with context.database.transaction() as session:
        return _desk(context, session, user).decide(case_id, body, idempotency_key)


def _desk(context: Context, session: Session, user: User) -> Desk:
    return Desk(session, user, context.secrets, context.settings.claim_minutes)


def _file(context: Context, user: User, case_id: UUID, part: Part, name: str) -> Path:
    path = context.settings.home / "results" / str(case_id) / name
    with context.database.transaction() as session:
        desk = _desk(context, session, user)
        desk.look(case_id, part)
        if not path.is_file():
            raise NotFoundError(f"this case has no {part}")
    return path
