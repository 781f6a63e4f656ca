"""The audit log: a chain of MACs, appended in the transaction that it describes.

Each entry's MAC covers the MAC before it, so that an entry cannot be edited, dropped, moved or
slipped in without the key. A chain alone does not notice a cut tail: `services.audit.anchor`
writes its head to a file elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue, SecretBytes
from sqlalchemy import Text, cast, select, text
from sqlalchemy.orm import Session

from services import clock
from services.db.models import AuditEntry

GENESIS = "0" * 64
"""What the first entry names as the MAC before it."""

_APPEND_LOCK = 0x6D67_0002


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain, or one that was it when an anchor was written.

    Attributes:
        sequence: from 1.
        mac: hex.
        at: when the entry was appended.
    """

    sequence: int
    mac: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Anchor:
    """Heads that were written elsewhere, oldest first."""

    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a verification found.

    Attributes:
        entries: how many entries the table holds.
        broken_at: sequence of the first entry that is not what was appended; None: all are.
        problem: what is wrong there, empty when nothing is.
        anchored: up to which sequence the anchor vouches for the tail; 0 without an anchor.
    """

    entries: int
    broken_at: int | None = None
    problem: str = ""
    anchored: int = 0

    @property
    def intact(self) -> bool:
        """Whether every entry is the one that was appended."""
        return self.broken_at is None


def append(
    session: Session,
    key: SecretBytes,
    *,
    event: str,
    actor: str,
    subject: str,
    payload: Mapping[str, JsonValue],
) -> AuditEntry:
    """The new entry, in the caller's transaction: the act and its record stand or fall as one.

    Appends are serialised until the commit, on SQLite by BEGIN IMMEDIATE and on PostgreSQL by an
    advisory lock, so call it late in a long transaction.

    Args:
        session: from `Database.transaction`.
        key: of the HMAC.
        event: what happened, such as `review.case.claimed`.
        actor: `user:3`, `worker`, `dicom-node`; never a person's name.
        subject: `case:<uuid>`, `series:<digest>`.
        payload: no patient data, no NaN.

    Raises:
        ValueError: the payload is not JSON.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _APPEND_LOCK})
    last = head(session)
    content: dict[str, Any] = {
        "sequence": last.sequence + 1 if last else 1,
        "at": clock.now(),
        "event": event,
        "actor": actor,
        "subject": subject,
        "payload": dict(payload),
        "previous_mac": last.mac if last else GENESIS,
    }
    entry = AuditEntry(**content, mac=_mac(key, **content))
    session.add(entry)
    session.flush()
    return entry


def head(session: Session) -> Head | None:
    """The newest entry; None when there is none."""
    newest = (
        select(AuditEntry.sequence, AuditEntry.mac, AuditEntry.at)
        .order_by(AuditEntry.sequence.desc())
        .limit(1)
    )
    row = session.execute(newest).first()
    return Head(row.sequence, row.mac, row.at) if row else None


def verify(session: Session, key: SecretBytes, anchor: Anchor | None = None) -> ChainReport:
    """Whether the chain is what was appended, and where it first is not.

    Reads the table once, in order. Times and payloads are read as text, since an edited value may
    no longer parse.

    Args:
        session: from `Database.reading`, whose view does not move while we read.
        key: of the HMAC.
        anchor: heads written elsewhere; without one a cut tail goes unnoticed.
    """
    anchored = {item.sequence: item.mac for item in anchor.heads} if anchor else {}
    vouched = max(anchored, default=0)
    rows = session.execute(
        select(
            AuditEntry.sequence,
            cast(AuditEntry.at, Text).label("at"),
            AuditEntry.event,
            AuditEntry.actor,
            AuditEntry.subject,
            cast(AuditEntry.payload, Text).label("payload"),
            AuditEntry.previous_mac,
            AuditEntry.mac,
        ).order_by(AuditEntry.sequence),
        execution_options={"yield_per": 1000},
    )
    count, previous = 0, GENESIS
    broken_at: int | None = None
    problem = ""
    for row in rows:
        count += 1
        if broken_at is not None:
            continue
        if row.sequence != count:
            broken_at, problem = count, f"entry is missing; the next one is {row.sequence}"
        elif row.previous_mac != previous:
            broken_at, problem = count, "does not follow the entry before it"
        elif not _authentic(key, row):
            broken_at, problem = count, "content does not fit its MAC"
        elif anchored.get(count, row.mac) != row.mac:
            broken_at, problem = count, "is not the entry that was anchored"
        previous = row.mac
    if broken_at is None and vouched > count:
        broken_at, problem = count + 1, f"tail is cut; the anchor has seen entry {vouched}"
    return ChainReport(count, broken_at, problem, vouched)


def _authentic(key: SecretBytes, row: Any) -> bool:
    try:
        expected = _mac(
            key,
            sequence=row.sequence,
            at=datetime.fromisoformat(row.at),
            event=row.event,
            actor=row.actor,
            subject=row.subject,
            payload=json.loads(row.payload),
            previous_mac=row.previous_mac,
        )
    except (ValueError, TypeError):
        return False
    return isinstance(row.mac, str) and hmac.compare_digest(expected, row.mac)


def _mac(key: SecretBytes, *, at: datetime, **content: Any) -> str:
    moment = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    canonical = json.dumps(
        {**content, "at": moment.isoformat(timespec="microseconds")},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return hmac.new(key.get_secret_value(), canonical.encode(), hashlib.sha256).hexdigest()
