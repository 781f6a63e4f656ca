"""Is somebody asking the model about images that hardly differ?

Every decoded scan leaves its fingerprint. Where it is one of many near-duplicates, its case ends in
quarantine, and where one sender sent them, so does all that this sender sends until an admin lifts
it. Nothing is refused: whatever comes is kept, acknowledged and looked at by a human.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import SecretBytes
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from mri_guard.errors import ConflictError, NotFoundError
from mri_guard.perturbation.fingerprint import NEAR, fingerprint
from mri_guard.records import Decision, Outcome, Priority, Scan
from services import clock
from services.audit import chain
from services.db.models import Fingerprint, FingerprintHash, SenderQuarantine, Series
from services.intake.service import RECOVERED
from services.settings import Settings

logger = structlog.get_logger(__name__)

ACTOR = "worker"
PROBING, QUARANTINED, FAILED = "probing-suspected", "sender-quarantined", "fingerprint-failed"
"""Reasons: the case tripped it, its sender is held, or nobody can tell."""

_LOCK = 0x6D67_0005


@dataclass(frozen=True, slots=True)
class Look:
    """What the fingerprint of an examination's scan came to.

    Attributes:
        hashes: empty when there was no scan, or when it failed.
        failed: class of what was raised.
    """

    hashes: frozenset[int] = frozenset()
    failed: str = ""


def look_at(scan: Scan, key: SecretBytes) -> Look:
    """The fingerprint of a scan; fails closed, in a quarantine, not by raising.

    Args:
        scan: as decoded.
        key: secret.
    """
    try:
        return Look(hashes=fingerprint(scan, key.get_secret_value()))
    except Exception as error:  # noqa: BLE001 - fail closed
        logger.error("probing.fingerprint.failed", error=type(error).__name__)
        return Look(failed=type(error).__name__)


def judge(
    session: Session,
    settings: Settings,
    audit_key: SecretBytes,
    *,
    series_id: int,
    look: Look,
    decision: Decision,
) -> Decision:
    """The decision, or a quarantine where probing is suspected or the sender is held.

    Keeps the fingerprint in the same transaction, in which nobody else judges: of two workers that
    end at once, the second sees what the first has kept.

    Args:
        session: the transaction that writes the case.
        settings: of the deployment.
        audit_key: of the audit chain.
        series_id: the series examined.
        look: its fingerprint.
        decision: of the journey.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    sender = session.scalars(select(Series.sender).where(Series.id == series_id)).one()
    active = held(session)
    alike = _standing(session, _keep(session, settings, series_id, sender, look.hashes))
    reasons = []
    if len(alike) + 1 >= settings.probing_near_duplicates:
        reasons.append(PROBING)
        own = sum(item.sender == sender for item in alike) + 1
        if own >= settings.probing_near_duplicates and sender not in active:
            _hold(session, audit_key, sender, own)
    # Of a file that was in the spool before its row, nobody knows the sender: perhaps a held one.
    if sender in active or (sender == RECOVERED and active):
        reasons.append(QUARANTINED)
    if look.failed and decision.outcome is not Outcome.QUARANTINE:
        reasons.append(FAILED)
    if not reasons:
        return decision
    details = {
        PROBING: f"{len(alike) + 1} series within {settings.probing_window_hours:g} h hardly "
        f"differ; fewer than {settings.probing_near_duplicates} expected",
        QUARANTINED: "whatever this sender sends is held until an admin lifts it",
        FAILED: f"{look.failed} in the fingerprint of the voxels",
    }
    return _quarantined(decision, reasons, details[reasons[0]])


def held(session: Session) -> set[str]:
    """Senders whose stream is in quarantine."""
    active = select(SenderQuarantine.sender).where(SenderQuarantine.lifted_at.is_(None))
    return set(session.scalars(active))


def quarantines(session: Session) -> list[SenderQuarantine]:
    """All quarantines of senders, those that were lifted included, newest first."""
    return list(session.scalars(select(SenderQuarantine).order_by(SenderQuarantine.id.desc())))


def lift(
    session: Session, audit_key: SecretBytes, quarantine_id: int, *, by: str
) -> SenderQuarantine:
    """The quarantine, lifted: cases from now on, and series counted from now on, are free again.

    Args:
        session: from `Database.transaction`.
        audit_key: of the audit chain.
        quarantine_id: which one.
        by: who lifts it, as the audit log names them.

    Raises:
        NotFoundError: there is no such quarantine.
        ConflictError: it was lifted before.
    """
    found = session.get(SenderQuarantine, quarantine_id, with_for_update=True)
    if found is None:
        raise NotFoundError("no such quarantine")
    if found.lifted_at is not None:
        raise ConflictError("quarantine is lifted already")
    found.lifted_at, found.lifted_by = clock.now(), by
    chain.append(
        session,
        audit_key,
        event="intake.sender.quarantine-lifted",
        actor=by,
        subject=f"sender:{found.sender}",
        payload={"quarantine": found.id},
    )
    return found


def _keep(
    session: Session, settings: Settings, series_id: int, sender: str, hashes: frozenset[int]
) -> Sequence[Fingerprint]:
    """Near-duplicates of other series within the window; keeps the series' own fingerprint."""
    now = clock.now()
    oldest = now - timedelta(hours=settings.probing_window_hours)
    gone = (Fingerprint.at < oldest) | (Fingerprint.series_id == series_id)
    _forget(session, session.scalars(select(Fingerprint.id).where(gone)).all())
    if not hashes:
        return ()
    matches = (
        select(FingerprintHash.fingerprint_id)
        .where(FingerprintHash.hash.in_(hashes))
        .group_by(FingerprintHash.fingerprint_id)
        .having(func.count() >= NEAR)
    )
    alike = session.scalars(select(Fingerprint).where(Fingerprint.id.in_(matches))).all()
    kept = Fingerprint(series_id=series_id, sender=sender, at=now)
    session.add(kept)
    session.flush()
    session.execute(
        insert(FingerprintHash), [{"hash": item, "fingerprint_id": kept.id} for item in hashes]
    )
    return alike


def _forget(session: Session, ids: Sequence[int]) -> None:
    if ids:
        session.execute(delete(FingerprintHash).where(FingerprintHash.fingerprint_id.in_(ids)))
        session.execute(delete(Fingerprint).where(Fingerprint.id.in_(ids)))


def _standing(session: Session, alike: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Those that came after the last time their sender's quarantine was lifted."""
    rows = session.execute(
        select(SenderQuarantine.sender, func.max(SenderQuarantine.lifted_at).label("at"))
        .where(SenderQuarantine.lifted_at.is_not(None))
        .group_by(SenderQuarantine.sender)
    )
    lifted = {row.sender: row.at for row in rows}
    return [item for item in alike if item.sender not in lifted or item.at > lifted[item.sender]]


def _hold(session: Session, audit_key: SecretBytes, sender: str, near_duplicates: int) -> None:
    quarantine = SenderQuarantine(
        sender=sender, begun_at=clock.now(), near_duplicates=near_duplicates, lifted_at=None
    )
    session.add(quarantine)
    session.flush()
    logger.warning("probing.sender.quarantined", count=near_duplicates)
    chain.append(
        session,
        audit_key,
        event="intake.sender.quarantined",
        actor=ACTOR,
        subject=f"sender:{sender}",
        payload={"quarantine": quarantine.id, "near_duplicates": near_duplicates},
    )


def _quarantined(decision: Decision, reasons: list[str], detail: str) -> Decision:
    """Before the journey's own reasons, unless those spoke for a release."""
    released = decision.outcome is Outcome.RELEASE
    urgent = decision.priority is Priority.HIGH
    return Decision(
        outcome=Outcome.QUARANTINE,
        priority=Priority.HIGH if urgent else Priority.MEDIUM,
        reasons=(*reasons, *(() if released else decision.reasons)),
        detail=detail,
    )
