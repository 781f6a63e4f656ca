from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from services.context import Context
from services.db.models import Job, Series, SeriesState, WorkState
from services.intake.completion import complete_quiet_series
from services.intake.service import take
from services.intake.spool import Spool
from tests.services.conftest import TurnedClock
from tests.services.intake.conftest import events

QUIET = 10.0
"""Default of `Settings.quiet_seconds`."""


@pytest.fixture
def began(turned_clock: TurnedClock) -> datetime:
    return turned_clock.time - timedelta(days=1)


def receive(context: Context, content: bytes = b"a series of its own") -> None:
    take(context, Spool.under(context.settings), [content], sender="MODALITY")


def jobs(context: Context) -> list[tuple[int, int, WorkState]]:
    with context.database.reading() as session:
        found = session.scalars(select(Job).order_by(Job.id))
        return [(job.series_id, job.revision, job.state) for job in found]


def state(context: Context) -> SeriesState:
    with context.database.reading() as session:
        return session.scalars(select(Series)).one().state


def test_a_quiet_series_gets_one_job(
    context: Context, turned_clock: TurnedClock, began: datetime
) -> None:
    receive(context)
    turned_clock.turn(seconds=QUIET)
    assert complete_quiet_series(context, turned_clock.time, began) == 1
    assert state(context) is SeriesState.COMPLETE
    assert jobs(context) == [(1, 1, WorkState.SCHEDULED)]
    assert events(context) == ["intake.series.opened", "intake.series.completed"]
    assert complete_quiet_series(context, turned_clock.time, began) == 0
    assert len(jobs(context)) == 1


def test_a_series_that_still_comes_is_left_alone(
    context: Context, turned_clock: TurnedClock, began: datetime
) -> None:
    receive(context)
    turned_clock.turn(seconds=QUIET - 0.001)
    assert complete_quiet_series(context, turned_clock.time, began) == 0
    assert (state(context), jobs(context)) == (SeriesState.RECEIVING, [])


def test_after_a_restart_senders_have_time_to_come_back(
    context: Context, turned_clock: TurnedClock
) -> None:
    receive(context)
    turned_clock.turn(hours=1)
    restart = turned_clock.time
    turned_clock.turn(seconds=QUIET - 0.001)
    assert complete_quiet_series(context, turned_clock.time, restart) == 0
    turned_clock.turn(seconds=0.001)
    assert complete_quiet_series(context, turned_clock.time, restart) == 1


def test_each_series_falls_silent_by_itself(
    context: Context, turned_clock: TurnedClock, began: datetime
) -> None:
    receive(context, b"first")
    turned_clock.turn(seconds=6)
    receive(context, b"second")
    turned_clock.turn(seconds=6)
    assert complete_quiet_series(context, turned_clock.time, began) == 1
    assert [series for series, _, _ in jobs(context)] == [1]


def test_a_reopened_series_gets_a_job_for_its_next_revision(
    context: Context, turned_clock: TurnedClock, began: datetime, pair: tuple[bytes, bytes]
) -> None:
    for content in pair:
        receive(context, content)
        turned_clock.turn(seconds=QUIET)
        complete_quiet_series(context, turned_clock.time, began)
    assert [(series, revision) for series, revision, _ in jobs(context)] == [(1, 1), (1, 2)]


def test_a_crash_leaves_neither_job_nor_completion(
    context: Context, turned_clock: TurnedClock, began: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(context)
    turned_clock.turn(seconds=QUIET)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("services.audit.chain.append", crash)
        with pytest.raises(KeyboardInterrupt):
            complete_quiet_series(context, turned_clock.time, began)
    assert (state(context), jobs(context)) == (SeriesState.RECEIVING, [])
