"""Jobs for workers: leased for a while, never owned, so that a dead worker loses nothing.

Every lease raises the job's fence. Whoever writes a result shows the fence of their lease, and is
turned away when another lease has followed (Kleppmann 2017, Designing Data-Intensive Applications,
chapter 8, fencing tokens).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from mri_guard.errors import ConflictError
from services.db.models import Job, WorkState


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker's hold on one job.

    Attributes:
        job_id: the job.
        series_id: its series.
        revision: of the series.
        fence: how many leases the job has had, this one included: all before it were lost.
    """

    job_id: int
    series_id: int
    revision: int
    fence: int


def waits(session: Session, now: datetime) -> bool:
    """Whether there is a job to lease. Asked in a reading session, it keeps no writer waiting."""
    return session.scalar(select(Job.id).where(_free(now)).limit(1)) is not None


def lease(session: Session, now: datetime, lease_seconds: float) -> Lease | None:
    """The oldest job that waits, or whose worker has been silent for too long; None without one.

    Args:
        session: from `Database.transaction`; the lease holds once it has committed.
        now: aware.
        lease_seconds: silent for so long, the worker loses the job.
    """
    oldest = select(Job).where(_free(now)).order_by(Job.created_at, Job.id).limit(1)
    job = session.scalar(oldest.with_for_update(skip_locked=True))
    if job is None:
        return None
    job.state = WorkState.IN_PROGRESS
    job.fence += 1
    job.lease_until = now + timedelta(seconds=lease_seconds)
    session.flush()
    return Lease(job.id, job.series_id, job.revision, job.fence)


def hold(session: Session, held: Lease) -> Job:
    """The leased job, locked until the transaction ends.

    Raises:
        ConflictError: another lease followed this one, or the job is finished.
    """
    job = session.scalar(
        select(Job)
        .where(Job.id == held.job_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None or job.state is not WorkState.IN_PROGRESS or job.fence != held.fence:
        seen = f"{job.state} with fence {job.fence}" if job else "gone"
        raise ConflictError(f"job is {seen}; wanted IN PROGRESS with fence {held.fence}")
    return job


def renew(session: Session, held: Lease, now: datetime, lease_seconds: float) -> None:
    """Prolongs a lease from now on; one that ran out is renewed if nobody took the job.

    Raises:
        ConflictError: another lease followed this one, or the job is finished.
    """
    hold(session, held).lease_until = now + timedelta(seconds=lease_seconds)


def finish(session: Session, held: Lease, state: WorkState) -> Job:
    """The job, which nobody can lease any more.

    Args:
        session: the transaction that also writes what came of the job.
        held: this worker's lease.
        state: COMPLETED or CANCELED.

    Raises:
        ConflictError: another lease followed this one, or the job is finished.
    """
    job = hold(session, held)
    job.state = state
    job.lease_until = None
    return job


def _free(now: datetime) -> ColumnElement[bool]:
    silent = and_(Job.state == WorkState.IN_PROGRESS, Job.lease_until < now)
    return or_(Job.state == WorkState.SCHEDULED, silent)
