"""Every table. Identified DICOM stays in the spool; here are keyed digests and results alone.

What joins a digest to a patient lies sealed in `IdentifiedHeader`, with a key that is not here.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from mri_guard.records import Outcome, Priority


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which stores none, gets it naive and gives it back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive times."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime; wanted an aware one")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Makes every time aware."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def word(members: type[StrEnum]) -> Enum:
    """Column type of an enumeration: its values as text; an unknown one raises LookupError."""
    return Enum(
        members,
        native_enum=False,
        length=16,
        values_callable=lambda enumeration: [member.value for member in enumeration],
    )


class Base(DeclarativeBase):
    """All tables."""

    # Named, since a constraint without a name cannot be changed by a later migration.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class SeriesState(StrEnum):
    """Whether a series may still grow."""

    RECEIVING = "RECEIVING"
    COMPLETE = "COMPLETE"


class WorkState(StrEnum):
    """Unified Procedure Step states, PS3.4 CC.1.1: of jobs for workers and of cases for readers."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class Role(StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    RADIOLOGIST = "radiologist"
    AUDITOR = "auditor"
    GATEWAY = "gateway"


class ReaderFinding(StrEnum):
    """What the radiologist saw."""

    ABNORMAL = "abnormal"
    NORMAL = "normal"
    NON_DIAGNOSTIC = "non-diagnostic"


class Confidence(StrEnum):
    """How sure a reader is of a first impression."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


class Series(Base):
    """One DICOM series as it arrives. A late instance reopens it as the next revision."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(primary_key=True)
    series_digest: Mapped[str] = mapped_column(String(64), unique=True)
    """HMAC of the Series Instance UID, or of the file's SHA-256 where the bytes name no series."""
    study_digest: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[SeriesState] = mapped_column(word(SeriesState), default=SeriesState.RECEIVING)
    revision: Mapped[int] = mapped_column(default=1)
    last_arrival_at: Mapped[datetime] = mapped_column(index=True)
    sender: Mapped[str] = mapped_column(String(64))
    """Calling AE title or API user, as far as it is known."""
    instance_count: Mapped[int] = mapped_column(default=0)
    """Rows of `instance`, counted as they come."""
    instances: Mapped[list["Instance"]] = relationship(back_populates="series")


class Instance(Base):
    """One file in the spool. The same UID with other content is a second row and an event."""

    __tablename__ = "instance"
    __table_args__ = (UniqueConstraint("sop_digest", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    sop_digest: Mapped[str] = mapped_column(String(64))
    """HMAC of the SOP Instance UID, or of the file's SHA-256 where the bytes name none."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int]
    received_at: Mapped[datetime]
    series: Mapped[Series] = relationship(back_populates="instances")


class Job(Base):
    """The examination of one revision of one series; leased, never owned."""

    __tablename__ = "job"
    __table_args__ = (UniqueConstraint("series_id", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    revision: Mapped[int]
    state: Mapped[WorkState] = mapped_column(
        word(WorkState), default=WorkState.SCHEDULED, index=True
    )
    fence: Mapped[int] = mapped_column(default=0)
    """Rises with every lease; a worker that comes back with an older one is turned away."""
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    series: Mapped[Series] = relationship()


class Case(Base):
    """One examination and, where its outcome asks for it, a radiologist's task."""

    __tablename__ = "case"
    __table_args__ = (
        UniqueConstraint("series_id", "revision"),
        Index("ix_case_worklist", "state", "outcome"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"))
    revision: Mapped[int]
    study_digest: Mapped[str] = mapped_column(String(64), index=True)
    outcome: Mapped[Outcome] = mapped_column(word(Outcome))
    priority: Mapped[Priority | None] = mapped_column(word(Priority))
    urgency: Mapped[int]
    """Sort key of the priority: 0 is HIGH, 3 is none."""
    reasons: Mapped[list[str]]
    score: Mapped[float | None]
    p_value: Mapped[float | None]
    examination: Mapped[dict[str, Any]]
    """`mri_guard.records.Examination` as JSON."""
    blinded: Mapped[bool] = mapped_column(default=False)
    """Each reader records a first impression before they are told what the model says."""
    state: Mapped[WorkState] = mapped_column(word(WorkState))
    """A released case is COMPLETED at once; the others are SCHEDULED for a reader."""
    version: Mapped[int] = mapped_column(default=1)
    """Rises with every change; a decision names the version it was made on."""
    claimed_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
    series: Mapped[Series] = relationship()
    claimed_by: Mapped["User | None"] = relationship()


class IdentifiedHeader(Base):
    """Whom a series shows, sealed (`services.identities`); read to write results back."""

    __tablename__ = "identified_header"

    series_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of the series; no foreign key, so that the table can move to a database of its own."""
    sealed: Mapped[bytes]
    """AES-256-GCM, bound to the digest."""
    written_at: Mapped[datetime]


class ReviewEvent(Base):
    """One act of a reader on a case; never changed, never deleted."""

    __tablename__ = "review_event"
    __table_args__ = (UniqueConstraint("user_id", "idempotency_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("case.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    at: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(16))
    """claim, release, impression or decide."""
    finding: Mapped[ReaderFinding | None] = mapped_column(word(ReaderFinding))
    confidence: Mapped[Confidence | None] = mapped_column(word(Confidence))
    """Of an impression."""
    note: Mapped[str] = mapped_column(String(2000), default="")
    version: Mapped[int]
    """Of the case after the act."""
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    """The sender's name for a decision, so that sending it twice decides once."""
    user: Mapped["User"] = relationship()


class User(Base):
    """Somebody, or a gateway, who may call the API."""

    __tablename__ = "app_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role] = mapped_column(word(Role))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key's hash. The key itself is shown once, when it is made."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """Of a 256-bit random key, so that a plain hash needs no salt and no stretching."""
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    user: Mapped[User] = relationship()


class SenderUsage(Base):
    """What a sender has sent lately; counted in the transaction that keeps it."""

    __tablename__ = "sender_usage"

    sender: Mapped[str] = mapped_column(String(64), primary_key=True)
    window: Mapped[int] = mapped_column(BigInteger)
    """Number of the newest window since the epoch; the counts are of it."""
    window_instances: Mapped[int]
    window_bytes: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[int]
    """Number of the newest day since the epoch, UTC; the counts are of it."""
    day_instances: Mapped[int]
    day_bytes: Mapped[int] = mapped_column(BigInteger)
    limited: Mapped[int]
    """How often the audit log was told that the sender came to a limit."""
    told_until: Mapped[datetime | None]
    """Until then it need not be told again."""


class SenderQuarantine(Base):
    """A time in which whatever a sender sent ended in quarantine; ends when an admin lifts it."""

    __tablename__ = "sender_quarantine"

    id: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(String(64), index=True)
    begun_at: Mapped[datetime]
    near_duplicates: Mapped[int]
    """How many series of the sender looked alike, the last one included."""
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(64))
    """`user:3`, or `system` for the command line."""


class Fingerprint(Base):
    """Keyed hashes of what one series looks like; kept for a while to find its near-duplicates."""

    __tablename__ = "fingerprint"

    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), unique=True)
    """Of a series that grows, the newest revision counts."""
    sender: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(index=True)


class FingerprintHash(Base):
    """One hash of one fingerprint."""

    __tablename__ = "fingerprint_hash"

    hash: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    fingerprint_id: Mapped[int] = mapped_column(
        ForeignKey("fingerprint.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class MonitorRow(Base):
    """Where one monitor stands (`services.monitoring`); no patient data."""

    __tablename__ = "monitor"

    bundle_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Another bundle has other scores: its monitors begin anew."""
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[dict[str, Any]]
    """`mri_guard.monitoring.State` as JSON."""
    updated_at: Mapped[datetime]
    alarm_since: Mapped[datetime | None]
    """When the alarm was raised that stands now."""


class ScoreSeen(Base):
    """One score, which later ones are ranked among: of a calibration scan or of an examination."""

    __tablename__ = "score_seen"
    __table_args__ = (Index("ix_score_seen_rank", "bundle_digest", "score"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bundle_digest: Mapped[str] = mapped_column(String(64))
    score: Mapped[float]


class AuditEntry(Base):
    """One link of the audit chain."""

    __tablename__ = "audit_entry"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(64), index=True)
    actor: Mapped[str] = mapped_column(String(64))
    """`user:3`, `worker`, `dicom-node`; never a person's name."""
    subject: Mapped[str] = mapped_column(String(80), index=True)
    """`case:<uuid>`, `series:<digest>` and the like."""
    payload: Mapped[dict[str, Any]]
    previous_mac: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))
    """HMAC-SHA256 over the canonical JSON of all the other columns."""
