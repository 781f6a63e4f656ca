"""Monitors over HTTP: where they stand, and acknowledging an alarm."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from mri_guard.monitoring import State
from services.db.models import MonitorRow, Role, User
from services.identity import service as identity
from services.identity.access import OpenContext, require
from services.monitoring import service

router = APIRouter(tags=["operation"], max_body_size=4096)
Reader = Annotated[User, Depends(require(Role.ADMIN, Role.AUDITOR))]
Admin = Annotated[User, Depends(require(Role.ADMIN))]
Name = Annotated[str, Path(pattern=r"^[a-z_]{1,32}$")]


class MonitorView(BaseModel):
    """Where one monitor stands."""

    name: str
    bundle_digest: str
    scans: int = Field(description="that it has heard of")
    statistic: float
    limit: float = Field(description="an alarm is raised where the statistic reaches it")
    alarm: bool
    alarm_since: datetime | None
    updated_at: datetime


class AcknowledgeBody(BaseModel):
    """How a monitor begins again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    new_normal: bool = False
    """The change is there to stay: learn anew what is normal."""


@router.get("/monitors")
def list_monitors(context: OpenContext, _reader: Reader) -> list[MonitorView]:
    """All monitors that have heard of anything."""
    with context.database.reading() as session:
        return [view(row, state) for row, state in service.standing(session).values()]


@router.post("/monitors/{name}/acknowledge")
def acknowledge_alarm(
    context: OpenContext, admin: Admin, name: Name, body: AcknowledgeBody
) -> MonitorView:
    """Ends an alarm whose cause was found; the monitor begins again."""
    with context.database.transaction() as session:
        row, state = service.acknowledge(
            session,
            context.secrets.audit_key,
            name,
            by=identity.actor(admin),
            new_normal=body.new_normal,
        )
        return view(row, state)


def view(row: MonitorRow, state: State) -> MonitorView:
    """What is told of a monitor."""
    return MonitorView(
        name=row.name,
        bundle_digest=row.bundle_digest,
        scans=state.scans,
        statistic=state.statistic,
        limit=service.MONITORS[row.name].limit,
        alarm=state.alarm,
        alarm_since=row.alarm_since,
        updated_at=row.updated_at,
    )
