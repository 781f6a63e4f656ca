"""Readers who reach for one case at the same moment, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from pydantic import SecretBytes

from mri_guard.errors import ConflictError
from services import clock
from services.db.models import ReaderFinding, Role, User
from services.db.session import Database
from services.review.records import DecideBody
from services.review.service import Desk
from services.secrets import Secrets
from tests.services.making import KEY, make_case

READERS = 6
SECRETS = Secrets(
    audit_key=KEY,
    identifier_key=SecretBytes(b"i" * 32),
    identity_keys=(SecretBytes(b"j" * 32),),
    fingerprint_key=SecretBytes(b"f" * 32),
)


@pytest.fixture
def users(database: Database) -> list[User]:
    with database.transaction() as session:
        users = [
            User(name=f"reader-{number}", role=Role.RADIOLOGIST, created_at=clock.now())
            for number in range(READERS)
        ]
        session.add_all(users)
    return users


@pytest.fixture
def case(database: Database) -> UUID:
    with database.transaction() as session:
        return make_case(session)


def history(database: Database, user: User, case: UUID) -> list[tuple[str, int]]:
    with database.reading() as session:
        events = Desk(session, user, SECRETS, 30).history(case)
    return [(event.action, event.user) for event in events]


def test_gives_a_case_to_one_of_those_who_claim_it_at_once(
    database: Database, users: list[User], case: UUID
) -> None:
    together = Barrier(READERS)

    def claim(user: User) -> bool:
        together.wait()
        try:
            with database.transaction() as session:
                Desk(session, user, SECRETS, 30).claim(case)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(READERS) as pool:
        won = list(pool.map(claim, users))
    assert won.count(True) == 1
    assert history(database, users[0], case) == [("claim", users[won.index(True)].id)]


@pytest.mark.parametrize("key", ["k-1", None])
def test_decides_once_when_one_reader_sends_a_decision_many_times_at_once(
    database: Database, users: list[User], case: UUID, key: str | None
) -> None:
    reader = users[0]
    with database.transaction() as session:
        version = Desk(session, reader, SECRETS, 30).claim(case).version
    body = DecideBody(finding=ReaderFinding.NORMAL, version=version)
    together = Barrier(READERS)

    def decide(_: int) -> bool:
        together.wait()
        try:
            with database.transaction() as session:
                Desk(session, reader, SECRETS, 30).decide(case, body, key)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(READERS) as pool:
        succeeded = list(pool.map(decide, range(READERS)))
    assert succeeded.count(True) == (READERS if key else 1)
    assert history(database, reader, case) == [("claim", reader.id), ("decide", reader.id)]


def test_takes_one_of_two_cases_that_are_decided_at_once_under_one_key(
    database: Database, users: list[User]
) -> None:
    reader = users[0]
    with database.transaction() as session:
        cases = [make_case(session) for _ in range(2)]
        for case in cases:
            Desk(session, reader, SECRETS, 30).claim(case)
    together = Barrier(2)

    def decide(case: UUID) -> bool:
        together.wait()
        body = DecideBody(finding=ReaderFinding.NORMAL, version=2)
        try:
            with database.transaction() as session:
                Desk(session, reader, SECRETS, 30).decide(case, body, "k-1")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(decide, cases)) == [False, True]
