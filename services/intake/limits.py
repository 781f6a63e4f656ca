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
from sqlalchemy import (
    BigInteger,
    Integer,
    bindparam,
    func,
    literal,
    outerjoin,
    select,
    text,
)
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

FAR_FOR = timedelta(seconds=1)
FAR_INSTANCES, FAR_GB = 2000, 4
"""More than all associations of a sender bring in that time."""

MOST_RECENT = 1000

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


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known before an instance is taken.

    Attributes:
        usage: of its sender.
        told_until: until then the audit log need not be told of the sender's limit.
        in_series: instances of its series.
        in_study: instances of its study.
    """

    usage: Usage
    told_until: datetime | None
    in_series: int
    in_study: int

    def far(self, settings: Settings) -> bool:
        """Whether what comes in a second, over all associations, is no limit's worth."""
        used = self.usage
        instances = (
            settings.sender_window_instances - used.window_instances,
            settings.sender_quota_instances - used.day_instances,
            settings.max_series_instances - self.in_series,
            settings.max_study_instances - self.in_study,
        )
        size_bytes = (
            settings.sender_window_gb * GIGABYTE - used.window_bytes,
            settings.sender_quota_gb * GIGABYTE - used.day_bytes,
        )
        return min(instances) >= FAR_INSTANCES and min(size_bytes) >= FAR_GB * GIGABYTE


class Recent:
    """Senders that were far from every limit a moment ago: they need not be looked up again.

    Of one process; a lookup for each instance would take a tenth of the time of a C-STORE.
    """

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], datetime] = {}

    def knows(self, sender: str, series: str, now: datetime) -> bool:
        """Whether they were far less than a second ago, with this series."""
        at = self._at.get((sender, series))
        return at is not None and timedelta() <= now - at < FAR_FOR

    def note(self, sender: str, series: str, now: datetime) -> None:
        """Remembers that they are far now."""
        if len(self._at) >= MOST_RECENT:
            self._at.clear()
        self._at[sender, series] = now


_always = select(literal(1).label("one")).subquery()
_SEEN = select(
    SenderUsage.__table__,
    select(func.coalesce(func.max(Series.instance_count), 0))
    .where(Series.series_digest == bindparam("series"))
    .scalar_subquery()
    .label("in_series"),
    select(func.coalesce(func.sum(Series.instance_count), 0))
    .where(Series.study_digest == bindparam("study"))
    .scalar_subquery()
    .label("in_study"),
).select_from(outerjoin(_always, SenderUsage, SenderUsage.sender == bindparam("who")))
"""One statement, built once, since every instance asks it."""


def look_up(
    session: Session, sender: str, now: datetime, window_seconds: int, *, series: str, study: str
) -> Seen:
    """What a sender has sent and how far a series and a study (digests) have grown."""
    values = {"who": sender[:MAX_SENDER_CHARACTERS], "series": series, "study": study}
    row = session.execute(_SEEN, values).one()
    window, day = number(now, window_seconds), number(now, DAY_SECONDS)
    in_window, in_day = row.window in (window, window + 1), row.day in (day, day + 1)
    used = Usage(
        window_instances=row.window_instances if in_window else 0,
        window_bytes=row.window_bytes if in_window else 0,
        day_instances=row.day_instances if in_day else 0,
        day_bytes=row.day_bytes if in_day else 0,
    )
    return Seen(used, row.told_until, row.in_series, row.in_study)


def admit(
    context: Context,
    sender: str,
    *,
    within_upload: bool = False,
    series: str = "",
    study: str = "",
    recent: Recent | None = None,
) -> None:
    """Returns when one more instance may be taken.

    Args:
        context: the deployment.
        sender: whose rate and quota are looked at.
        within_upload: whether that was done already, for an upload as a whole.
        series: digest of the series that the instance belongs to; empty when its bytes tell none.
        study: digest of its study, likewise.
        recent: of the calling process, if it asks often.

    Raises:
        SenderLimitError: `sender-rate` or `sender-quota`.
        LimitError: `series-full` or `study-full`.
    """
    now, settings = clock.now(), context.settings
    if recent is not None and recent.knows(sender, series, now):
        return
    with context.database.reading() as session:
        seconds = settings.sender_window_seconds
        seen = look_up(session, sender, now, seconds, series=series, study=study)
    error = None if within_upload else seen.usage.reached(now, settings)
    refusal = error or _full(seen, settings)
    if refusal is not None:
        tell(context, sender, refusal, told_until=seen.told_until)
        raise refusal
    if recent is not None and seen.far(settings):
        recent.note(sender, series, now)


def told_until(context: Context, sender: str) -> datetime | None:
    """Until when the audit log need not be told of a sender's limit."""
    with context.database.reading() as session:
        row = session.get(SenderUsage, sender[:MAX_SENDER_CHARACTERS])
        return row.told_until if row is not None else None


def tell(context: Context, sender: str, error: LimitError, *, told_until: datetime | None) -> None:
    """Writes to the audit log that a sender came to a limit, once while the limit lasts.

    Args:
        context: the deployment.
        sender: who came to it.
        error: which limit.
        told_until: as it was read a moment ago, so that a flood of refusals writes nothing.
    """
    now, seconds = clock.now(), context.settings.sender_window_seconds
    if told_until is not None and now < told_until:
        return
    logger.warning("intake.sender.limited", reason=error.reason, detail=error.detail)
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


_ADD = text("""
    INSERT INTO sender_usage AS mine (
        sender, "window", window_instances, window_bytes, day, day_instances, day_bytes, limited
    ) VALUES (:sender, :window, :instances, :bytes, :day, :instances, :bytes, 0)
    ON CONFLICT (sender) DO UPDATE SET
        "window" = CASE WHEN mine."window" = :window + 1 THEN mine."window" ELSE :window END,
        window_instances = :instances + CASE
            WHEN mine."window" IN (:window, :window + 1) THEN mine.window_instances ELSE 0 END,
        window_bytes = :bytes + CASE
            WHEN mine."window" IN (:window, :window + 1) THEN mine.window_bytes ELSE 0 END,
        day = CASE WHEN mine.day = :day + 1 THEN mine.day ELSE :day END,
        day_instances = :instances + CASE
            WHEN mine.day IN (:day, :day + 1) THEN mine.day_instances ELSE 0 END,
        day_bytes = :bytes + CASE
            WHEN mine.day IN (:day, :day + 1) THEN mine.day_bytes ELSE 0 END
""").bindparams(
    bindparam("window", type_=BigInteger),
    bindparam("day", type_=Integer),
    bindparam("instances", type_=Integer),
    bindparam("bytes", type_=BigInteger),
)
"""As text, since every instance runs it. A host whose clock lags counts into the newer window."""


def _upsert(
    session: Session, sender: str, now: datetime, seconds: int, *, instances: int, size_bytes: int
) -> None:
    values = {
        "sender": sender[:MAX_SENDER_CHARACTERS],
        "window": number(now, seconds),
        "day": number(now, DAY_SECONDS),
        "instances": instances,
        "bytes": size_bytes,
    }
    session.execute(_ADD, values)


def _full(seen: Seen, settings: Settings) -> LimitError | None:
    for reason, there, most in (
        ("series-full", seen.in_series, settings.max_series_instances),
        ("study-full", seen.in_study, settings.max_study_instances),
    ):
        if there >= most:
            return LimitError(reason, f"{there} instances; {most} allowed")
    return None
