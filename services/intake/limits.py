"""How much one sender may send: a rate, a daily quota, and how large its series may grow.

A sender is a calling AE title or an API user. What it has sent is counted in the transaction that
registers an instance, so that nothing is counted that was not kept and processes share one count.
Before an instance is taken we look whether the sender has come to a limit; what is refused is
refused then, and never lies in the spool. So a sender may pass a limit by what it had under way:
one instance for each of its associations, or one upload.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mri_guard.errors import LimitError
from services import clock
from services.audit import chain
from services.context import Context
from services.db.models import SenderUsage, Series
from services.settings import Settings

logger = structlog.get_logger(__name__)

ACTOR = "intake"
MAX_SENDER_CHARACTERS = 64
DAY_SECONDS = 86400
GIGABYTE = 2**30

Reason = Literal["sender-rate", "sender-quota", "sender-associations", "series-full", "study-full"]


class SenderLimitError(LimitError):
    """A sender has come to a limit that time lifts.

    Attributes:
        retry_after_seconds: when it does.
    """

    def __init__(self, reason: Reason, detail: str, retry_after_seconds: int) -> None:
        super().__init__(reason, detail)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """What a sender has sent in the window and on the day that a moment lies in.

    Attributes:
        window_instances: in the window.
        window_bytes: in the window.
        day_instances: on the day, UTC.
        day_bytes: on the day, UTC.
    """

    window_instances: int = 0
    window_bytes: int = 0
    day_instances: int = 0
    day_bytes: int = 0

    def reached(self, now: datetime, settings: Settings) -> SenderLimitError | None:
        """The limit that the sender has come to, the one that lasts longest first, or None."""
        quota_bytes = settings.sender_quota_gb * GIGABYTE
        if self.day_instances >= settings.sender_quota_instances or self.day_bytes >= quota_bytes:
            return SenderLimitError(
                "sender-quota",
                f"{self.day_instances} instances and {self.day_bytes / GIGABYTE:.1f} GB today; "
                f"{settings.sender_quota_instances} and {settings.sender_quota_gb} GB allowed",
                seconds_left(now, DAY_SECONDS),
            )
        seconds = settings.sender_window_seconds
        rate_bytes = settings.sender_window_gb * GIGABYTE
        if (
            self.window_instances >= settings.sender_window_instances
            or self.window_bytes >= rate_bytes
        ):
            return SenderLimitError(
                "sender-rate",
                f"{self.window_instances} instances and {self.window_bytes / GIGABYTE:.1f} GB in "
                f"{seconds} s; {settings.sender_window_instances} and "
                f"{settings.sender_window_gb} GB allowed",
                seconds_left(now, seconds),
            )
        return None


def number(now: datetime, seconds: int) -> int:
    """Of the window that a moment lies in; windows of so many seconds follow from the epoch on."""
    return int(now.timestamp() // seconds)


def seconds_left(now: datetime, seconds: int) -> int:
    """Until the window ends that a moment lies in, 1..seconds."""
    return seconds - int(now.timestamp() % seconds)


def usage(
    session: Session, sender: str, now: datetime, window_seconds: int
) -> tuple[Usage, datetime | None]:
    """What a sender has sent, and until when the audit log need not be told of a limit."""
    columns = (
        SenderUsage.window,
        SenderUsage.window_instances,
        SenderUsage.window_bytes,
        SenderUsage.day,
        SenderUsage.day_instances,
        SenderUsage.day_bytes,
        SenderUsage.told_until,
    )
    row = session.execute(
        select(*columns).where(SenderUsage.sender == sender[:MAX_SENDER_CHARACTERS])
    ).first()
    if row is None:
        return Usage(), None
    window, day = number(now, window_seconds), number(now, DAY_SECONDS)
    in_window, in_day = row.window in (window, window + 1), row.day in (day, day + 1)
    used = Usage(
        window_instances=row.window_instances if in_window else 0,
        window_bytes=row.window_bytes if in_window else 0,
        day_instances=row.day_instances if in_day else 0,
        day_bytes=row.day_bytes if in_day else 0,
    )
    return used, row.told_until


def admit(
    context: Context,
    sender: str,
    *,
    within_upload: bool = False,
    series: str | None = None,
    study: str | None = None,
) -> None:
    """Returns when one more instance may be taken.

    Args:
        context: the deployment.
        sender: whose rate and quota are looked at.
        within_upload: whether that was done already, for an upload as a whole.
        series: digest of the series that the instance belongs to, if its bytes tell.
        study: digest of its study, if they do.

    Raises:
        SenderLimitError: `sender-rate` or `sender-quota`.
        LimitError: `series-full` or `study-full`.
    """
    now, settings = clock.now(), context.settings
    with context.database.reading() as session:
        used, told_until = usage(session, sender, now, settings.sender_window_seconds)
        error: LimitError | None = None if within_upload else used.reached(now, settings)
        if error is None and series is not None and study is not None:
            error = _full(session, series, study, settings)
    if error is not None:
        if told_until is None or now >= told_until:
            tell(context, sender, error)
        raise error


def tell(context: Context, sender: str, error: LimitError) -> None:
    """Writes to the audit log that a sender came to a limit, once while the limit lasts."""
    logger.warning("intake.sender.limited", reason=error.reason, detail=error.detail)
    now, seconds = clock.now(), context.settings.sender_window_seconds
    left = (
        error.retry_after_seconds
        if isinstance(error, SenderLimitError)
        else seconds_left(now, seconds)
    )
    try:
        with context.database.transaction() as session:
            _upsert(session, sender, now, seconds, instances=0, size_bytes=0)
            row = session.get_one(SenderUsage, sender[:MAX_SENDER_CHARACTERS], with_for_update=True)
            if row.told_until is not None and now < row.told_until:
                return
            row.told_until = now + timedelta(seconds=left)
            row.limited += 1
            chain.append(
                session,
                context.secrets.audit_key,
                event="intake.sender.limited",
                actor=ACTOR,
                subject=f"sender:{row.sender}",
                payload={"reason": error.reason, "seconds": left},
            )
    except SQLAlchemyError as failure:  # the sender is refused all the same
        logger.error("intake.audit.failed", exc_info=failure)


def count(session: Session, sender: str, size_bytes: int, window_seconds: int) -> None:
    """Counts one instance of a sender, whose row stays locked until the transaction ends.

    Call it first in a transaction: whoever locks a sender and the audit chain locks it first.
    """
    _upsert(session, sender, clock.now(), window_seconds, instances=1, size_bytes=size_bytes)


def _upsert(
    session: Session, sender: str, now: datetime, seconds: int, *, instances: int, size_bytes: int
) -> None:
    table = SenderUsage
    insert = postgresql.insert if _is_postgres(session) else sqlite.insert
    window, day = number(now, seconds), number(now, DAY_SECONDS)
    new = insert(table).values(
        sender=sender[:MAX_SENDER_CHARACTERS],
        window=window,
        window_instances=instances,
        window_bytes=size_bytes,
        day=day,
        day_instances=instances,
        day_bytes=size_bytes,
        limited=0,
    )
    # A host whose clock lags by a little counts into the newer window.
    same_window = or_(table.window == window, table.window == window + 1)
    same_day = or_(table.day == day, table.day == day + 1)
    given = new.excluded
    session.execute(
        new.on_conflict_do_update(
            index_elements=[table.sender],
            set_={
                "window": case((same_window, table.window), else_=given.window),
                "window_instances": given.window_instances
                + case((same_window, table.window_instances), else_=0),
                "window_bytes": given.window_bytes
                + case((same_window, table.window_bytes), else_=0),
                "day": case((same_day, table.day), else_=given.day),
                "day_instances": given.day_instances
                + case((same_day, table.day_instances), else_=0),
                "day_bytes": given.day_bytes + case((same_day, table.day_bytes), else_=0),
            },
        )
    )


def _full(session: Session, series: str, study: str, settings: Settings) -> LimitError | None:
    in_series = session.scalar(select(Series.instance_count).where(Series.series_digest == series))
    if (in_series or 0) >= settings.max_series_instances:
        return LimitError(
            "series-full", f"{in_series} instances; {settings.max_series_instances} allowed"
        )
    in_study = session.scalar(
        select(func.sum(Series.instance_count)).where(Series.study_digest == study)
    )
    if (in_study or 0) >= settings.max_study_instances:
        return LimitError(
            "study-full", f"{in_study} instances; {settings.max_study_instances} allowed"
        )
    return None


def _is_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
