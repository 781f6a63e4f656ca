"""How readers rely on the model, from what they did at the queue."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mri_guard.errors import NotFoundError
from mri_guard.metrics.reliance import Read
from mri_guard.records import Outcome
from services.db.models import Case, Confidence, ReaderFinding, ReviewEvent


def newest_bundle(session: Session) -> str:
    """Digest of the bundle that examined the newest case.

    Raises:
        NotFoundError: nothing was examined yet.
    """
    newest = select(_bundle()).order_by(Case.created_at.desc(), Case.id).limit(1)
    digest = session.scalar(newest)
    if digest is None:
        raise NotFoundError("no case yet; wanted one that was examined")
    return str(digest)


def reads(
    session: Session,
    bundle_digest: str,
    since: datetime,
    until: datetime,
    truth: Mapping[str, bool] | None = None,
) -> list[Read]:
    """Every decision on what a bundle sent to review, in the order they were made.

    The model's advice is `abnormal`: what it finds normal is released, and no reader sees it. Of a
    study the case counts that was judged first, since who has judged one of its series knows what
    the model says of that head.

    Args:
        session: from `Database.reading`.
        bundle_digest: of the bundle.
        since: the first moment at which a decision counts.
        until: the first at which it does not any more.
        truth: of cases by id, whether abnormal, where somebody has adjudicated them.
    """
    events = session.execute(
        select(ReviewEvent, Case.study_digest, Case.blinded)
        .join(Case, Case.id == ReviewEvent.case_id)
        .where(
            Case.outcome == Outcome.REVIEW,
            _bundle() == bundle_digest,
            ReviewEvent.at < until,
        )
        .order_by(ReviewEvent.id)
    )
    judged_first: dict[str, str] = {}
    acts: dict[tuple[str, int, str], ReviewEvent] = {}
    found = []
    for event, study, blinded in events:
        acts[event.case_id, event.user_id, event.action] = event
        if event.action not in ("impression", "decide"):
            continue
        first_case = judged_first.setdefault(study, event.case_id)
        if event.action == "impression" or first_case != event.case_id or event.at < since:
            continue
        final = _abnormal(event)
        if final is None:
            continue
        claimed = acts[event.case_id, event.user_id, "claim"]
        impression = acts.get((event.case_id, event.user_id, "impression"))
        found.append(
            Read(
                reader=f"user:{event.user_id}",
                blinded=blinded,
                advice=True,
                first=_abnormal(impression),
                sure=impression is not None and impression.confidence is Confidence.HIGH,
                final=final,
                seconds=max(0.0, (event.at - claimed.at).total_seconds()),
                truth=(truth or {}).get(event.case_id),
            )
        )
    return found


def _abnormal(event: ReviewEvent | None) -> bool | None:
    """A finding that can be the model's advice; None for others, as that of no diagnostic value."""
    if event is None or event.finding is ReaderFinding.NON_DIAGNOSTIC:
        return None
    return event.finding is ReaderFinding.ABNORMAL


def _bundle() -> Any:
    return Case.examination["bundle_digest"].as_string()
