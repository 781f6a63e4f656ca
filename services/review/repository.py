"""Queries of the review queue."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, null, or_, select
from sqlalchemy import case as when
from sqlalchemy.orm import Session

from services.db.models import Case, ReviewEvent, Role, User, WorkState
from services.review.records import CaseQuery, Sort


def held(now: datetime) -> ColumnElement[bool]:
    """Cases that somebody holds at this moment."""
    return and_(Case.state == WorkState.IN_PROGRESS, Case.claimed_until > now)


def waiting(now: datetime) -> ColumnElement[bool]:
    """Cases that anybody may claim: never claimed, given back, or held too long."""
    return or_(
        Case.state == WorkState.SCHEDULED,
        and_(Case.state == WorkState.IN_PROGRESS, Case.claimed_until <= now),
    )


def blind_to(user: User) -> ColumnElement[bool]:
    """Cases of which a user must not hear what the model says: they owe a first impression."""
    if user.role is Role.AUDITOR:
        return false()
    given = exists().where(
        ReviewEvent.case_id == Case.id,
        ReviewEvent.user_id == user.id,
        ReviewEvent.action == "impression",
    )
    return and_(Case.blinded, Case.state != WorkState.COMPLETED, ~given)


def is_blind_to(session: Session, user: User, case_id: str) -> bool:
    """Whether a case is one of them."""
    return session.scalar(select(exists().where(Case.id == case_id, blind_to(user)))) or False


def page(
    session: Session, query: CaseQuery, user: User, now: datetime
) -> tuple[list[tuple[Case, bool]], int]:
    """The cases of one page, each with whether it is blind to the user, and how many fit in all."""
    blind = blind_to(user)
    wanted = list(_conditions(query, user, now))
    total = session.scalar(select(func.count(Case.id)).where(*wanted)) or 0
    rows = session.execute(
        select(Case, blind)
        .where(*wanted)
        .order_by(*_order(query.sort, blind), Case.id)
        .offset(query.offset)
        .limit(query.limit)
    )
    return [(found, bool(hidden)) for found, hidden in rows], total


def _order(sort: Sort, blind: ColumnElement[bool]) -> tuple[ColumnElement[Any], ...]:
    """What is blind stands with the most urgent and with those without a score: a place among the
    others would tell what it has.
    """
    if sort is Sort.URGENCY:
        return when((blind, 0), else_=Case.urgency).asc(), Case.created_at.asc()
    if sort is Sort.SCORE:
        score = when((blind, null()), else_=Case.score)
        return score.is_(None), score.desc()
    return (Case.created_at.desc() if sort is Sort.NEWEST else Case.created_at.asc(),)


def _conditions(query: CaseQuery, user: User, now: datetime) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.outcome is not None or query.priority is not None:
        wanted.append(~blind_to(user))
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
        wanted += [held(now), Case.claimed_by_id == user.id]
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
