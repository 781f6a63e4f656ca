"""Queries of the review queue."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from services.db.models import Case, ReviewEvent, WorkState
from services.review.records import CaseQuery, Sort

ORDER: dict[Sort, tuple[ColumnElement[Any], ...]] = {
    Sort.URGENCY: (Case.urgency.asc(), Case.created_at.asc()),
    Sort.SCORE: (Case.score.is_(None), Case.score.desc()),
    Sort.NEWEST: (Case.created_at.desc(),),
    Sort.OLDEST: (Case.created_at.asc(),),
}


def held(now: datetime) -> ColumnElement[bool]:
    """Cases that somebody holds at this moment."""
    return and_(Case.state == WorkState.IN_PROGRESS, Case.claimed_until > now)


def waiting(now: datetime) -> ColumnElement[bool]:
    """Cases that anybody may claim: never claimed, given back, or held too long."""
    return or_(
        Case.state == WorkState.SCHEDULED,
        and_(Case.state == WorkState.IN_PROGRESS, Case.claimed_until <= now),
    )


def page(session: Session, query: CaseQuery, user_id: int, now: datetime) -> tuple[list[Case], int]:
    """The cases of one page, and how many fit the query in all."""
    wanted = list(_conditions(query, user_id, now))
    total = session.scalar(select(func.count(Case.id)).where(*wanted)) or 0
    rows = session.scalars(
        select(Case)
        .where(*wanted)
        .order_by(*ORDER[query.sort], Case.id)
        .offset(query.offset)
        .limit(query.limit)
    )
    return list(rows), total


def _conditions(query: CaseQuery, user_id: int, now: datetime) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.outcome is not None:
        wanted.append(Case.outcome == query.outcome)
    if query.priority is not None:
        wanted.append(Case.priority == query.priority)
    if query.study is not None:
        wanted.append(Case.study_digest == query.study)
    if query.created_after is not None:
        wanted.append(Case.created_at > query.created_after)
    if query.created_before is not None:
        wanted.append(Case.created_at < query.created_before)
    if query.mine:
        wanted += [held(now), Case.claimed_by_id == user_id]
    if query.state is WorkState.SCHEDULED:
        wanted.append(waiting(now))
    elif query.state is WorkState.IN_PROGRESS:
        wanted.append(held(now))
    elif query.state is not None:
        wanted.append(Case.state == query.state)
    return wanted


def case(session: Session, case_id: str) -> Case | None:
    """A case to look at."""
    return session.get(Case, case_id)


def case_to_change(session: Session, case_id: str) -> Case | None:
    """A case that nobody else changes until the commit."""
    return session.scalar(
        select(Case).where(Case.id == case_id).with_for_update(),
        execution_options={"populate_existing": True},
    )


def history(session: Session, case_id: str) -> list[ReviewEvent]:
    """Every act on a case, oldest first."""
    return list(
        session.scalars(
            select(ReviewEvent).where(ReviewEvent.case_id == case_id).order_by(ReviewEvent.id)
        )
    )


def decision(session: Session, case_id: str) -> ReviewEvent | None:
    """The decision on a case; there is at most one."""
    return session.scalar(
        select(ReviewEvent).where(ReviewEvent.case_id == case_id, ReviewEvent.action == "decide")
    )


def sent_before(session: Session, user_id: int, idempotency_key: str) -> ReviewEvent | None:
    """What this user did under this Idempotency-Key."""
    return session.scalar(
        select(ReviewEvent).where(
            ReviewEvent.user_id == user_id, ReviewEvent.idempotency_key == idempotency_key
        )
    )
