"""The audit log over HTTP, for auditors."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, select

from services.audit.anchor import read_anchor
from services.audit.chain import ChainReport, verify
from services.db.models import AuditEntry, Role, User
from services.identity.access import OpenContext, require

MAX_SEQUENCE = 2**31 - 1
PRINTABLE = r"^[!-~]+$"

router = APIRouter(tags=["audit"], prefix="/audit")
Auditor = Annotated[User, Depends(require(Role.AUDITOR, Role.ADMIN))]


class EntryView(BaseModel):
    """One entry of the chain."""

    model_config = ConfigDict(from_attributes=True)

    sequence: int
    at: datetime
    event: str
    actor: str
    subject: str
    payload: dict[str, Any]
    previous_mac: str
    mac: str


class EntryPage(BaseModel):
    """Entries, newest first, and how many there are in all.

    Attributes:
        next_before: the `before` of the next page; None when this is the last.
    """

    total: int
    entries: list[EntryView]
    next_before: int | None


class ReportView(BaseModel):
    """What a verification found; see `services.audit.chain.ChainReport`."""

    intact: bool
    entries: int
    broken_at: int | None
    problem: str
    anchored: int


class EntryQuery(BaseModel):
    """Which entries are wanted."""

    model_config = ConfigDict(extra="forbid")

    subject: str | None = Field(None, max_length=80, pattern=PRINTABLE)
    event: str | None = Field(None, max_length=64, pattern=PRINTABLE)
    before: int | None = Field(None, ge=1, le=MAX_SEQUENCE)
    limit: int = Field(50, ge=1, le=500)


@router.get("")
def list_entries(
    context: OpenContext, _user: Auditor, query: Annotated[EntryQuery, Query()]
) -> EntryPage:
    """A page of the log, newest first."""
    wanted: list[ColumnElement[bool]] = []
    if query.subject is not None:
        wanted.append(AuditEntry.subject == query.subject)
    if query.event is not None:
        wanted.append(AuditEntry.event == query.event)
    page = select(AuditEntry).where(*wanted).order_by(AuditEntry.sequence.desc())
    if query.before is not None:
        page = page.where(AuditEntry.sequence < query.before)
    with context.database.reading() as session:
        total = session.scalar(select(func.count(AuditEntry.sequence)).where(*wanted)) or 0
        rows = session.scalars(page.limit(query.limit + 1)).all()
    entries = [EntryView.model_validate(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return EntryPage(
        total=total, entries=entries, next_before=entries[-1].sequence if more else None
    )


@router.get("/verify")
def verify_chain(context: OpenContext, _user: Auditor) -> ReportView:
    """Whether every entry is the one that was appended, up to the anchor where there is one."""
    path = context.settings.audit_anchor
    anchor = read_anchor(path) if path else None
    with context.database.reading() as session:
        report = verify(session, context.secrets.audit_key, anchor)
    return report_view(report)


def report_view(report: ChainReport) -> ReportView:
    """The report as it is sent and printed."""
    return ReportView(
        intact=report.intact,
        entries=report.entries,
        broken_at=report.broken_at,
        problem=report.problem,
        anchored=report.anchored,
    )
