"""When a series is taken to be whole: nothing in DICOM says so, but senders fall silent."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from mri_guard.deidentify import Identity
from services import identities
from services.audit import chain
from services.context import Context
from services.db.models import Instance, Job, Series, SeriesState
from services.intake.service import ACTOR
from services.intake.spool import Spool

logger = structlog.get_logger(__name__)


def complete_quiet_series(context: Context, now: datetime, started_at: datetime) -> int:
    """How many series fell silent; each is COMPLETE now and has a job for its revision.

    Args:
        context: the deployment.
        now: aware.
        started_at: when the kit began to receive, aware. Silence counts from here at the earliest,
            since senders need time to come back after a restart.
    """
    silent_since = now - timedelta(seconds=context.settings.quiet_seconds)
    if started_at > silent_since:
        return 0
    silent = (Series.state == SeriesState.RECEIVING, Series.last_arrival_at <= silent_since)
    with context.database.reading() as session:  # so that an idle kit keeps no writer waiting
        candidates = session.scalars(select(Series.id).where(*silent).order_by(Series.id)).all()
    completed = 0
    for series_id in candidates:
        identity = _identity(context, series_id)  # reads files, so before the write lock is held
        with context.database.transaction() as session:
            series = session.scalar(
                select(Series).where(Series.id == series_id, *silent).with_for_update()
            )
            if series is None:  # an instance came in between, or another process was faster
                continue
            series.state = SeriesState.COMPLETE
            if identity is not None:
                identities.keep(session, context, series.series_digest, identity)
            session.add(
                Job(series_id=series.id, revision=series.revision, created_at=now, lease_until=None)
            )
            chain.append(
                session,
                context.secrets.audit_key,
                event="intake.series.completed",
                actor=ACTOR,
                subject=f"series:{series.series_digest}",
                payload={"study": series.study_digest, "revision": series.revision},
            )
        completed += 1
        logger.info(
            "intake.series.completed", series=series.series_digest, revision=series.revision
        )
    return completed


def _identity(context: Context, series_id: int) -> Identity | None:
    """Whom the series shows, as its files say. An instance that comes meanwhile reopens it."""
    with context.database.reading() as session:
        known = session.scalars(
            select(Instance.sha256).where(Instance.series_id == series_id).order_by(Instance.id)
        ).all()
    spool = Spool(context.settings.home)
    return identities.identity_of_files(context, [spool.path(sha256) for sha256 in known])
