from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from mri_guard.errors import ConflictError
from services import jobs
from services.db.models import Base, Job, WorkState
from services.db.session import Database
from tests.services.making import make_job

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
LEASE_S = 60.0


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def leased(database: Database, seconds: float = 0) -> jobs.Lease | None:
    with database.transaction() as session:
        return jobs.lease(session, later(seconds), LEASE_S)


def finished(database: Database, held: jobs.Lease) -> None:
    with database.transaction() as session:
        jobs.finish(session, held, WorkState.COMPLETED)


def queue(database: Database, count: int = 1) -> list[int]:
    """Ids of waiting jobs, oldest first."""
    with database.transaction() as session:
        made = [
            make_job(session, state=WorkState.SCHEDULED, age=timedelta(minutes=count - index))
            for index in range(count)
        ]
        return [job.id for job in made]


def test_leases_nothing_from_an_empty_queue(database: Database) -> None:
    assert leased(database) is None
    with database.reading() as session:
        assert not jobs.waits(session, START)


def test_leases_the_oldest_first_and_each_once(database: Database) -> None:
    ids = queue(database, 3)

    seen = [leased(database) for _ in range(4)]

    assert [held.job_id if held else None for held in seen] == [*ids, None]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_passes_over_a_job_that_another_worker_is_just_leasing(database: Database) -> None:
    first, second = queue(database, 2)
    with database.transaction() as one, database.transaction() as other:
        held = jobs.lease(one, START, LEASE_S)
        also = jobs.lease(other, START, LEASE_S)

    assert held is not None
    assert also is not None
    assert (held.job_id, also.job_id) == (first, second)


def test_takes_a_silent_workers_job_with_a_higher_fence(database: Database) -> None:
    queue(database)
    first = leased(database)
    assert first is not None
    assert leased(database, LEASE_S) is None

    second = leased(database, LEASE_S + 1)

    assert second is not None
    assert (first.fence, second.fence) == (1, 2)


def test_turns_away_a_worker_with_an_old_fence(database: Database) -> None:
    queue(database)
    first = leased(database)
    second = leased(database, LEASE_S + 1)
    assert first is not None
    assert second is not None

    with pytest.raises(ConflictError, match="fence 2; wanted IN PROGRESS with fence 1"):
        finished(database, first)
    finished(database, second)


def test_finishes_a_job_once(database: Database) -> None:
    queue(database)
    held = leased(database)
    assert held is not None
    finished(database, held)

    with pytest.raises(ConflictError):
        finished(database, held)
    assert leased(database, 10 * LEASE_S) is None


def test_renews_a_lease_from_now_on(database: Database) -> None:
    queue(database)
    held = leased(database)
    assert held is not None
    with database.transaction() as session:
        jobs.renew(session, held, later(50), LEASE_S)

    assert leased(database, 50 + LEASE_S) is None
    assert leased(database, 50 + LEASE_S + 1) is not None


def test_does_not_renew_what_another_worker_holds(database: Database) -> None:
    queue(database)
    held = leased(database)
    assert held is not None
    leased(database, LEASE_S + 1)

    with pytest.raises(ConflictError), database.transaction() as session:
        jobs.renew(session, held, later(LEASE_S + 2), LEASE_S)


def test_does_not_hold_a_job_that_is_gone(database: Database) -> None:
    with pytest.raises(ConflictError, match="gone"), database.transaction() as session:
        jobs.hold(session, jobs.Lease(99, 1, 1, 1))


WORKERS = 2
Worker = st.integers(0, WORKERS - 1)


class Queue(RuleBasedStateMachine):
    """Several workers that lease, renew, finish and crash while time passes."""

    @initialize(count=st.integers(1, 2))
    def start(self, count: int) -> None:
        self.folder = TemporaryDirectory()
        self.database = Database(f"sqlite:///{self.folder.name}/test.sqlite3")
        Base.metadata.create_all(self.database.engine)
        self.seconds = 0.0
        self.waiting = set(queue(self.database, count))
        self.minds: list[jobs.Lease | None] = [None] * WORKERS
        self.until: dict[int, tuple[int, float]] = {}
        self.finishes: dict[int, int] = {}

    @rule(worker=Worker)
    def lease(self, worker: int) -> None:
        held = leased(self.database, self.seconds)
        silent = {job for job, (_, until) in self.until.items() if until < self.seconds}
        if held is None:
            assert not self.waiting
            assert not silent
            return
        assert held.job_id in self.waiting | silent
        assert held.fence == self.until.get(held.job_id, (0, 0.0))[0] + 1
        self.waiting.discard(held.job_id)
        self.until[held.job_id] = (held.fence, self.seconds + LEASE_S)
        self.minds[worker] = held

    @rule(worker=Worker)
    def finish(self, worker: int) -> None:
        held = self.minds[worker]
        if held is None:
            return
        current = self.until.get(held.job_id, (0, 0.0))[0] == held.fence
        try:
            finished(self.database, held)
        except ConflictError:
            assert not current
            return
        assert current
        self.finishes[held.job_id] = self.finishes.get(held.job_id, 0) + 1
        del self.until[held.job_id]

    @rule(worker=Worker)
    def renew(self, worker: int) -> None:
        held = self.minds[worker]
        if held is None:
            return
        current = self.until.get(held.job_id, (0, 0.0))[0] == held.fence
        try:
            with self.database.transaction() as session:
                jobs.renew(session, held, later(self.seconds), LEASE_S)
        except ConflictError:
            assert not current
            return
        assert current
        self.until[held.job_id] = (held.fence, self.seconds + LEASE_S)

    @rule(worker=Worker)
    def crash(self, worker: int) -> None:
        self.minds[worker] = None

    @rule(slow=Worker, quick=Worker)
    def overtake(self, slow: int, quick: int) -> None:
        self.lease(slow)
        self.wait(LEASE_S + 1)
        self.lease(quick)

    @rule(seconds=st.sampled_from([1.0, LEASE_S / 2, LEASE_S + 1]))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @invariant()
    def at_most_one_worker_may_write_and_each_job_is_finished_once(self) -> None:
        if not hasattr(self, "database"):
            return
        assert all(count == 1 for count in self.finishes.values())
        with self.database.reading() as session:
            rows = session.scalars(select(Job)).all()
        for job in rows:
            able = [
                mind
                for mind in self.minds
                if mind is not None
                and (mind.job_id, mind.fence) == (job.id, job.fence)
                and job.state is WorkState.IN_PROGRESS
            ]
            assert len(able) <= 1
            assert (job.state is WorkState.COMPLETED) == (job.id in self.finishes)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.dispose()
            self.folder.cleanup()


Queue.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestQueue = Queue.TestCase
