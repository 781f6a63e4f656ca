"""Reads as the queue's history tells them, on both databases; the endpoint and the command."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretBytes
from typer.testing import CliRunner, Result

from mri_guard.cli import app
from mri_guard.errors import NotFoundError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.metrics.reliance import Read
from mri_guard.records import Outcome
from services import cli, clock
from services.context import Context
from services.db.models import Case, Confidence, ReaderFinding, Role, User, WorkState
from services.db.session import Database
from services.review.records import DecideBody, ImpressionBody
from services.review.reliance import newest_bundle, reads
from services.review.service import Desk
from services.secrets import Secrets
from tests.services.conftest import TurnedClock
from tests.services.making import KEY, Api, make_case

SECRETS = Secrets(
    audit_key=KEY,
    identifier_key=SecretBytes(b"i" * 32),
    identity_keys=(SecretBytes(b"j" * 32),),
    fingerprint_key=SecretBytes(b"f" * 32),
)
BUNDLE = "b" * 64
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NORMAL, ABNORMAL = ReaderFinding.NORMAL, ReaderFinding.ABNORMAL
NON_DIAGNOSTIC = ReaderFinding.NON_DIAGNOSTIC


class Room:
    """A reading room with two readers."""

    def __init__(self, database: Database, time: TurnedClock) -> None:
        self.database, self.time, self.studies = database, time, 0
        with database.transaction() as session:
            self.readers = [
                User(name=f"reader-{n}", role=Role.RADIOLOGIST, created_at=clock.now())
                for n in range(2)
            ]
            session.add_all(self.readers)

    def case(self, **fields: Any) -> UUID:
        """A new case, of a study of its own if none is named."""
        self.studies += 1
        with self.database.transaction() as session:
            return make_case(session, **({"study": f"{self.studies:064x}"} | fields))

    def act(self, act: str, case: UUID, *arguments: Any, reader: int = 0) -> Any:
        with self.database.transaction() as session:
            desk = Desk(session, self.readers[reader], SECRETS, 30)
            return getattr(desk, act)(case, *arguments)

    def impress(self, case: UUID, finding: ReaderFinding, reader: int = 0, **fields: Any) -> None:
        self.act("claim", case, reader=reader)
        self.time.turn(seconds=20)
        body = ImpressionBody(finding=finding, **({"confidence": Confidence.HIGH} | fields))
        self.act("impress", case, body, reader=reader)

    def decide(self, case: UUID, finding: ReaderFinding, reader: int = 0) -> None:
        version = self.act("claim", case, reader=reader).version
        self.time.turn(seconds=40)
        body = DecideBody(finding=finding, version=version)
        self.act("decide", case, body, reader=reader)
        self.time.turn(seconds=1)

    def reads(
        self, since: datetime = LONG_AGO, bundle: str = BUNDLE, truth: dict[str, bool] | None = None
    ) -> list[Read]:
        with self.database.reading() as session:
            return reads(session, bundle, since, clock.now(), truth)


@pytest.fixture
def room(database: Database, turned_clock: TurnedClock) -> Room:
    return Room(database, turned_clock)


def test_tells_what_a_reader_made_of_the_models_advice(room: Room) -> None:
    shown, blind = room.case(), room.case(blinded=True)
    room.decide(shown, NORMAL)
    room.impress(blind, NORMAL, reader=1)
    room.decide(blind, ABNORMAL, reader=1)
    first, second = (f"user:{reader.id}" for reader in room.readers)
    assert room.reads(truth={str(blind): False}) == [
        Read(reader=first, blinded=False, advice=True, final=False, seconds=40),
        Read(
            reader=second,
            blinded=True,
            advice=True,
            first=False,
            sure=True,
            final=True,
            seconds=60,
            truth=False,
        ),
    ]


def test_counts_neither_quarantine_nor_what_has_no_diagnostic_value(room: Room) -> None:
    room.decide(room.case(outcome=Outcome.QUARANTINE), ABNORMAL)
    room.decide(room.case(), NON_DIAGNOSTIC)
    assert room.reads() == []


def test_a_first_impression_without_diagnostic_value_is_none(room: Room) -> None:
    case = room.case(blinded=True)
    room.impress(case, NON_DIAGNOSTIC, confidence=Confidence.LOW)
    room.decide(case, ABNORMAL)
    (read,) = room.reads()
    assert (read.blinded, read.first, read.sure) == (True, None, False)


def test_takes_the_impression_and_the_time_of_whoever_decided(room: Room) -> None:
    case = room.case(blinded=True)
    room.impress(case, ABNORMAL, reader=0)
    room.act("release", case, reader=0)
    room.time.turn(hours=1)
    room.impress(case, NORMAL, reader=1)
    room.decide(case, NORMAL, reader=1)
    (read,) = room.reads()
    assert (read.first, read.seconds) == (False, 60)


def test_counts_of_a_study_the_case_that_was_judged_first(room: Room) -> None:
    one, other = (room.case(study="7" * 64, blinded=True) for _ in range(2))
    room.impress(one, ABNORMAL)
    room.impress(other, NORMAL)
    room.decide(other, NORMAL)
    assert room.reads() == []  # whoever decided it had heard the model on the other series
    room.decide(one, ABNORMAL)
    assert [read.final for read in room.reads()] == [True]


def test_counts_decisions_of_the_time_and_bundle_asked_for(room: Room) -> None:
    early, late = room.case(study="7" * 64), room.case(study="7" * 64)
    room.decide(early, NORMAL)
    between = room.time.time
    room.decide(late, NORMAL)
    room.decide(room.case(), ABNORMAL)
    assert [read.final for read in room.reads()] == [False, True]
    assert [read.final for read in room.reads(since=between)] == [True]
    assert room.reads(bundle="c" * 64) == []


def test_asks_for_the_bundle_of_the_newest_case(room: Room) -> None:
    with room.database.reading() as session, pytest.raises(NotFoundError):
        newest_bundle(session)
    room.case()
    room.time.turn(seconds=1)
    newest = room.case()
    with room.database.transaction() as session:
        case = session.get_one(Case, str(newest))
        case.examination = case.examination | {"bundle_digest": "c" * 64}
    with room.database.reading() as session:
        assert newest_bundle(session) == "c" * 64


# Over HTTP and on the command line


def work_through(api: Api, time: TurnedClock, n: int = 24) -> list[UUID]:
    """One reader decides so many blinded cases: found normal at first, then as the model says."""
    cases = []
    for number in range(n):
        case = api.case(blinded=True, study=f"{number:064x}")
        api.post(f"/cases/{case}/claim")
        body = {"finding": "normal", "confidence": "high"}
        assert api.post(f"/cases/{case}/impression", json=body).status_code == 200
        body = {"finding": "abnormal", "version": 3}  # type: ignore[dict-item]  # JSON
        assert api.post(f"/cases/{case}/decide", json=body).status_code == 200
        cases.append(case)
    time.turn(seconds=1)
    return cases


def test_tells_an_auditor(api: Api, turned_clock: TurnedClock) -> None:
    work_through(api, turned_clock)
    told = api.get("/reliance", "auditor-1").json()
    assert told["bundle_digest"] == BUNDLE
    switched = told["figures"]["switch_towards_rate"]
    assert (switched["value"], switched["n"]) == (1, 24)
    assert switched["low"] == pytest.approx(0.025 ** (1 / 24))
    unblinded = told["figures"]["agreement_rate_unblinded"]
    assert unblinded["value"] is None
    assert unblinded["verdict"] == "cannot tell (n = 0, would need 20)"
    assert list(told["readers"]) == [f"user:{api.ids['radiologist-1']}"]
    future = api.get("/reliance?since=2100-01-01T00:00:00Z", "auditor-1").json()
    assert (future["figures"]["agreement_rate"]["n"], future["readers"]) == (0, {})


@pytest.mark.parametrize(
    ("by", "status"), [(None, 401), ("radiologist-1", 403), ("admin-1", 403), ("auditor-1", 404)]
)
def test_tells_nobody_else_and_nothing_before_the_first_case(
    api: Api, by: str | None, status: int
) -> None:
    assert api.get("/reliance", by).status_code == status


@pytest.mark.parametrize(
    "query", ["bundle=x", "since=2026-01-01T00:00:00", "reader=1", "until=%00"]
)
def test_refuses_a_query_that_does_not_fit(api: Api, query: str) -> None:
    assert api.get(f"/reliance?{query}", "auditor-1").status_code == 422


def run(context: Context, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    assert cli.app is app
    monkeypatch.setenv("MRI_GUARD_HOME", str(context.settings.home))
    return CliRunner().invoke(app, ["reliance", *arguments])


def test_writes_evidence_with_the_command_that_makes_it_again(
    api: Api, turned_clock: TurnedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = work_through(api, turned_clock)
    truth, out = tmp_path / "truth.csv", tmp_path / "reliance.json"
    with truth.open("w", newline="") as file:
        csv.writer(file).writerows([("case", "truth"), *((case, "normal") for case in cases)])
    ran = run(api.context, monkeypatch, "--truth", str(truth), "--out", str(out))
    assert ran.exit_code == 0, ran.output
    assert "over reliance rate blinded" in ran.output
    evidence = Evidence.load(out)
    assert (evidence.kind, evidence.bundle_digest) == ("reliance", BUNDLE)
    assert evidence.metrics["over_reliance_rate_blinded"].value == 1
    assert evidence.metrics["relative_self_reliance"].value == 0
    turned_clock.turn(days=3)
    again = run(api.context, monkeypatch, *evidence.command.split()[2:], "--json")
    assert json.loads(again.output) == evidence.model_dump(mode="json")


@pytest.mark.parametrize(
    "content",
    [
        "case\n1\n",
        "case,truth\nx,normal\n",
        f"case,truth\n{UUID(int=1)},maybe\n",
        f"case,truth\n{UUID(int=1)},normal\n{UUID(int=1)},normal\n",
        f"case,truth\n{UUID(int=1)},{'x' * 200_000}\n",
        "case,truth\n\0",
    ],
)
def test_exits_2_over_a_truth_that_does_not_fit(
    context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(content)
    ran = run(context, monkeypatch, "--truth", str(truth))
    assert ran.exit_code == 2


def test_exits_with_what_went_wrong(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(context, monkeypatch).exit_code == 1  # no case yet
    (context.settings.home / "secrets" / "audit.key").unlink()
    assert run(context, monkeypatch).exit_code == 3


def test_a_canceled_case_is_not_read(room: Room) -> None:
    case = room.case(blinded=True)
    room.impress(case, NORMAL)
    with room.database.transaction() as session:
        session.get_one(Case, str(case)).state = WorkState.CANCELED
    assert room.reads() == []
