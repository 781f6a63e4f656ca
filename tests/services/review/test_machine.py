"""Random readers at one queue, against a model of what the queue promises."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretBytes

from mri_guard.errors import ConflictError
from services import clock
from services.audit import chain
from services.db.models import AuditEntry, Confidence, ReaderFinding, Role, User, WorkState
from services.db.session import Database
from services.review.records import CaseQuery, ClaimView, DecideBody, ImpressionBody, Sort
from services.review.service import Desk
from services.secrets import Secrets
from tests.services.conftest import TurnedClock
from tests.services.making import KEY, make_case

CLAIM_MINUTES = 30.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
READERS = 3
CASES = 2
"""One blinded, one not."""
SECRETS = Secrets(
    audit_key=KEY,
    identifier_key=SecretBytes(b"i" * 32),
    identity_keys=(SecretBytes(b"j" * 32),),
    fingerprint_key=SecretBytes(b"f" * 32),
)


@dataclass
class Expected:
    """What the queue should say of one case."""

    id: UUID
    blinded: bool
    holder: int | None = None
    until: datetime = LONG_AGO
    version: int = 1
    decided: bool = False
    looked: set[int] = field(default_factory=set)
    acts: list[tuple[str, int]] = field(default_factory=list)
    audited: int = 0


class Queue(RuleBasedStateMachine):
    """Readers claim, look, release, decide and dawdle; the test sets `database` and `time`."""

    database: Database
    time: TurnedClock

    def __init__(self) -> None:
        super().__init__()
        with self.database.transaction() as session:
            now = clock.now()
            self.readers = [
                User(name=f"r{now.timestamp()}-{n}", role=Role.RADIOLOGIST, created_at=now)
                for n in range(READERS)
            ]
            session.add_all(self.readers)
            session.flush()
            self.cases = [
                Expected(make_case(session, blinded=blinded), blinded) for blinded in (True, False)
            ]
        self.sent: list[tuple[int, int, DecideBody, str]] = []
        self.time.turn(hours=2)  # claims of the example before have run out

    def live(self, case: Expected) -> int | None:
        return case.holder if case.until > clock.now() else None

    def owes(self, case: Expected, user: int) -> bool:
        return case.blinded and not case.decided and user not in case.looked

    def attempt(self, reader: int, act: str, case: Expected, **arguments: object) -> object | None:
        """What the desk answered; None when it said that it conflicts."""
        try:
            with self.database.transaction() as session:
                desk = Desk(session, self.readers[reader], SECRETS, CLAIM_MINUTES)
                answer: object = getattr(desk, act)(case.id, **arguments)
                return answer
        except ConflictError:
            return None

    readers_of = st.integers(0, READERS - 1)
    cases_of = st.integers(0, CASES - 1)

    @rule(reader=readers_of, number=cases_of)
    def claim(self, reader: int, number: int) -> None:
        case, user = self.cases[number], self.readers[reader].id
        answer = self.attempt(reader, "claim", case)
        allowed = not case.decided and self.live(case) in (None, user)
        assert (answer is not None) == allowed
        if allowed:
            assert isinstance(answer, ClaimView)
            if self.live(case) is None:
                case.version += 1
                case.acts.append(("claim", user))
            case.audited += 1
            case.holder = user
            case.until = clock.now() + timedelta(minutes=CLAIM_MINUTES)
            assert (answer.version, answer.claimed_until) == (case.version, case.until)

    @rule(reader=readers_of, number=cases_of)
    def release(self, reader: int, number: int) -> None:
        case, user = self.cases[number], self.readers[reader].id
        answer = self.attempt(reader, "release", case)
        allowed = self.live(case) == user
        assert (answer is not None) == allowed
        if allowed:
            case.version += 1
            case.audited += 1
            case.holder = None
            case.acts.append(("release", user))

    @rule(
        reader=readers_of,
        number=cases_of,
        finding=st.sampled_from(ReaderFinding),
        confidence=st.sampled_from(Confidence),
    )
    def impress(
        self, reader: int, number: int, finding: ReaderFinding, confidence: Confidence
    ) -> None:
        case, user = self.cases[number], self.readers[reader].id
        body = ImpressionBody(finding=finding, confidence=confidence)
        answer = self.attempt(reader, "impress", case, body=body)
        allowed = self.live(case) == user and self.owes(case, user)
        assert (answer is not None) == allowed
        if allowed:
            case.version += 1
            case.audited += 2
            case.looked.add(user)
            case.acts.append(("impression", user))

    @rule(
        reader=readers_of,
        number=cases_of,
        behind=st.sampled_from([0, 0, 0, 1, -1]),
        finding=st.sampled_from(ReaderFinding),
        named=st.booleans(),
    )
    def decide(
        self, reader: int, number: int, behind: int, finding: ReaderFinding, named: bool
    ) -> None:
        case, user = self.cases[number], self.readers[reader].id
        body = DecideBody(finding=finding, version=max(1, case.version - behind))
        key = f"key-{len(self.sent)}" if named else None
        answer = self.attempt(reader, "decide", case, body=body, idempotency_key=key)
        allowed = self.live(case) == user and body.version == case.version
        allowed = allowed and not self.owes(case, user)
        assert (answer is not None) == allowed
        if allowed:
            case.version += 1
            case.audited += 1
            case.holder = None
            case.decided = True
            case.acts.append(("decide", user))
            if key is not None:
                self.sent.append((reader, number, body, key))

    @rule(data=st.data(), other=st.booleans())
    def send_again(self, data: st.DataObject, other: bool) -> None:
        if self.sent:
            reader, number, body, key = data.draw(st.sampled_from(self.sent))
            if other:
                body = body.model_copy(update={"note": "another"})
            answer = self.attempt(
                reader, "decide", self.cases[number], body=body, idempotency_key=key
            )
            assert (answer is None) == other

    @rule(minutes=st.sampled_from([1, 29, 30, 31]))
    def dawdle(self, minutes: int) -> None:
        self.time.turn(minutes=minutes)

    @invariant()
    def the_list_says_who_holds_what(self) -> None:
        with self.database.reading() as session:
            shown = {}
            for user in self.readers:
                desk = Desk(session, user, SECRETS, CLAIM_MINUTES)
                for listed in desk.worklist(CaseQuery(mine=True)).cases:
                    assert listed.id not in shown, "two readers hold one case"
                    shown[listed.id] = user.id
        for case in self.cases:
            assert shown.get(case.id) == self.live(case)

    @invariant()
    def nobody_hears_the_model_before_they_have_looked(self) -> None:
        with self.database.reading() as session:
            for user in self.readers:
                query = CaseQuery(limit=200, sort=Sort.NEWEST)
                listed = Desk(session, user, SECRETS, CLAIM_MINUTES).worklist(query).cases
                told = {one.id: one.score for one in listed}
                for case in self.cases:
                    assert (told[case.id] is None) == self.owes(case, user.id)

    @invariant()
    def the_history_is_what_happened(self) -> None:
        with self.database.reading() as session:
            desk = Desk(session, self.readers[0], SECRETS, CLAIM_MINUTES)
            for case in self.cases:
                events = desk.history(case.id)
                assert [(event.action, event.user) for event in events] == case.acts
                assert [event.version for event in events] == list(range(2, case.version + 1))
                assert [event.action for event in events].count("decide") == int(case.decided)

    def teardown(self) -> None:
        with self.database.reading() as session:
            assert chain.verify(session, KEY).intact
            for case in self.cases:
                audited = session.query(AuditEntry).filter_by(subject=f"case:{case.id}").count()
                assert audited == case.audited
                page = Desk(session, self.readers[0], SECRETS, CLAIM_MINUTES).worklist(
                    CaseQuery(limit=200, sort=Sort.NEWEST)
                )
                shown = next(item for item in page.cases if item.id == case.id)
                wanted = WorkState.IN_PROGRESS if self.live(case) else WorkState.SCHEDULED
                assert shown.state is (WorkState.COMPLETED if case.decided else wanted)


def test_keeps_its_promises_to_any_readers(
    database: Database, turned_clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "database", database, raising=False)
    monkeypatch.setattr(Queue, "time", turned_clock, raising=False)
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
