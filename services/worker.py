"""A worker: leases a job, examines the series, and writes what came of it in one transaction."""

import ctypes
import math
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import JsonValue
from sqlalchemy import and_, exists, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mri_guard import bundle
from mri_guard.anomaly import VaeScorer
from mri_guard.calibration import ScoreCalibrator
from mri_guard.errors import BundleError, ConflictError
from mri_guard.journey import Kit, examine
from mri_guard.records import (
    Decision,
    Examination,
    Format,
    Journey,
    Outcome,
    Priority,
    Source,
    StepTiming,
)
from mri_guard.results import write_record, write_results
from services import clock, jobs, logging
from services.audit import chain
from services.context import Context
from services.db.models import Case, Instance, Series, WorkState
from services.intake import probing
from services.intake.spool import Spool
from services.monitoring import service as monitoring
from services.review.blinding import blinded
from services.settings import Settings
from services.threads import share_cores

logger = structlog.get_logger(__name__)

ACTOR = "worker"
BROKEN = 3
"""Exit status when the bundle or the set-up is broken: starting again would not help."""

POLL_SECONDS = 0.2
BACK_OFF_SECONDS = 2.0
RENEWALS_PER_LEASE = 3

CASE_NAMESPACE = uuid.UUID("6c1d2b0e-6f0e-5c9a-9d0b-3f5f0c1f7a10")
URGENCY = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2, None: 3}
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What a lease is about, as the database had it when the work began.

    Attributes:
        held: the lease.
        series_digest: keyed digest of the series.
        study_digest: keyed digest of its study.
        superseded: whether the series has grown since the job was made.
        sop_digests: one for each instance.
        sha256: of each instance, hex, in the same order.
    """

    held: jobs.Lease
    series_digest: str
    study_digest: str
    superseded: bool
    sop_digests: tuple[str, ...]
    sha256: tuple[str, ...]

    def case_id(self, bundle_digest: str) -> str:
        """The same for the same revision and bundle, so that finishing twice makes one case."""
        name = f"{self.series_digest}/{self.held.revision}/{bundle_digest}"
        return str(uuid.uuid5(CASE_NAMESPACE, name))


def run(context: Context, kit: Kit, stop: threading.Event) -> None:
    """Works until it is told to stop; what it has begun it finishes.

    A full disk or a database that is away costs the job's lease, not the worker.
    """
    while not stop.is_set():
        try:
            if not work(context, kit):
                stop.wait(POLL_SECONDS)
        except (OSError, SQLAlchemyError) as error:
            logger.error("worker.job.failed", exc_info=error)
            stop.wait(BACK_OFF_SECONDS)


def work(context: Context, kit: Kit) -> bool:
    """Whether there was a job; if so it is done, superseded, or was lost to another worker."""
    settings = context.settings
    with context.database.reading() as session:
        if not jobs.waits(session, clock.now()):
            return False
    with context.database.transaction() as session:
        held = jobs.lease(session, clock.now(), settings.lease_seconds)
        task = _task(session, held) if held else None
    if task is None:
        return False
    log = logger.bind(job_id=task.held.job_id, fence=task.held.fence, revision=task.held.revision)
    log.info("worker.job.leased")
    try:
        if task.superseded:
            _cancel(context, task)
            log.info("worker.job.superseded")
            return True
        start = time.perf_counter()
        with _renewed(context, task.held):
            journey, look = _look(context, _journey(context, kit, task))
            journey, latents = _latents(kit, journey)
            results = _write(context, kit, task, journey)
        case_id, decision = _finish(
            context, kit, task, journey, look, latents=latents, results=results
        )
        log.info(
            "worker.examination.decided",
            case_id=case_id,
            outcome=decision.outcome,
            milliseconds=round((time.perf_counter() - start) * 1000, 1),
        )
    except ConflictError:
        log.warning("worker.lease.lost")
    return True


def _task(session: Session, held: jobs.Lease) -> Task:
    # Locked, so that no late instance slips in between the revision and the list.
    series = session.get_one(Series, held.series_id, with_for_update=True)
    rows = session.execute(
        select(Instance.sop_digest, Instance.sha256)
        .where(Instance.series_id == series.id)
        .order_by(Instance.id)
    ).all()
    return Task(
        held=held,
        series_digest=series.series_digest,
        study_digest=series.study_digest,
        superseded=series.revision > held.revision,
        sop_digests=tuple(row.sop_digest for row in rows),
        sha256=tuple(row.sha256 for row in rows),
    )


def _journey(context: Context, kit: Kit, task: Task) -> Journey:
    """The examination, or a quarantine when it must not even begin."""
    attempts = task.held.fence - 1
    if attempts >= context.settings.max_attempts:
        detail = f"{attempts} examinations of this series died before they ended"
        return _refused(kit, task, "examination-died", detail)
    different = len(set(task.sop_digests))
    if different < len(task.sop_digests):
        extra = len(task.sop_digests) - different
        detail = f"{extra} instances came again with the same SOP Instance UID and other content"
        return _refused(kit, task, "instance-collision", detail)
    spool = Spool(context.settings.home)
    files = tuple(spool.path(sha256) for sha256 in task.sha256)
    return examine(Source(files, Format.DICOM), kit)


def _refused(kit: Kit, task: Task, reason: str, detail: str) -> Journey:
    decision = Decision(
        outcome=Outcome.QUARANTINE, priority=Priority.MEDIUM, reasons=(reason,), detail=detail
    )
    examination = Examination(
        bundle_digest=kit.bundle_digest,
        source_digests=tuple(sorted(task.sha256)),
        decision=decision,
        seed=kit.seed,
    )
    return Journey(examination)


def _look(context: Context, journey: Journey) -> tuple[Journey, probing.Look]:
    """The journey, with one step more, and the fingerprint of its scan."""
    if journey.scan is None:  # no model has answered, so that nobody has learnt anything
        return journey, probing.Look()
    start = time.perf_counter()
    look = probing.look_at(journey.scan, context.secrets.fingerprint_key)
    return _with_step(journey, "fingerprint", start), look


def _latents(kit: Kit, journey: Journey) -> tuple[Journey, tuple[float, ...] | None]:
    """The journey, with one step more, and what its scan looks like to the model, for monitors."""
    if journey.preprocessed is None or journey.anomaly is None:
        return journey, None
    if not isinstance(kit.scorer, VaeScorer):
        return journey, None
    start = time.perf_counter()
    try:
        latents = tuple(kit.scorer.latent_means(journey.preprocessed).tolist())
    except RuntimeError as error:  # of PyTorch; a monitor costs no examination
        logger.error("monitor.latents.failed", error=type(error).__name__)
        return journey, None
    if not all(map(math.isfinite, latents)):
        logger.error("monitor.latents.failed", detail="not finite")
        return journey, None
    return _with_step(journey, "latents", start), latents


def _with_step(journey: Journey, name: str, start: float) -> Journey:
    """The journey with a step that has just ended."""
    step = StepTiming(name=name, milliseconds=(time.perf_counter() - start) * 1000)
    steps = (*journey.examination.steps, step)
    return replace(journey, examination=journey.examination.model_copy(update={"steps": steps}))


def _write(context: Context, kit: Kit, task: Task, journey: Journey) -> Path:
    """Folder of the results, aside: only the worker that still holds the job may show them."""
    folder = context.settings.home / "results"
    case_id = task.case_id(kit.bundle_digest)
    for left in folder.glob(f".{case_id}.*"):  # by a worker that died
        shutil.rmtree(left, ignore_errors=True)
    aside = folder / f".{case_id}.{task.held.fence}"
    write_results(journey, aside)
    return aside


def _finish(
    context: Context,
    kit: Kit,
    task: Task,
    journey: Journey,
    look: probing.Look,
    *,
    latents: tuple[float, ...] | None,
    results: Path,
) -> tuple[str, Decision]:
    """Id and decision of the case, which appears with its audit entry and the end of its job.

    Raises:
        ConflictError: the job was lost to another worker.
    """
    case_id = task.case_id(kit.bundle_digest)
    with context.database.transaction() as session:
        try:
            jobs.finish(session, task.held, WorkState.COMPLETED)
        except ConflictError:
            shutil.rmtree(results, ignore_errors=True)
            raise
        decision = probing.judge(
            session,
            context.settings,
            context.secrets.audit_key,
            series_id=task.held.series_id,
            look=look,
            decision=journey.examination.decision,
        )
        examination = journey.examination.model_copy(update={"decision": decision})
        if decision != journey.examination.decision:
            write_record(replace(journey, examination=examination), results)
        _show(results, results.with_name(case_id))
        _supersede(context, session, task)
        newer = session.scalar(
            select(
                exists().where(
                    Case.series_id == task.held.series_id, Case.revision > task.held.revision
                )
            )
        )
        case = _case(context, case_id, task, examination, superseded=bool(newer))
        _audit(context, session, task, case, examination)
        _monitor(context, session, kit, task, examination=examination, latents=latents)
        session.add(case)
    return case_id, decision


def _show(aside: Path, shown: Path) -> None:
    """Moves the results to where readers look, over those of an attempt that did not commit."""
    if shown.exists():
        shutil.rmtree(shown)
    aside.rename(shown)


def _supersede(context: Context, session: Session, task: Task) -> None:
    """Cancels cases of older revisions unless a reader has decided them."""
    undecided = or_(
        Case.state.in_([WorkState.SCHEDULED, WorkState.IN_PROGRESS]),
        and_(Case.state == WorkState.COMPLETED, Case.outcome == Outcome.RELEASE),
    )
    older = (
        select(Case)
        .where(Case.series_id == task.held.series_id, Case.revision < task.held.revision, undecided)
        .with_for_update()
    )
    for case in session.scalars(older).all():
        case.state = WorkState.CANCELED
        case.version += 1
        case.claimed_by_id = case.claimed_until = None
        chain.append(
            session,
            context.secrets.audit_key,
            event="case.superseded",
            actor=ACTOR,
            subject=f"case:{case.id}",
            payload={"revision": case.revision, "by_revision": task.held.revision},
        )


def _cancel(context: Context, task: Task) -> None:
    """Ends a job whose series has grown: the next revision brings a job of its own."""
    with context.database.transaction() as session:
        jobs.finish(session, task.held, WorkState.CANCELED)
        chain.append(
            session,
            context.secrets.audit_key,
            event="examination.superseded",
            actor=ACTOR,
            subject=f"series:{task.series_digest}",
            payload={"revision": task.held.revision},
        )


def _audit(
    context: Context, session: Session, task: Task, case: Case, examination: Examination
) -> None:
    settings, calibrated = context.settings, examination.calibrated
    payload: dict[str, JsonValue] = {
        "series": task.series_digest,
        "revision": task.held.revision,
        "fence": task.held.fence,
        "outcome": examination.decision.outcome.value,
        "reasons": list(examination.decision.reasons),
        "score": calibrated.score if calibrated else None,
        "p_value": calibrated.p_value if calibrated else None,
        "bundle_digest": examination.bundle_digest,
        "source_digests": list(examination.source_digests),
        "blinded": case.blinded,
        "blind_share": settings.blind_share,
        "blind_seed": settings.blind_seed,
    }
    chain.append(
        session,
        context.secrets.audit_key,
        event="examination.decided",
        actor=ACTOR,
        subject=f"case:{case.id}",
        payload=payload,
    )


def _monitor(
    context: Context,
    session: Session,
    kit: Kit,
    task: Task,
    *,
    examination: Examination,
    latents: tuple[float, ...] | None,
) -> None:
    """Before the case is there. A series that has grown is nearly the same scan: it counts once."""
    if session.scalar(select(exists().where(Case.series_id == task.held.series_id))):
        return
    study = exists().where(Case.study_digest == task.study_digest)
    calibrate = kit.calibrate
    monitoring.examined(
        session,
        context.secrets.audit_key,
        examination,
        site=session.get_one(Series, task.held.series_id).sender,
        first_of_study=not session.scalar(select(study)),
        latents=latents,
        calibration=calibrate.scores if isinstance(calibrate, ScoreCalibrator) else (),
    )


def _case(
    context: Context, case_id: str, task: Task, examination: Examination, *, superseded: bool
) -> Case:
    settings, decision = context.settings, examination.decision
    calibrated = examination.calibrated
    state = WorkState.SCHEDULED
    if superseded:
        state = WorkState.CANCELED
    elif decision.outcome is Outcome.RELEASE:
        state = WorkState.COMPLETED
    return Case(
        id=case_id,
        series_id=task.held.series_id,
        revision=task.held.revision,
        study_digest=task.study_digest,
        outcome=decision.outcome,
        priority=decision.priority,
        urgency=URGENCY[decision.priority],
        reasons=list(decision.reasons),
        score=calibrated.score if calibrated else None,
        p_value=calibrated.p_value if calibrated else None,
        examination=examination.model_dump(mode="json"),
        blinded=blinded(
            task.study_digest, decision.outcome, settings.blind_share, settings.blind_seed
        ),
        state=state,
        created_at=clock.now(),
    )


@contextmanager
def _renewed(context: Context, held: jobs.Lease) -> Iterator[None]:
    """Renews the lease while the block runs; a lost one shows when the result is written."""
    done = threading.Event()
    seconds = context.settings.lease_seconds

    def renew() -> None:
        while not done.wait(seconds / RENEWALS_PER_LEASE):
            try:
                with context.database.transaction() as session:
                    jobs.renew(session, held, clock.now(), seconds)
            except ConflictError:
                return
            except SQLAlchemyError as error:  # the next renewal may still be in time
                logger.warning("worker.lease.not-renewed", exc_info=error)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main(
    settings: Settings,
    load: Callable[[Path], Kit] = bundle.load,
    parent: int | None = None,
) -> None:
    """Runs one worker on an existing deployment until SIGTERM or SIGINT.

    Exits with status 3 when the bundle or the set-up is broken.

    Args:
        settings: of the deployment.
        load: the kit, from the bundle's folder.
        parent: process id of a server that this worker must not outlive.
    """
    if parent is not None:
        _die_with(parent)
    logging.configure()
    share_cores()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        kit = load(settings.bundle)
        context = Context.existing(settings)
    except BundleError as error:
        logger.error("worker.start.failed", error=type(error).__name__, detail=str(error))
        sys.exit(BROKEN)
    logger.info("worker.started", pid=os.getpid())
    with kit:
        run(context, kit, stop)
    context.close()


def _die_with(parent: int) -> None:
    """Asks the kernel to kill this process when its parent dies, however that dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(0)


if __name__ == "__main__":
    main(Settings())
