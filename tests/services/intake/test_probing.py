"""Near-duplicates hold the stream of who sends them; nothing else does."""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretBytes
from pydicom.uid import UID
from sqlalchemy import func, select
from typer.testing import CliRunner

from mri_guard.errors import ConflictError, NotFoundError
from mri_guard.journey import Kit
from mri_guard.perturbation.fingerprint import NEAR
from mri_guard.records import Decision, Outcome, Priority
from services import worker
from services.audit import chain
from services.context import Context
from services.db.models import (
    AuditEntry,
    Case,
    Fingerprint,
    FingerprintHash,
    SenderQuarantine,
    Series,
)
from services.db.session import Database
from services.intake import probing
from services.intake.cli import senders_app
from services.intake.completion import complete_quiet_series
from services.intake.probing import Look
from services.intake.service import RECOVERED
from services.settings import Settings
from tests.dicom_files import mr_slices
from tests.perturbation.test_fingerprint import ball
from tests.services import doubles
from tests.services.conftest import TurnedClock
from tests.services.intake.conftest import Modality, Opened
from tests.services.making import KEY, Api, make_series

FEW = 3
RELEASE = Decision(outcome=Outcome.RELEASE, priority=None, reasons=("dark",), detail="dark")
REVIEW = Decision(
    outcome=Outcome.REVIEW, priority=Priority.HIGH, reasons=("bright",), detail="bright"
)
Listening = Callable[[Context], Modality]


class Sender:
    """A modality or an attacker, whose series a worker examines at once."""

    def __init__(self, context: Context, kit: Kit, modality: Modality, clock: TurnedClock) -> None:
        self.context, self.kit, self.modality, self.clock = context, kit, modality, clock

    def send(self, pixels: NDArray[Any], name: str, ae_title: str = "MODALITY") -> Case:
        """The case of a series that was sent over DICOM."""
        instances = mr_slices(pixels.astype(np.uint16), name=name)
        for number, item in enumerate(instances):
            made = UID(
                f"2.25.{int(hashlib.sha256(f'{name}{number}'.encode()).hexdigest()[:30], 16)}"
            )
            item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = made
        started = self.clock.time
        assert set(self.modality.send(*instances, ae_title=ae_title)) == {0}
        self.clock.turn(seconds=self.context.settings.quiet_seconds)
        complete_quiet_series(self.context, self.clock.time, started)
        assert worker.work(self.context, self.kit)
        with self.context.database.reading() as session:
            return session.scalars(select(Case).order_by(Case.created_at.desc())).first() or (
                pytest.fail("no case")
            )


@pytest.fixture
def sender(opened: Opened, listening: Listening, turned_clock: TurnedClock) -> Sender:
    context = opened(probing_near_duplicates=FEW)
    kit = replace(doubles.load(context.settings.bundle), calibrate=far_below)
    return Sender(context, kit, listening(context), turned_clock)


def far_below(score: float) -> Any:
    """Nothing is unusual."""
    return doubles.above_100(score / 1000)


def head(seed: int) -> NDArray[np.float32]:
    """Slices, rows and columns of a ball of its own texture."""
    return ball(seed, (24, 28, 14)).transpose(2, 1, 0)


def nearly(seed: int, number: int) -> NDArray[np.float32]:
    """The same ball with a little noise of its own."""
    image = head(seed)
    return np.asarray(image + np.random.default_rng(number).integers(0, 12, image.shape))


def events(context: Context, name: str) -> list[AuditEntry]:
    with context.database.reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.event == name)))


def test_holds_the_stream_of_a_sender_who_probes_until_an_admin_lifts_it(sender: Sender) -> None:
    context = sender.context
    before = [sender.send(nearly(1, number), f"probe-{number}", "EVIL") for number in range(3)]
    assert [case.outcome for case in before] == ["release", "release", "quarantine"]
    assert before[-1].reasons == ["probing-suspected"]
    case = sender.send(head(5), "unlike all", "EVIL")
    assert (case.outcome, case.reasons) == ("quarantine", ["sender-quarantined"])
    assert sender.send(head(6), "of a scanner").outcome == "release"
    shown = context.settings.home / "results" / case.id / "examination.json"
    assert json.loads(shown.read_text()) == case.examination
    assert case.examination["decision"]["reasons"] == ["sender-quarantined"]
    assert case.examination["steps"][-1]["name"] == "fingerprint"
    [entry] = events(context, "intake.sender.quarantined")
    assert entry.subject == "sender:EVIL"

    again = Context.open(context.settings)  # a restart keeps it
    with again.database.transaction() as session:
        assert probing.held(session) == {"EVIL"}
        [quarantine] = probing.quarantines(session)
        probing.lift(session, again.secrets.audit_key, quarantine.id, by="user:1")
    again.close()

    assert sender.send(head(7), "after the lift", "EVIL").outcome == "release"
    assert sender.send(nearly(1, 9), "probe once more", "EVIL").outcome == "release"
    with context.database.reading() as session:
        assert chain.verify(session, context.secrets.audit_key).intact


def test_counts_near_duplicates_of_all_senders_but_holds_none_who_sent_few(sender: Sender) -> None:
    outcomes = [
        sender.send(nearly(1, number), f"probe-{number}", f"EVIL{number}") for number in range(3)
    ]
    assert outcomes[-1].reasons == ["probing-suspected"]
    with sender.context.database.reading() as session:
        assert probing.held(session) == set()


def test_lets_a_scanner_with_many_patients_pass(sender: Sender) -> None:
    assert {sender.send(head(seed), f"patient {seed}").outcome for seed in range(FEW + 1)} == {
        "release"
    }


def test_a_series_that_grows_is_no_near_duplicate_of_itself(
    context: Context, tmp_path: Path
) -> None:
    few = replace(
        context, settings=context.settings.model_copy(update={"probing_near_duplicates": 2})
    )
    with few.database.transaction() as session:
        series = make_series(session)
        for _ in range(4):
            look = Look(frozenset(range(50)))
            assert judged(session, few.settings, series, look) == RELEASE
        assert session.scalar(select(func.count(Fingerprint.id))) == 1
        assert session.scalar(select(func.count(FingerprintHash.hash))) == 50


def judged(session: Any, settings: Settings, series: Series, look: Look) -> Decision:
    return probing.judge(session, settings, KEY, series_id=series.id, look=look, decision=RELEASE)


@pytest.mark.parametrize(("shared", "near"), [(NEAR - 1, False), (NEAR, True)])
def test_enough_shared_hashes_are_near(context: Context, shared: int, near: bool) -> None:
    few = context.settings.model_copy(update={"probing_near_duplicates": 2})
    with context.database.transaction() as session:
        first, second = make_series(session), make_series(session)
        judged(session, few, first, Look(frozenset(range(50))))
        start = 50 - shared
        decision = judged(session, few, second, Look(frozenset(range(start, start + 50))))
    assert (decision.reasons == ("probing-suspected",)) == near


def test_forgets_what_is_older_than_the_window(context: Context, turned_clock: TurnedClock) -> None:
    few = context.settings.model_copy(update={"probing_near_duplicates": 2})
    look = Look(frozenset(range(50)))
    with context.database.transaction() as session:
        judged(session, few, make_series(session), look)
        turned_clock.turn(hours=few.probing_window_hours, seconds=1)
        assert judged(session, few, make_series(session), look) == RELEASE
        assert session.scalar(select(func.count(FingerprintHash.hash))) == 50


def test_workers_that_end_at_once_do_not_both_miss_it(database: Database) -> None:
    few = Settings(probing_near_duplicates=2)
    look = Look(frozenset(range(50)))
    with database.transaction() as session:
        ids = [make_series(session).id for _ in range(6)]
    reasons: list[tuple[str, ...]] = []
    ready = threading.Barrier(len(ids))

    def work(series_id: int) -> None:
        ready.wait()
        with database.transaction() as session:
            decision = probing.judge(
                session, few, KEY, series_id=series_id, look=look, decision=RELEASE
            )
        reasons.append(decision.reasons)

    threads = [threading.Thread(target=work, args=(number,)) for number in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reasons)[:1] == [("dark",)]
    assert sum("probing-suspected" in item for item in reasons) == len(ids) - 1
    with database.reading() as session:
        assert [item.near_duplicates for item in probing.quarantines(session)] == [2]


def test_keeps_the_journeys_reasons_and_its_urgency(context: Context) -> None:
    with context.database.transaction() as session:
        series = make_series(session)
        decision = probing.judge(
            session,
            context.settings,
            KEY,
            series_id=series.id,
            look=Look(failed="ValueError"),
            decision=REVIEW,
        )
    assert decision.outcome is Outcome.QUARANTINE
    assert decision.priority is Priority.HIGH
    assert decision.reasons == ("fingerprint-failed", "bright")
    assert decision.detail == "ValueError in the fingerprint of the voxels"


def test_a_quarantine_says_why_and_not_that_its_fingerprint_failed(context: Context) -> None:
    broken = Decision(
        outcome=Outcome.QUARANTINE,
        priority=Priority.MEDIUM,
        reasons=("voxels-constant",),
        detail="one value",
    )
    with context.database.transaction() as session:
        decision = probing.judge(
            session,
            context.settings,
            KEY,
            series_id=make_series(session).id,
            look=Look(failed="SeriesError"),
            decision=broken,
        )
    assert decision == broken


def test_a_fingerprint_that_fails_ends_in_quarantine(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> frozenset[int]:
        raise ZeroDivisionError

    monkeypatch.setattr(probing, "fingerprint", fail)
    kit = doubles.load(context.settings.bundle)
    paths = []
    for number, item in enumerate(mr_slices(head(1).astype(np.uint16))):
        paths.append(tmp_path / f"{number}.dcm")
        item.save_as(paths[-1], enforce_file_format=True)
    doubles.receive(context, paths)
    worker.work(context, kit)
    with context.database.reading() as session:
        case = session.scalars(select(Case)).one()
    assert (case.outcome, case.reasons[0]) == ("quarantine", "fingerprint-failed")


def test_holds_what_nobody_knows_the_sender_of_while_a_sender_is_held(context: Context) -> None:
    with context.database.transaction() as session:
        series = make_series(session)
        series.sender = RECOVERED
        assert judged(session, context.settings, series, Look()) == RELEASE
        hold(session)
        reasons = judged(session, context.settings, series, Look()).reasons
    assert reasons == ("sender-quarantined",)


def hold(session: Any, sender: str = "EVIL") -> int:
    """Id of a quarantine."""
    probing._hold(session, SecretBytes(KEY.get_secret_value()), sender, 8)
    return int(session.scalars(select(func.max(SenderQuarantine.id))).one())


def test_lifts_once(context: Context) -> None:
    key = context.secrets.audit_key
    with context.database.transaction() as session:
        number = hold(session)
        lifted = probing.lift(session, key, number, by="user:1")
        assert (lifted.lifted_by, probing.held(session)) == ("user:1", set())
        with pytest.raises(ConflictError):
            probing.lift(session, key, number, by="user:1")
        with pytest.raises(NotFoundError):
            probing.lift(session, key, number + 1, by="user:1")


def test_an_admin_lifts_over_http_and_the_log_names_them(api: Api) -> None:
    with api.context.database.transaction() as session:
        probing._hold(session, api.context.secrets.audit_key, "EVIL", 8)
    [shown] = api.get("/senders/quarantines", "auditor-1").json()
    assert (shown["sender"], shown["near_duplicates"], shown["lifted_at"]) == ("EVIL", 8, None)
    path = f"/senders/quarantines/{shown['id']}/lift"
    assert api.post(path, "admin-1").json()["lifted_by"] == f"user:{api.ids['admin-1']}"
    assert api.post(path, "admin-1").status_code == 409
    assert api.post("/senders/quarantines/99/lift", "admin-1").status_code == 404
    [entry] = api.events("intake.sender.quarantine-lifted")
    assert (entry["actor"], entry["subject"]) == (f"user:{api.ids['admin-1']}", "sender:EVIL")


def test_the_command_lists_and_lifts(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(context.settings.home))
    with context.database.transaction() as session:
        probing._hold(session, context.secrets.audit_key, "EVIL", 8)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(senders_app, list(arguments))
        return result.exit_code, result.output

    [shown] = json.loads(run("quarantines", "--json")[1])
    assert "EVIL" in run("quarantines")[1]
    assert run("lift", str(shown["id"])) == (0, "lifted: EVIL\n")
    assert run("lift", str(shown["id"]))[0] == 1
    assert "lifted" in run("quarantines")[1]
    [entry] = events(context, "intake.sender.quarantine-lifted")
    assert entry.actor == "system"


def test_the_command_says_when_there_is_no_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_GUARD_HOME", str(tmp_path / "none"))
    assert CliRunner().invoke(senders_app, ["quarantines"]).exit_code == 3
