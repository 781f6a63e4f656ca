"""What the review API takes and gives."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from mri_guard.records import Outcome, Priority
from services.db.models import Confidence, ReaderFinding, WorkState

NOTE_CHARACTERS = 2000

Note = Annotated[
    str,
    # No control characters but tab and line breaks: PostgreSQL refuses NUL, terminals obey others.
    StringConstraints(max_length=NOTE_CHARACTERS, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"),
]

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]


class Sort(StrEnum):
    """Order of a list of cases."""

    URGENCY = "urgency"
    """HIGH first, and the oldest first among equals."""
    SCORE = "score"
    """Most abnormal first, cases without a score last."""
    NEWEST = "newest"
    OLDEST = "oldest"


class CaseQuery(BaseModel):
    """Which cases are wanted, and in what order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome | None = None
    state: WorkState | None = None
    priority: Priority | None = None
    study: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    created_after: Moment | None = None
    created_before: Moment | None = None
    mine: bool = False
    """Only those that the caller holds now."""
    sort: Sort = Sort.URGENCY
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(50, ge=1, le=200)


class ImpressionBody(BaseModel):
    """What a reader sees before they are told what the model says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding: ReaderFinding
    confidence: Confidence


class DecideBody(BaseModel):
    """A radiologist's decision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding: ReaderFinding
    note: Note = ""
    version: int = Field(ge=1, le=2**31 - 1)
    """Of the case as the reader saw it."""


class ClaimView(BaseModel):
    """Who holds a case, and nothing of what the model says."""

    id: UUID
    state: WorkState
    """SCHEDULED also when the last claim has run out."""
    version: int
    claimed_by: int | None
    claimed_until: datetime | None


class CaseSummary(ClaimView):
    """A line of the worklist.

    Attributes:
        study: keyed digest of the Study Instance UID.
        blinded: whether its readers record a first impression before the model speaks.
        blind: whether what the model and other readers say is withheld from the caller: outcome,
            priority, reasons, score, p-value, examination and decision are empty then.
    """

    study: str
    blinded: bool
    blind: bool
    outcome: Outcome | None
    priority: Priority | None
    reasons: list[str]
    score: float | None
    p_value: float | None
    created_at: datetime


class CasePage(BaseModel):
    """Some cases, and how many fit the query in all."""

    total: int
    cases: list[CaseSummary]


class EventView(BaseModel):
    """One act of a reader."""

    at: datetime
    user: int
    action: str
    finding: ReaderFinding | None
    confidence: Confidence | None
    note: str
    version: int


class CaseView(CaseSummary):
    """A case with its examination.

    Attributes:
        examination: `mri_guard.records.Examination` as it was stored.
        decision: the radiologist's, once there is one.
    """

    examination: dict[str, Any] | None
    decision: EventView | None
