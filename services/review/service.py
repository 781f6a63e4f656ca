"""Who may read, claim, give back and decide a case.

A case goes SCHEDULED -> IN PROGRESS (claimed) -> COMPLETED (decided). A claim that runs out leaves
the row as it is; every look at it says SCHEDULED, and the next claim takes it over. Whatever
changes a case appends to its history and to the audit chain in the same transaction.

Of a blinded case a reader learns nothing of what the model says, and can decide nothing, until they
have claimed it and recorded a first impression; each reader records one, and none twice.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mri_guard.errors import ConflictError, NotFoundError
from services import clock
from services.audit import chain
from services.db.models import Case, Confidence, ReaderFinding, ReviewEvent, User, WorkState
from services.identity import service as identity
from services.monitoring.service import decided
from services.review import repository
from services.review.records import (
    CasePage,
    CaseQuery,
    CaseSummary,
    CaseView,
    ClaimView,
    DecideBody,
    EventView,
    ImpressionBody,
)
from services.secrets import Secrets


class Part(StrEnum):
    """What of a case somebody looks at."""

    RECORD = "record"
    PICTURE = "picture"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Desk:
    """One reader in one transaction."""

    session: Session
    user: User
    secrets: Secrets
    claim_minutes: float

    def worklist(self, query: CaseQuery) -> CasePage:
        """A page of the worklist."""
        now = clock.now()
        cases, total = repository.page(self.session, query, self.user, now)
        return CasePage(
            total=total, cases=[_summary(case, now, blind=blind) for case, blind in cases]
        )

    def view(self, case_id: UUID, *, blind: bool = False) -> CaseView:
        """A case with its examination; that it was looked at goes to the audit log.

        Args:
            case_id: which.
            blind: withhold what the model says, unless this reader has decided the case; of a
                blinded case it is withheld without being asked.

        Raises:
            NotFoundError: no such case.
        """
        case = self._found(case_id)
        view = self._view(case, blind=blind)
        self._saw(case, Part.RECORD, blind=view.blind)
        return view

    def look(self, case_id: UUID, part: Part) -> None:
        """Notes in the audit log that a file of a case is looked at.

        Raises:
            NotFoundError: no such case.
            ConflictError: this reader owes a first impression.
        """
        case = self._found(case_id)
        self._must_see(case)
        self._saw(case, part, blind=False)

    def history(self, case_id: UUID) -> list[EventView]:
        """Every act of readers on a case, oldest first; what others found is withheld from a reader
        who owes a first impression.

        Raises:
            NotFoundError: no such case.
        """
        case = self._found(case_id)
        events = [_event(event) for event in repository.history(self.session, case.id)]
        if not self._is_blind(case):
            return events
        nothing = {"finding": None, "confidence": None, "note": ""}
        return [event.model_copy(update=nothing) for event in events]

    def claim(self, case_id: UUID) -> ClaimView:
        """The case, held by this reader for `claim_minutes` from now.

        Claiming what one holds already prolongs it, and is no new version.

        Raises:
            NotFoundError: no such case.
            ConflictError: it is decided or was never for readers, or somebody else holds it.
        """
        case, now = self._locked(case_id), clock.now()
        if case.state not in (WorkState.SCHEDULED, WorkState.IN_PROGRESS):
            raise ConflictError(f"case is {case.state}; wanted one that waits for a reader")
        holder = _holder(case, now)
        if holder not in (None, self.user.id):
            raise ConflictError("case is held by another reader")
        case.claimed_until = now + timedelta(minutes=self.claim_minutes)
        if holder == self.user.id:
            self._audit(case, "review.case.renewed")
            return _claim(case, now)
        case.state = WorkState.IN_PROGRESS
        case.claimed_by_id = self.user.id
        self._act(case, "claim", now)
        self._audit(case, "review.case.claimed")
        return _claim(case, now)

    def release(self, case_id: UUID) -> ClaimView:
        """The case, given back to the queue.

        Raises:
            NotFoundError: no such case.
            ConflictError: this reader does not hold it.
        """
        case, now = self._locked(case_id), clock.now()
        self._must_hold(case, now)
        case.state = WorkState.SCHEDULED
        case.claimed_by_id = case.claimed_until = None
        self._act(case, "release", now)
        self._audit(case, "review.case.released")
        return _claim(case, now)

    def impress(self, case_id: UUID, body: ImpressionBody) -> CaseView:
        """The case with what the model says, now that the reader's first impression is kept.

        Raises:
            NotFoundError: no such case.
            ConflictError: this reader does not hold it, or owes no first impression: the case is
                not blinded, or they have given theirs.
        """
        case, now = self._locked(case_id), clock.now()
        self._must_hold(case, now)
        if not self._is_blind(case):
            raise ConflictError("case is open to this reader; wanted one that is blinded")
        self._act(case, "impression", now, finding=body.finding, confidence=body.confidence)
        self._audit(
            case,
            "review.case.impression",
            finding=body.finding.value,
            confidence=body.confidence.value,
        )
        self._saw(case, Part.RECORD, blind=False)
        return self._view(case)

    def decide(
        self, case_id: UUID, body: DecideBody, idempotency_key: str | None = None
    ) -> CaseView:
        """The case, decided.

        Args:
            case_id: which.
            body: finding, note, and the version of the case that the reader saw.
            idempotency_key: the sender's name for this decision: sent again with the same body,
                it gives the same result and decides nothing.

        Raises:
            NotFoundError: no such case.
            ConflictError: this reader does not hold it or owes a first impression, it has changed
                since, or the key stands for another decision.
        """
        case, now = self._locked(case_id), clock.now()
        if idempotency_key is not None:
            earlier = repository.sent_before(self.session, self.user.id, idempotency_key)
            if earlier is not None:
                if not _same(earlier, case, body):
                    raise ConflictError("Idempotency-Key stands for another decision")
                return self._view(case)
        self._must_hold(case, now)
        self._must_see(case)
        if body.version != case.version:
            raise ConflictError(f"case is at version {case.version}; decided was {body.version}")
        case.state = WorkState.COMPLETED
        case.claimed_by_id = case.claimed_until = None
        try:
            self._act(
                case,
                "decide",
                now,
                finding=body.finding,
                note=body.note,
                idempotency_key=idempotency_key,
            )
        except IntegrityError as error:  # the same key on another case, at this very moment
            raise ConflictError("Idempotency-Key stands for another decision") from error
        self._audit(
            case,
            "review.case.decided",
            finding=body.finding.value,
            note_digest=self._digest(body.note),
        )
        decided(self.session, self.secrets.audit_key, case, body.finding)
        return self._view(case)

    def _found(self, case_id: UUID) -> Case:
        case = repository.case(self.session, str(case_id))
        if case is None:
            raise NotFoundError("no such case")
        return case

    def _locked(self, case_id: UUID) -> Case:
        case = repository.case_to_change(self.session, str(case_id))
        if case is None:
            raise NotFoundError("no such case")
        return case

    def _must_hold(self, case: Case, now: datetime) -> None:
        holder = _holder(case, now)
        if holder is None:
            raise ConflictError("nobody holds the case; wanted a claim that has not run out")
        if holder != self.user.id:
            raise ConflictError("case is held by another reader")

    def _must_see(self, case: Case) -> None:
        if self._is_blind(case):
            raise ConflictError("case is blinded; wanted this reader's first impression before")

    def _is_blind(self, case: Case) -> bool:
        return repository.is_blind_to(self.session, self.user, case.id)

    def _act(
        self,
        case: Case,
        action: str,
        now: datetime,
        *,
        finding: ReaderFinding | None = None,
        confidence: Confidence | None = None,
        note: str = "",
        idempotency_key: str | None = None,
    ) -> None:
        case.version += 1
        self.session.add(
            ReviewEvent(
                case_id=case.id,
                user_id=self.user.id,
                at=now,
                action=action,
                finding=finding,
                confidence=confidence,
                note=note,
                version=case.version,
                idempotency_key=idempotency_key,
            )
        )
        self.session.flush()

    def _saw(self, case: Case, part: Part, *, blind: bool) -> None:
        self._audit(case, "review.case.viewed", part=part.value, blind=blind)

    def _audit(self, case: Case, event: str, **payload: JsonValue) -> None:
        chain.append(
            self.session,
            self.secrets.audit_key,
            event=event,
            actor=identity.actor(self.user),
            subject=f"case:{case.id}",
            payload={"version": case.version, **payload},
        )

    def _digest(self, note: str) -> str:
        """Ties a note to the audit log, which does not hold the reader's words."""
        key = self.secrets.identifier_key.get_secret_value()
        return hmac.new(key, note.encode(), hashlib.sha256).hexdigest()

    def _view(self, case: Case, *, blind: bool = False) -> CaseView:
        decision = repository.decision(self.session, case.id)
        blind = blind and (decision is None or decision.user_id != self.user.id)
        blind = blind or self._is_blind(case)
        return CaseView(
            **_summary(case, clock.now(), blind=blind).model_dump(),
            examination=None if blind else case.examination,
            decision=None if blind or decision is None else _event(decision),
        )


def _holder(case: Case, now: datetime) -> int | None:
    """Who holds the case now. A case that was canceled under its reader is held by nobody."""
    if case.state is not WorkState.IN_PROGRESS or case.claimed_until is None:
        return None
    return case.claimed_by_id if case.claimed_until > now else None


def _same(earlier: ReviewEvent, case: Case, body: DecideBody) -> bool:
    return (earlier.case_id, earlier.finding, earlier.note, earlier.version) == (
        case.id,
        body.finding,
        body.note,
        body.version + 1,
    )


def _claim(case: Case, now: datetime) -> ClaimView:
    holder = _holder(case, now)
    ran_out = case.state is WorkState.IN_PROGRESS and holder is None
    return ClaimView(
        id=UUID(case.id),
        state=WorkState.SCHEDULED if ran_out else case.state,
        version=case.version,
        claimed_by=holder,
        claimed_until=case.claimed_until if holder is not None else None,
    )


def _summary(case: Case, now: datetime, *, blind: bool) -> CaseSummary:
    return CaseSummary(
        **_claim(case, now).model_dump(),
        study=case.study_digest,
        blinded=case.blinded,
        blind=blind,
        outcome=None if blind else case.outcome,
        priority=None if blind else case.priority,
        reasons=[] if blind else case.reasons,
        score=None if blind else case.score,
        p_value=None if blind else case.p_value,
        created_at=case.created_at,
    )


def _event(event: ReviewEvent) -> EventView:
    return EventView(
        at=event.at,
        user=event.user_id,
        action=event.action,
        finding=event.finding,
        confidence=event.confidence,
        note=event.note,
        version=event.version,
    )
