"""What monitors are told, where they stand, and who may begin them again.

Each is one row, changed in the transaction of the examination or decision that it hears of, after
that has written its audit entry: the audit chain's lock keeps all other transactions out until the
commit, so that several workers feed a monitor one scan after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pydantic import JsonValue, SecretBytes
from sqlalchemy import case, delete, func, insert, select
from sqlalchemy.orm import Session

from mri_guard.decision import PERTURBED
from mri_guard.determinism import generator
from mri_guard.errors import ConflictError, NotFoundError
from mri_guard.monitoring import (
    Monitor,
    State,
    monitors,
    normal_score,
    shipped,
    smoothed_p_value,
)
from mri_guard.records import Examination, Outcome, ScanHeader
from services import clock
from services.audit import chain
from services.db.models import Case, MonitorRow, ReaderFinding, ScoreSeen

logger = structlog.get_logger(__name__)

MONITORS: Mapping[str, Monitor] = monitors(shipped())
SCORES = ("score_cusum", "score_martingale")
"""Those that are fed the ranks of scores."""

OPINIONS = {ReaderFinding.NORMAL: True, ReaderFinding.ABNORMAL: False}
"""Whether a finding on what the model sent to review overrides it; other findings do not count."""


def examined(
    session: Session,
    audit_key: SecretBytes,
    examination: Examination,
    *,
    site: str,
    first_of_study: bool,
    latents: Sequence[float] | None,
    calibration: Sequence[float],
) -> None:
    """Tells the monitors of a series that was examined for the first time.

    Args:
        session: the transaction of the examination, its audit entry written.
        audit_key: of the audit chain.
        examination: as it was stored.
        site: who sent it: calling AE title or API user.
        first_of_study: whether no other series of its study was examined before. Series of one
            study come together from one scanner, so that it counts once there.
        latents: `VaeScorer.latent_means`; None where there are none.
        calibration: scores that the bundle was calibrated on, ranked among before all others.
    """
    seen: dict[str, Any] = {}
    if examination.checks:
        seen["refusal_rate"] = not all(check.passed for check in examination.checks)
    if examination.header is not None:
        seen["sequence_mix"] = examination.header.contrast.value
        if first_of_study:
            seen["scanner_mix"] = _scanner(examination.header)
    if first_of_study:
        seen["site_mix"] = site
    if examination.perturbation is not None:
        seen["perturbation_rate"] = PERTURBED in examination.decision.reasons
    if examination.calibrated is not None:
        bundle, score = examination.bundle_digest, examination.calibrated.score
        p = _ranked(session, bundle, score, calibration)
        seen |= {"score_cusum": normal_score(p), "score_martingale": p}
    if latents is not None:
        seen["latent_mmd"] = latents
    for name, value in seen.items():
        _feed(session, audit_key, examination.bundle_digest, name, value)


def decided(
    session: Session, audit_key: SecretBytes, decided_case: Case, finding: ReaderFinding
) -> None:
    """Tells the monitor of overrides of a reader's decision.

    Args:
        session: the transaction of the decision, its audit entry written.
        audit_key: of the audit chain.
        decided_case: the case.
        finding: what the reader saw.
    """
    if decided_case.outcome is Outcome.REVIEW and finding in OPINIONS:
        bundle = str(decided_case.examination["bundle_digest"])
        _feed(session, audit_key, bundle, "override_rate", OPINIONS[finding])


def standing(session: Session) -> dict[str, tuple[MonitorRow, State]]:
    """Row and state of each monitor that has heard anything, of the bundle it last heard of."""
    rows = session.scalars(select(MonitorRow).order_by(MonitorRow.updated_at)).all()
    newest = {row.name: row for row in rows}
    return {
        name: (newest[name], _state(monitor, newest[name]))
        for name, monitor in MONITORS.items()
        if name in newest
    }


def acknowledge(
    session: Session, audit_key: SecretBytes, name: str, *, by: str, new_normal: bool
) -> tuple[MonitorRow, State]:
    """The monitor, begun again without its alarm.

    Args:
        session: from `Database.transaction`.
        audit_key: of the audit chain.
        name: of the monitor.
        by: who does it, as the audit log names them.
        new_normal: the change is there to stay: forget what was learnt, for monitors of scores the
            ranks of all scans so far, and learn it anew from what comes.

    Raises:
        NotFoundError: no such monitor, or it has heard of nothing yet.
        ConflictError: it has no alarm, and is not to learn anew.
    """
    payload: dict[str, JsonValue] = {"new_normal": new_normal}
    subject = f"monitor:{name}"
    if name not in MONITORS:
        raise NotFoundError("no such monitor")
    # First, for its lock: from here on nobody feeds the monitor.
    event = "monitor.alarm.acknowledged"
    chain.append(session, audit_key, event=event, actor=by, subject=subject, payload=payload)
    if name not in (found := standing(session)):
        raise NotFoundError("the monitor has heard of no scan yet")
    row, state = found[name]
    if not (state.alarm or new_normal):
        raise ConflictError("the monitor has no alarm; wanted one, or a new normal")
    state = MONITORS[name].state() if new_normal else state.again()
    row.state, row.alarm_since = state.model_dump(mode="json"), None
    if new_normal and name in SCORES:
        session.execute(delete(ScoreSeen).where(ScoreSeen.bundle_digest == row.bundle_digest))
    return row, state


def _scanner(header: ScanHeader) -> str:
    """Maker and field strength: all of the scanner that an examination keeps."""
    tesla = header.magnetic_field_strength_t
    return header.manufacturer if tesla is None else f"{header.manufacturer} {tesla:.1f} T"


def _ranked(
    session: Session, bundle_digest: str, score: float, calibration: Sequence[float]
) -> float:
    """Smoothed p-value among all scores of the bundle so far; the score is one of them then."""
    if session.get(MonitorRow, (bundle_digest, SCORES[0])) is None:
        _keep(session, bundle_digest, calibration)
    before, greater, equal = session.execute(
        select(
            func.count(),
            func.count(case((ScoreSeen.score > score, 1))),
            func.count(case((ScoreSeen.score == score, 1))),
        ).where(ScoreSeen.bundle_digest == bundle_digest)
    ).one()
    _keep(session, bundle_digest, [score])
    tau = generator(0, "ranks", bundle_digest, before).random()
    return smoothed_p_value(greater, equal, before, tau)


def _keep(session: Session, bundle_digest: str, scores: Sequence[float]) -> None:
    rows = [{"bundle_digest": bundle_digest, "score": score} for score in scores]
    if rows:
        session.execute(insert(ScoreSeen), rows)


def _feed(
    session: Session, audit_key: SecretBytes, bundle_digest: str, name: str, seen: Any
) -> None:
    """An alarm stands until somebody acknowledges it; until then its monitor hears nothing."""
    monitor, now = MONITORS[name], clock.now()
    key = (bundle_digest, name)
    row = session.get(MonitorRow, key, with_for_update=True, populate_existing=True)
    before = monitor.state() if row is None else _state(monitor, row)
    state = before if before.alarm else monitor(before, seen)
    if row is None:
        row = MonitorRow(bundle_digest=bundle_digest, name=name, alarm_since=None)
        session.add(row)
    row.state, row.updated_at = state.model_dump(mode="json"), now
    if state.alarm and not before.alarm:
        row.alarm_since = now
        _tell(session, audit_key, row, state)


def _tell(session: Session, audit_key: SecretBytes, row: MonitorRow, state: State) -> None:
    logger.warning("monitor.alarm.raised", name=row.name)
    chain.append(
        session,
        audit_key,
        event="monitor.alarm.raised",
        actor="monitor",
        subject=f"monitor:{row.name}",
        payload={
            "bundle_digest": row.bundle_digest,
            "statistic": state.statistic,
            "limit": MONITORS[row.name].limit,
            "scans": state.scans,
        },
    )


def _state(monitor: Monitor, row: MonitorRow) -> State:
    """As it was stored; begun anew where this version cannot read it."""
    try:
        return monitor.state.model_validate(row.state)
    except ValueError as error:
        logger.error("monitor.state.unreadable", name=row.name, exc_info=error)
        return monitor.state()
