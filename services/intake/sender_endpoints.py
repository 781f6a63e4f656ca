"""Senders whose stream is in quarantine, over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.db.models import Role, User
from services.identity import service as identity
from services.identity.access import OpenContext, require
from services.intake import probing

MAX_ID = 2**31 - 1

router = APIRouter(tags=["senders"], max_body_size=4096)
Reader = Annotated[User, Depends(require(Role.ADMIN, Role.AUDITOR))]
Admin = Annotated[User, Depends(require(Role.ADMIN))]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class QuarantineView(BaseModel):
    """A time in which whatever a sender sent ended in quarantine."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    sender: str = Field(description="calling AE title, or `user:<id>`")
    begun_at: datetime
    near_duplicates: int = Field(description="series of the sender that hardly differed")
    lifted_at: datetime | None
    lifted_by: str | None


@router.get("/senders/quarantines")
def list_quarantines(context: OpenContext, _reader: Reader) -> list[QuarantineView]:
    """All quarantines of senders, newest first, those that were lifted included."""
    with context.database.reading() as session:
        return [QuarantineView.model_validate(item) for item in probing.quarantines(session)]


@router.post("/senders/quarantines/{quarantine_id}/lift")
def lift_quarantine(context: OpenContext, admin: Admin, quarantine_id: Id) -> QuarantineView:
    """Lets the sender's scans go their way again. Cases that it has held stay held."""
    with context.database.transaction() as session:
        lifted = probing.lift(
            session, context.secrets.audit_key, quarantine_id, by=identity.actor(admin)
        )
        return QuarantineView.model_validate(lifted)
