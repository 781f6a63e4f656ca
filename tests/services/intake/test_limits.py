"""Rates, quotas and sizes: what is counted, what is refused, and that nothing is lost."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from mri_guard.errors import LimitError
from services import clock
from services.context import Context
from services.db.models import AuditEntry, Instance, SenderUsage, Series
from services.db.session import Database
from services.intake import limits, service
from services.intake.limits import GIGABYTE, SenderLimitError, Usage
from services.intake.spool import Spool
from services.settings import Settings
from tests.dicom_files import mr_slices
from tests.services.conftest import TurnedClock
from tests.services.intake.conftest import Modality, Opened, encoded
from tests.services.intake.test_endpoints import multipart, stow, zipped
from tests.services.making import Api

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
Listening = Callable[[Context], Modality]


def used(database: Database, sender: str, now: datetime, seconds: int = 60) -> Usage:
    with database.reading() as session:
        return limits.look_up(session, sender, now, seconds, series="", study="").usage


def limited(context: Context) -> list[AuditEntry]:
    with context.database.reading() as session:
        found = select(AuditEntry).where(AuditEntry.event == "intake.sender.limited")
        return list(session.scalars(found.order_by(AuditEntry.sequence)))


def with_limits(context: Context, **changes: Any) -> Context:
    return replace(context, settings=context.settings.model_copy(update=changes))


def take(context: Context, content: bytes, sender: str = "MODALITY") -> service.Registered:
    return service.take(context, Spool.under(context.settings), [content], sender=sender)


@pytest.mark.parametrize(
    ("second", "wanted"), [(0, 60), (1, 59), (59, 1), (59.999, 1), (60, 60), (61.5, 59)]
)
def test_knows_how_long_a_window_lasts(second: float, wanted: int) -> None:
    assert limits.seconds_left(START + timedelta(seconds=second), 60) == wanted


@given(
    moment=st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),
    seconds=st.integers(1, 86400),
)
def test_windows_follow_one_another_without_a_gap(moment: datetime, seconds: int) -> None:
    left = limits.seconds_left(moment, seconds)
    assert 1 <= left <= seconds
    after = moment.replace(microsecond=0) + timedelta(seconds=left)
    assert limits.number(after, seconds) == limits.number(moment, seconds) + 1


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (Usage(), None),
        (Usage(9, 2 * GIGABYTE - 1, 99, 20 * GIGABYTE - 1), None),
        (Usage(window_instances=10), "sender-rate"),
        (Usage(window_bytes=2 * GIGABYTE), "sender-rate"),
        (Usage(day_instances=100), "sender-quota"),
        (Usage(day_bytes=20 * GIGABYTE), "sender-quota"),
        (Usage(window_instances=10, day_instances=100), "sender-quota"),
    ],
)
def test_a_limit_is_reached_when_so_much_was_sent(usage: Usage, reason: str | None) -> None:
    few = Settings(
        sender_window_instances=10,
        sender_window_gb=2,
        sender_quota_instances=100,
        sender_quota_gb=20,
    )
    error = usage.reached(START + timedelta(seconds=20), few)
    assert (error.reason if error else None) == reason
    if error:
        assert error.retry_after_seconds == (40 if reason == "sender-rate" else 16 * 3600 - 20)


def test_lets_a_real_modality_and_a_migration_pass() -> None:
    given = Settings()
    series = Usage(400, 400 * 2**20, 400, 400 * 2**20)
    enhanced = Usage(20, 20 * 500 * 2**20, 2000, 2000 * 500 * 2**20)
    busy = Usage(60 * 150, 60 * 150 * 2**19, 86_399 * 150, 86_399 * 110 * 10**6)
    for usage in (series, enhanced, busy):
        assert usage.reached(START, given) is None


class Counting(RuleBasedStateMachine):
    """Two senders, as time goes by, against sums in plain Python."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{self.folder.name}/test.sqlite3")
        self.database.migrate()
        self.real = clock.now
        self.time = START + timedelta(hours=15, minutes=59, seconds=30)
        clock.now = lambda: self.time
        self.sent: list[tuple[str, datetime, int]] = []

    def teardown(self) -> None:
        if hasattr(self, "database"):
            clock.now = self.real
            self.database.dispose()
            self.folder.cleanup()

    @rule(sender=st.sampled_from(["A", "B"]), size=st.integers(0, 2**40))
    def send(self, sender: str, size: int) -> None:
        with self.database.transaction() as session:
            limits.count(session, sender, size, 60)
        self.sent.append((sender, self.time, size))

    @rule(seconds=st.sampled_from([1, 7, 60, 119, 3600, 86400]))
    def wait(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)

    @rule()
    def fail(self) -> None:
        with pytest.raises(RuntimeError), self.database.transaction() as session:  # noqa: PT012
            limits.count(session, "A", 1, 60)
            raise RuntimeError("what was to be counted was not kept")

    @invariant()
    def counts_what_was_sent_in_the_window_and_on_the_day(self) -> None:
        if not hasattr(self, "database"):
            return
        minute = self.time.replace(second=0, microsecond=0)
        for sender in ("A", "B"):
            mine = [(at, size) for who, at, size in self.sent if who == sender]
            window = [size for at, size in mine if at >= minute]
            day = [size for at, size in mine if at.date() == self.time.date()]
            wanted = Usage(len(window), sum(window), len(day), sum(day))
            assert used(self.database, sender, self.time) == wanted


TestCounting = Counting.TestCase
TestCounting.settings = hypothesis_settings(max_examples=8, stateful_step_count=20, deadline=None)


def test_a_host_whose_clock_lags_counts_into_the_newer_window(
    database: Database, turned_clock: TurnedClock
) -> None:
    for lag in (0, 5, 0, 5):
        turned_clock.time = START + timedelta(minutes=1, seconds=2 - lag)
        with database.transaction() as session:
            limits.count(session, "A", 10, 60)
    assert used(database, "A", START + timedelta(minutes=1)) == Usage(4, 40, 4, 40)


def test_a_clock_that_was_far_ahead_locks_nobody_out(
    database: Database, turned_clock: TurnedClock
) -> None:
    turned_clock.time = START + timedelta(days=400)
    with database.transaction() as session:
        limits.count(session, "A", 10, 60)
    turned_clock.time = START
    assert used(database, "A", START) == Usage()
    with database.transaction() as session:
        limits.count(session, "A", 7, 60)
    assert used(database, "A", START) == Usage(1, 7, 1, 7)


def test_threads_that_count_at_once_lose_nothing(
    database: Database, turned_clock: TurnedClock
) -> None:
    def send() -> None:
        for _ in range(25):
            with database.transaction() as session:
                limits.count(session, "A", 3, 60)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used(database, "A", START) == Usage(100, 300, 100, 300)


def test_processes_that_count_at_once_lose_nothing(context: Context) -> None:
    program = (
        "import sys; from services.db.session import Database; from services.intake import limits\n"
        "database = Database(sys.argv[1])\n"
        "for _ in range(15):\n"
        "    with database.transaction() as session: limits.count(session, 'A', 3, 86400)\n"
    )
    command = [sys.executable, "-c", program, context.settings.database]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    with context.database.reading() as session:
        row = session.get_one(SenderUsage, "A")
    assert (row.window_instances, row.window_bytes) == (30, 90)


def test_counts_what_is_taken_and_what_comes_again(
    context: Context, turned_clock: TurnedClock
) -> None:
    content = encoded(mr_slices()[0])
    take(context, content)
    assert take(context, content).duplicate
    wanted = Usage(2, 2 * len(content), 2, 2 * len(content))
    assert used(context.database, "MODALITY", START) == wanted
    with context.database.reading() as session:
        assert session.scalars(select(Series.instance_count)).one() == 1


def test_refuses_before_it_keeps_and_lets_in_when_the_window_ends(
    context: Context, turned_clock: TurnedClock
) -> None:
    few = with_limits(context, sender_window_instances=2)
    first, second, third = (encoded(item) for item in mr_slices()[:3])
    take(few, first)
    take(few, second)
    with pytest.raises(SenderLimitError, match="sender-rate"):
        take(few, third)
    assert len(list(Spool.under(few.settings).all())) == 2
    assert take(few, third, sender="ANOTHER").revision == 1
    turned_clock.turn(seconds=60)
    assert take(few, third).duplicate


def test_tells_the_audit_log_once_a_window(context: Context, turned_clock: TurnedClock) -> None:
    few = with_limits(context, sender_window_instances=1)
    content = encoded(mr_slices()[0])
    for _ in range(2):
        take(few, content)
        for _ in range(20):
            with pytest.raises(SenderLimitError):
                take(few, content)
        turned_clock.turn(seconds=60)
    entries = limited(context)
    assert [entry.payload["reason"] for entry in entries] == ["sender-rate"] * 2
    assert {entry.subject for entry in entries} == {"sender:MODALITY"}
    with context.database.reading() as session:
        assert session.get_one(SenderUsage, "MODALITY").limited == 2


def test_a_limit_outlives_a_restart(context: Context, turned_clock: TurnedClock) -> None:
    few = with_limits(context, sender_quota_instances=1)
    take(few, encoded(mr_slices()[0]))
    again = Context.open(few.settings)
    try:
        with pytest.raises(SenderLimitError, match="sender-quota") as refused:
            take(again, encoded(mr_slices()[1]))
    finally:
        again.close()
    assert refused.value.retry_after_seconds == 16 * 3600


def test_a_series_and_a_study_grow_no_further(context: Context, turned_clock: TurnedClock) -> None:
    few = with_limits(context, max_series_instances=2, max_study_instances=3)
    for item in mr_slices()[:2]:
        take(few, encoded(item))
    for number, item in enumerate((mr_slices()[2], mr_slices(name="other")[0])):
        if number == 0:
            with pytest.raises(LimitError, match="series-full"):
                take(few, encoded(item))
        else:
            take(few, encoded(item))
    with pytest.raises(LimitError, match="study-full"):
        take(few, encoded(mr_slices(name="third")[0]))
    assert [entry.payload["reason"] for entry in limited(context)] == ["series-full"]
    with context.database.reading() as session:
        assert len(session.scalars(select(Instance.id)).all()) == 3


def test_says_out_of_resources_to_a_modality_and_takes_it_later(
    opened: Opened, listening: Listening, turned_clock: TurnedClock
) -> None:
    context = opened(sender_window_instances=2)
    modality = listening(context)
    first, second, third = mr_slices()[:3]
    assert modality.send(first, second, third) == [0, 0, 0xA700]
    assert modality.send(third, ae_title="OTHER") == [0]
    turned_clock.turn(seconds=60)
    assert modality.send(third) == [0]


def test_rejects_one_association_too_many_of_a_sender(opened: Opened, listening: Listening) -> None:
    context = opened(sender_associations=2)
    modality = listening(context)
    held = [modality.associate(), modality.associate()]
    third = modality.associate()
    assert [item.is_established for item in held] == [True, True]
    assert third.is_rejected
    assert third.acceptor.primitive.result_source == 3
    other = modality.associate(ae_title="OTHER")
    assert other.is_established
    for item in (*held, other):
        item.release()
    assert modality.send(mr_slices()[0]) == [0]
    assert [entry.payload["reason"] for entry in limited(context)] == ["sender-associations"]


@pytest.mark.parametrize("way", ["stow", "zip"])
def test_answers_429_and_says_when_to_come_back(
    api: Api, way: str, turned_clock: TurnedClock
) -> None:
    api.client.app.state.context = with_limits(  # type: ignore[attr-defined]  # starlette's application
        api.context, sender_window_instances=2
    )
    slices = [encoded(item) for item in mr_slices()[:3]]

    def send() -> Any:
        if way == "stow":
            return stow(api, multipart(*slices))
        body = zipped(**{f"{at}.dcm": content for at, content in enumerate(slices)})
        headers = {"Content-Type": "application/zip"}
        return api.post("/studies", "gateway-1", content=body, headers=headers)

    turned_clock.turn(seconds=18)
    assert send().is_success  # an upload is let in as a whole
    refused = send()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "42")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["reason"] == "sender-rate"
    turned_clock.turn(seconds=42)
    assert send().is_success


def test_asks_again_after_a_second_and_for_another_series() -> None:
    recent = limits.Recent()
    assert not recent.knows("A", "1", START)
    recent.note("A", "1", START)
    assert recent.knows("A", "1", START + timedelta(seconds=0.9))
    for sender, series, seconds in (
        ("A", "1", 1.0),
        ("A", "2", 0.0),
        ("B", "1", 0.0),
        ("A", "1", -1.0),
    ):
        assert not recent.knows(sender, series, START + timedelta(seconds=seconds))


@pytest.mark.parametrize("left", [1999, 2000])
@pytest.mark.parametrize("near", ["window", "day", "series", "study"])
def test_is_far_with_two_thousand_left_of_everything(near: str, left: int) -> None:
    given = Settings()
    seen = limits.Seen(
        Usage(
            window_instances=given.sender_window_instances - left if near == "window" else 0,
            day_instances=given.sender_quota_instances - left if near == "day" else 0,
        ),
        None,
        given.max_series_instances - left if near == "series" else 0,
        given.max_study_instances - left if near == "study" else 0,
    )
    assert seen.far(given) == (left == 2000)


@pytest.mark.parametrize("more", [0, 1])
def test_is_far_with_four_gigabytes_left(more: int) -> None:
    given = Settings()
    sent = (given.sender_window_gb - 4) * GIGABYTE + more
    seen = limits.Seen(Usage(window_bytes=sent), None, 0, 0)
    assert seen.far(given) == (more == 0)


def test_a_sender_far_from_its_limits_is_counted_all_the_same(
    opened: Opened, listening: Listening, turned_clock: TurnedClock
) -> None:
    context = opened()
    assert set(listening(context).send(*mr_slices()[:4])) == {0}
    assert used(context.database, "MODALITY", START).window_instances == 4
