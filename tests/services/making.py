"""Cases, users and callers for tests."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any

from pydantic import SecretBytes
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from mri_guard.records import CalibratedScore, Decision, Examination, Outcome, Priority
from services import clock
from services.app import create_app
from services.context import Context
from services.db.models import Case, Job, ReaderFinding, Role, Series, SeriesState, WorkState
from services.identity import service as identity

URGENCY = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2, None: 3}
KEY = SecretBytes(b"k" * 32)


def make_examination(
    outcome: Outcome, priority: Priority | None, score: float | None
) -> Examination:
    """An examination as the worker stores it."""
    calibrated = None
    if score is not None:
        calibrated = CalibratedScore(
            score=score,
            p_value=0.01,
            threshold=1.0,
            alpha=0.05,
            delta=0.05,
            calibration_count=100,
            unusual=score > 1.0,
            guarantee="exchangeable clean traffic",
        )
    return Examination(
        bundle_digest="b" * 64,
        source_digests=("a" * 64,),
        calibrated=calibrated,
        decision=Decision(
            outcome=outcome, priority=priority, reasons=("score-unusual",), detail="above"
        ),
    )


def make_series(session: Session, *, study: str = "5" * 64) -> Series:
    """A complete series."""
    series = Series(
        series_digest=uuid.uuid4().hex * 2,
        study_digest=study,
        state=SeriesState.COMPLETE,
        last_arrival_at=clock.now(),
        sender="MODALITY",
    )
    session.add(series)
    session.flush()
    return series


def make_case(
    session: Session,
    *,
    outcome: Outcome = Outcome.REVIEW,
    priority: Priority | None = Priority.HIGH,
    score: float | None = 3.5,
    age: timedelta = timedelta(),
    study: str = "5" * 64,
    blinded: bool = False,
) -> uuid.UUID:
    """Id of a new case."""
    series = make_series(session, study=study)
    case_id = uuid.uuid4()
    released = outcome is Outcome.RELEASE
    session.add(
        Case(
            id=str(case_id),
            series_id=series.id,
            revision=1,
            study_digest=study,
            outcome=outcome,
            priority=None if released else priority,
            urgency=URGENCY[None if released else priority],
            reasons=["score-unusual"],
            score=score,
            p_value=None if score is None else 0.01,
            examination=make_examination(outcome, priority, score).model_dump(mode="json"),
            blinded=blinded,
            state=WorkState.COMPLETED if released else WorkState.SCHEDULED,
            created_at=clock.now() - age,
        )
    )
    session.flush()
    return case_id


def make_job(session: Session, *, state: WorkState, age: timedelta = timedelta()) -> Job:
    """A job of a new series."""
    job = Job(
        series_id=make_series(session).id,
        revision=1,
        state=state,
        created_at=clock.now() - age,
        lease_until=None,
    )
    session.add(job)
    session.flush()
    return job


@dataclass
class Callers:
    """Users of each role, known by name, and their keys."""

    ids: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def add(self, context: Context, name: str, role: Role) -> None:
        """A user with a key."""
        with context.database.transaction() as session:
            key = context.secrets.audit_key
            user = identity.add_user(session, key, name=name, role=role, by=None)
            made = identity.new_key(session, key, user.id, by=None)
        self.ids[name] = user.id
        self.keys[name] = made.key.get_secret_value()


class Api:
    """The application, called by users."""

    def __init__(self, context: Context, callers: Callers) -> None:
        self.context = context
        self.ids, self.keys = callers.ids, callers.keys
        self.client = TestClient(create_app(context), raise_server_exceptions=False)

    def __enter__(self) -> "Api":
        self.client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.__exit__(kind, error, trace)

    def case(self, **fields: Any) -> uuid.UUID:
        """Id of a new case."""
        with self.context.database.transaction() as session:
            return make_case(session, **fields)

    def call(
        self,
        method: str,
        path: str,
        by: str | None = "radiologist-1",
        *,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Any:
        """The response to a call by a user; None brings no key."""
        key = {"Authorization": f"Bearer {self.keys[by]}"} if by else {}
        return self.client.request(method, path, headers=key | (headers or {}), **arguments)

    def get(self, path: str, by: str | None = "radiologist-1", **arguments: Any) -> Any:
        """The response to a GET."""
        return self.call("GET", path, by, **arguments)

    def post(self, path: str, by: str | None = "radiologist-1", **arguments: Any) -> Any:
        """The response to a POST."""
        return self.call("POST", path, by, **arguments)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Audit entries of one kind, newest first."""
        page = self.get(f"/audit?event={event}", "auditor-1").json()
        entries: list[dict[str, Any]] = page["entries"]
        return entries


def decide(api: Api, case_id: uuid.UUID, finding: ReaderFinding) -> None:
    """A radiologist claims the case and decides it."""
    claimed = api.post(f"/cases/{case_id}/claim").json()
    body = {"finding": finding.value, "version": claimed["version"]}
    assert api.post(f"/cases/{case_id}/decide", json=body).status_code == 200
