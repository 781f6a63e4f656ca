import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from mri_guard.calibration import ScoreCalibrator
from mri_guard.errors import BundleError
from mri_guard.journey import Kit
from mri_guard.ports import Decoder
from mri_guard.records import Examination, Scan, Source
from services import worker
from services.audit import chain
from services.context import Context
from services.db.models import AuditEntry, Case, Job, ScoreSeen, WorkState
from services.monitoring import service as monitoring
from services.settings import Settings
from tests.dicom_files import write_series
from tests.services import doubles
from tests.services.conftest import TurnedClock
from tests.services.waiting import eventually

SPAWN = multiprocessing.get_context("spawn")


def series_files(folder: Path, *, brightest: int = 50, slices: int = 3, **more: Any) -> list[Path]:
    pixels = np.zeros((slices, 8, 8), np.uint16)
    pixels[:, 1:7, 1:7] = 10 + np.arange(6)
    pixels[:, 3, 3] = brightest
    return write_series(folder, pixels=pixels, **more)


def cases(context: Context) -> list[Case]:
    with context.database.reading() as session:
        return list(session.scalars(select(Case).order_by(Case.revision)))


def job(context: Context) -> Job:
    with context.database.reading() as session:
        return session.scalars(select(Job).order_by(Job.id.desc())).first() or pytest.fail("no job")


def audited(context: Context, event: str) -> list[AuditEntry]:
    with context.database.reading() as session:
        found = select(AuditEntry).where(AuditEntry.event == event)
        return list(session.scalars(found.order_by(AuditEntry.sequence)))


def chain_is_intact(context: Context) -> bool:
    with context.database.reading() as session:
        return chain.verify(session, context.secrets.audit_key).intact


@pytest.fixture
def kit(settings: Settings) -> Kit:
    return doubles.load(settings.bundle)


def test_has_nothing_to_do_without_a_job(context: Context, kit: Kit) -> None:
    assert not worker.work(context, kit)


def test_releases_what_the_kit_releases(context: Context, kit: Kit, tmp_path: Path) -> None:
    doubles.receive(context, series_files(tmp_path / "in"))

    assert worker.work(context, kit)

    (case,) = cases(context)
    assert (case.outcome, case.state, case.urgency) == ("release", WorkState.COMPLETED, 3)
    assert job(context).state is WorkState.COMPLETED
    assert not worker.work(context, kit)


def test_schedules_what_needs_a_reader(context: Context, kit: Kit, tmp_path: Path) -> None:
    doubles.receive(context, series_files(tmp_path / "in", brightest=900))

    worker.work(context, kit)

    (case,) = cases(context)
    assert (case.outcome, case.state, case.urgency) == ("review", WorkState.SCHEDULED, 0)
    assert (case.score, case.p_value, case.reasons) == (900.0, 0.01, ["bright"])
    assert not case.blinded
    assert Examination.model_validate(case.examination).decision.detail == "bright"


@pytest.mark.parametrize(("brightest", "blinded"), [(900, True), (50, False)])
def test_blinds_what_waits_for_a_reader_and_says_so_in_the_log(
    settings: Settings, tmp_path: Path, brightest: int, blinded: bool
) -> None:
    context = Context.open(settings.model_copy(update={"blind_share": 1.0, "blind_seed": 5}))
    doubles.receive(context, series_files(tmp_path / "in", brightest=brightest))

    worker.work(context, doubles.load(settings.bundle))

    (case,) = cases(context)
    (entry,) = audited(context, "examination.decided")
    context.close()
    assert case.blinded is entry.payload["blinded"] is blinded
    assert (entry.payload["blind_share"], entry.payload["blind_seed"]) == (1.0, 5)


def test_shows_the_results_under_the_case(context: Context, kit: Kit, tmp_path: Path) -> None:
    doubles.receive(context, series_files(tmp_path / "in"))

    worker.work(context, kit)

    (case,) = cases(context)
    results = context.settings.home / "results"
    assert [path.name for path in results.iterdir()] == [case.id]
    written = {path.name for path in (results / case.id).iterdir()}
    assert written == {"examination.json", "map.nii.gz", "picture.png", "signed_map.nii.gz"}
    assert json.loads((results / case.id / "examination.json").read_text()) == case.examination


def test_writes_what_was_decided_to_the_audit_log(
    context: Context, kit: Kit, tmp_path: Path
) -> None:
    files = series_files(tmp_path / "in", brightest=900)
    doubles.receive(context, files)

    worker.work(context, kit)

    (entry,) = audited(context, "examination.decided")
    assert entry.subject == f"case:{cases(context)[0].id}"
    assert entry.payload["outcome"] == "review"
    assert entry.payload["reasons"] == ["bright"]
    assert (entry.payload["score"], entry.payload["p_value"]) == (900.0, 0.01)
    assert entry.payload["bundle_digest"] == kit.bundle_digest
    assert len(entry.payload["source_digests"]) == len(files)
    assert chain_is_intact(context)


def monitored(context: Context) -> dict[str, int]:
    with context.database.reading() as session:
        return {name: state.scans for name, (_, state) in monitoring.standing(session).items()}


def test_tells_the_monitors_of_a_series_once(context: Context, kit: Kit, tmp_path: Path) -> None:
    calibrated = replace(kit, calibrate=ScoreCalibrator.fit({"a": range(100)}, 0.05, 0.05))
    series = doubles.receive(context, series_files(tmp_path / "a"))
    assert worker.work(context, calibrated)
    doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)
    assert worker.work(context, calibrated)

    told = {"refusal_rate", "sequence_mix", "scanner_mix", "site_mix", "perturbation_rate"}
    assert monitored(context) == dict.fromkeys(told | set(monitoring.SCORES), 1)
    with context.database.reading() as session:
        assert session.scalar(select(func.count(ScoreSeen.id))) == 101


def test_quarantines_an_instance_that_came_with_two_contents(
    context: Context, kit: Kit, tmp_path: Path
) -> None:
    files = series_files(tmp_path / "in")
    doubles.receive(context, files, sop=["1", "2", "2"])

    worker.work(context, kit)

    (case,) = cases(context)
    assert (case.outcome, case.reasons) == ("quarantine", ["instance-collision"])
    assert case.state is WorkState.SCHEDULED
    assert len(case.examination["source_digests"]) == 3


def test_cancels_open_cases_of_older_revisions(context: Context, kit: Kit, tmp_path: Path) -> None:
    series = doubles.receive(context, series_files(tmp_path / "a", brightest=900))
    worker.work(context, kit)
    doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)

    worker.work(context, kit)

    old, new = cases(context)
    assert (old.state, old.version, new.state) == (WorkState.CANCELED, 2, WorkState.SCHEDULED)
    assert len(new.examination["source_digests"]) == 6
    (entry,) = audited(context, "case.superseded")
    assert entry.subject == f"case:{old.id}"


def test_cancels_a_release_of_an_older_revision(context: Context, kit: Kit, tmp_path: Path) -> None:
    series = doubles.receive(context, series_files(tmp_path / "a"))
    worker.work(context, kit)
    doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)

    worker.work(context, kit)

    assert [case.state for case in cases(context)] == [WorkState.CANCELED, WorkState.COMPLETED]


def test_keeps_what_a_reader_decided_on_an_older_revision(
    context: Context, kit: Kit, tmp_path: Path
) -> None:
    series = doubles.receive(context, series_files(tmp_path / "a", brightest=900))
    worker.work(context, kit)
    with context.database.transaction() as session:
        session.scalars(select(Case)).one().state = WorkState.COMPLETED
    doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)

    worker.work(context, kit)

    assert [case.state for case in cases(context)] == [WorkState.COMPLETED, WorkState.SCHEDULED]


def test_skips_a_revision_that_has_grown_before_it_was_examined(
    context: Context, kit: Kit, tmp_path: Path
) -> None:
    series = doubles.receive(context, series_files(tmp_path / "a"))
    doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)

    assert worker.work(context, kit)
    assert worker.work(context, kit)

    (case,) = cases(context)
    assert case.revision == 2
    (entry,) = audited(context, "examination.superseded")
    assert entry.payload == {"revision": 1}


@dataclass(frozen=True)
class Interrupted:
    """Decodes after something else has happened."""

    before: Callable[[], object]
    decoder: Decoder

    def __call__(self, source: Source) -> Scan:
        self.before()
        return self.decoder(source)

    def close(self) -> None:
        self.decoder.close()


def interrupted(kit: Kit, before: Callable[[], object]) -> Kit:
    return replace(kit, decoder=Interrupted(before, kit.decoder))


def test_turns_away_a_worker_whose_job_another_one_has_done(
    context: Context, kit: Kit, tmp_path: Path, turned_clock: TurnedClock
) -> None:
    doubles.receive(context, series_files(tmp_path / "in"))

    def sleep_through_the_lease() -> None:
        turned_clock.turn(seconds=context.settings.lease_seconds + 1)
        assert worker.work(context, kit)

    assert worker.work(context, interrupted(kit, sleep_through_the_lease))

    (case,) = cases(context)
    (entry,) = audited(context, "examination.decided")
    assert entry.payload["fence"] == 2
    assert [path.name for path in (context.settings.home / "results").iterdir()] == [case.id]
    assert chain_is_intact(context)


def test_cancels_its_own_case_when_a_newer_revision_was_quicker(
    context: Context, kit: Kit, tmp_path: Path
) -> None:
    series = doubles.receive(context, series_files(tmp_path / "a", brightest=900))

    def grow() -> None:
        doubles.receive(context, series_files(tmp_path / "b", name="late"), series=series)
        assert worker.work(context, kit)

    worker.work(context, interrupted(kit, grow))

    assert [case.state for case in cases(context)] == [WorkState.CANCELED, WorkState.SCHEDULED]


def test_renews_the_lease_while_it_examines(context: Context, kit: Kit, tmp_path: Path) -> None:
    doubles.receive(context, series_files(tmp_path / "in"))
    quick = replace(context, settings=context.settings.model_copy(update={"lease_seconds": 0.3}))
    others: list[bool] = []

    def take_three_leases_long() -> None:
        for _ in range(9):
            time.sleep(0.1)
            others.append(worker.work(context, kit))

    worker.work(quick, interrupted(kit, take_three_leases_long))

    assert not any(others)
    assert job(context).fence == 1


def test_quarantines_a_series_that_kills_its_workers(
    context: Context, kit: Kit, tmp_path: Path, turned_clock: TurnedClock
) -> None:
    doubles.receive(context, series_files(tmp_path / "in"))

    class Killed(BaseException):
        """What no `except Exception` holds."""

    def die() -> None:
        raise Killed

    for _ in range(context.settings.max_attempts):
        with pytest.raises(Killed):
            worker.work(context, interrupted(kit, die))
        turned_clock.turn(seconds=context.settings.lease_seconds + 1)
    assert not cases(context)

    assert worker.work(context, interrupted(kit, die))

    (case,) = cases(context)
    assert (case.outcome, case.reasons) == ("quarantine", ["examination-died"])
    assert (case.state, case.urgency) == (WorkState.SCHEDULED, 1)
    assert not worker.work(context, kit)


def test_outlives_a_disk_that_refuses(
    context: Context, kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    quick = replace(context, settings=context.settings.model_copy(update={"lease_seconds": 0.2}))
    doubles.receive(context, series_files(tmp_path / "in"))
    blocked = context.settings.home / "results"
    blocked.touch()
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(quick, kit, stop))
    thread.start()
    try:
        eventually(lambda: job(context).fence > 1)
        blocked.unlink()
        eventually(lambda: bool(cases(context)))
    finally:
        stop.set()
        thread.join()
    assert len(audited(context, "examination.decided")) == 1


def started(settings: Settings, parent: int | None = None) -> BaseProcess:
    process = SPAWN.Process(target=worker.main, args=(settings, doubles.load, parent))
    process.start()
    return process


def test_another_worker_finishes_what_a_killed_one_began_once(
    context: Context, tmp_path: Path
) -> None:
    settings = context.settings.model_copy(update={"lease_seconds": 0.5})
    doubles.receive(context, series_files(tmp_path / "in"))
    wait = settings.bundle / doubles.WAIT
    wait.touch()
    first = started(settings)
    try:
        eventually(lambda: job(context).state is WorkState.IN_PROGRESS)
    finally:
        first.kill()
        first.join()
    assert not cases(context)
    wait.unlink()

    second = started(settings)
    try:
        eventually(lambda: bool(cases(context)))
    finally:
        second.terminate()
        second.join(30)

    assert second.exitcode == 0
    assert job(context).fence == 2
    assert len(audited(context, "examination.decided")) == 1
    assert chain_is_intact(context)


def test_does_not_start_for_a_server_that_is_gone(context: Context) -> None:
    orphan = started(context.settings, parent=1 << 22)
    orphan.join(240)

    assert orphan.exitcode == 0


def test_exits_with_status_3_when_the_bundle_is_broken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> Kit:
        raise BundleError("no bundle")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("services.logging.configure", lambda: None)
    with pytest.raises(SystemExit) as ended:
        worker.main(settings, refuse)

    assert ended.value.code == 3
