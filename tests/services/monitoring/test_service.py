"""Monitors hear of each scan once, in turn, and say so once when something has changed."""

import threading
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mri_guard.decision import PERTURBED, ThresholdPolicy
from mri_guard.determinism import generator
from mri_guard.errors import ConflictError, NotFoundError
from mri_guard.monitoring import Ranks, State, normal_score
from mri_guard.monitoring.cusum import Cusum, CusumState
from mri_guard.records import (
    CheckResult,
    Contrast,
    Decision,
    Examination,
    Outcome,
    Perturbation,
    Priority,
    ScanHeader,
)
from services.audit import chain
from services.db.models import AuditEntry, MonitorRow, ReaderFinding, ScoreSeen
from services.db.session import Database
from services.monitoring import service
from tests.services.making import KEY, Api, decide, make_examination

CALIBRATION = tuple(float(n) for n in range(200))


def examination(score: float | None = 3.5, bundle: str = "b" * 64, **fields: Any) -> Examination:
    made = make_examination(Outcome.REVIEW, Priority.HIGH, score)
    header = ScanHeader(
        contrast=Contrast.FLAIR,
        manufacturer="SIEMENS",
        magnetic_field_strength_t=2.89,
        slice_count=3,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    usual: dict[str, Any] = {
        "bundle_digest": bundle,
        "checks": (CheckResult(name="check", passed=True),),
        "header": header,
        "perturbation": Perturbation(p_values={"one": 0.4}),
    }
    return made.model_copy(update=usual | fields)


def tell(session: Session, told: Examination, **fields: Any) -> None:
    """As the worker does it, after the audit entry."""
    chain.append(session, KEY, event="e", actor="worker", subject="case:1", payload={})
    usual: dict[str, Any] = {
        "site": "MODALITY",
        "first_of_study": True,
        "latents": (0.1, 0.2),
        "calibration": CALIBRATION,
    }
    service.examined(session, KEY, told, **(usual | fields))


def states(database: Database) -> dict[str, State]:
    with database.reading() as session:
        return {name: state for name, (_, state) in service.standing(session).items()}


def events(database: Database, event: str) -> list[AuditEntry]:
    with database.reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.event == event)))


def drift(database: Database, above: float = 1000.0) -> None:
    """Scores above all before them, each higher than the last."""
    for number in range(15):
        with database.transaction() as session:
            tell(session, examination(above + number))


def test_tells_every_monitor_of_a_scan_but_that_of_overrides(database: Database) -> None:
    with database.transaction() as session:
        tell(session, examination())
    assert set(states(database)) == set(service.MONITORS) - {"override_rate"}
    assert {state.scans for state in states(database).values()} == {1}


def test_tells_what_an_examination_has_and_no_more(database: Database) -> None:
    ended_early = examination(None, header=None, perturbation=None)
    with database.transaction() as session:
        tell(session, ended_early, latents=None)
    assert set(states(database)) == {"refusal_rate", "site_mix"}


def test_counts_a_study_once_where_its_series_come_together(database: Database) -> None:
    for first in (True, False):
        with database.transaction() as session:
            tell(session, examination(), first_of_study=first)
    scans = {name: state.scans for name, state in states(database).items()}
    assert (scans["site_mix"], scans["scanner_mix"], scans["sequence_mix"]) == (1, 1, 2)


def test_keeps_what_came_by_kind(database: Database) -> None:
    refused = (CheckResult(name="check", passed=False, reason="r"),)
    held = Decision(
        outcome=Outcome.QUARANTINE,
        priority=Priority.HIGH,
        reasons=("perturbation-suspected",),
        detail="d",
    )
    with database.transaction() as session:
        tell(session, examination(checks=refused, decision=held))
    found = {name: state.model_dump() for name, state in states(database).items()}
    assert found["refusal_rate"]["events"] == found["perturbation_rate"]["events"] == 1
    assert found["sequence_mix"]["before"] == {"FLAIR": 1}
    assert found["scanner_mix"]["before"] == {"SIEMENS 2.9 T": 1}
    assert found["site_mix"]["before"] == {"MODALITY": 1}
    assert found["latent_mmd"]["kept"] == ((0.1, 0.2),)


def test_counts_what_the_policy_calls_suspected() -> None:
    told = examination()
    suspected = Perturbation(p_values={"one": 0.001})
    decision = ThresholdPolicy(0.01, 0.01)(told.checks, suspected, told.calibrated)
    assert PERTURBED in decision.reasons


def test_ranks_a_score_among_calibration_and_all_before_it(database: Database) -> None:
    scores, ranks = [3.5, 120.0, 3.5], Ranks.of(CALIBRATION)
    chart, expected = service.MONITORS["score_cusum"], CusumState()
    assert isinstance(chart, Cusum)
    for score in scores:
        tau = generator(0, "ranks", "b" * 64, len(ranks.seen)).random()
        expected = chart(expected, normal_score(ranks(score, tau)))
        with database.transaction() as session:
            tell(session, examination(score))
    assert states(database)["score_cusum"] == expected


def test_raises_an_alarm_once_and_keeps_it(database: Database) -> None:
    drift(database)
    state = states(database)["score_cusum"]
    (entry,) = [e for e in events(database, "monitor.alarm.raised") if "cusum" in e.subject]
    assert state.alarm
    assert entry.subject == "monitor:score_cusum"
    assert entry.payload["scans"] == state.scans < 15
    assert entry.payload["statistic"] >= entry.payload["limit"]


def test_begins_again_with_what_it_had_learnt(database: Database) -> None:
    drift(database)
    with database.transaction() as session:
        row, state = service.acknowledge(session, KEY, "score_cusum", by="user:1", new_normal=False)
        assert (row.alarm_since, state.alarm, state.statistic) == (None, False, 0.0)
        assert session.scalar(select(func.count(ScoreSeen.id))) == len(CALIBRATION) + 15
    (entry,) = events(database, "monitor.alarm.acknowledged")
    assert (entry.actor, entry.payload) == ("user:1", {"new_normal": False})
    drift(database, above=2000.0)
    assert states(database)["score_cusum"].alarm


def test_forgets_what_was_normal_when_told_to(database: Database) -> None:
    drift(database)
    with database.transaction() as session:
        service.acknowledge(session, KEY, "score_cusum", by="user:1", new_normal=True)
    with database.transaction() as session:
        assert session.scalar(select(func.count(ScoreSeen.id))) == 0
        tell(session, examination(1000.0))
        assert session.scalar(select(func.count(ScoreSeen.id))) == 1  # no calibration any more


def test_says_no_without_an_alarm_or_a_monitor(database: Database) -> None:
    def acknowledge(name: str) -> None:
        with database.transaction() as session:
            service.acknowledge(session, KEY, name, by="user:1", new_normal=False)

    with pytest.raises(NotFoundError, match="no such monitor"):
        acknowledge("no_monitor")
    with pytest.raises(NotFoundError, match="heard of no scan"):
        acknowledge("score_cusum")
    with database.transaction() as session:
        tell(session, examination())
    with pytest.raises(ConflictError, match="no alarm"):
        acknowledge("score_cusum")
    assert not events(database, "monitor.alarm.acknowledged")


def test_begins_anew_with_another_bundle(database: Database) -> None:
    for bundle in ("b" * 64, "b" * 64, "c" * 64):
        with database.transaction() as session:
            tell(session, examination(bundle=bundle))
    assert {state.scans for state in states(database).values()} == {1}


def test_begins_anew_where_it_cannot_read_its_state(database: Database) -> None:
    with database.transaction() as session:
        tell(session, examination())
        row = session.get_one(MonitorRow, ("b" * 64, "score_cusum"))
        row.state = {"of": "another version"}
    with database.transaction() as session:
        tell(session, examination())
    assert states(database)["score_cusum"].scans == 1


def test_hears_of_every_scan_when_workers_finish_at_once(database: Database) -> None:
    def work() -> None:
        for _ in range(5):
            with database.transaction() as session:
                tell(session, examination(), calibration=())

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {state.scans for state in states(database).values()} == {15}


@pytest.mark.parametrize(
    ("outcome", "finding", "events"),
    [
        (Outcome.REVIEW, ReaderFinding.NORMAL, 1),
        (Outcome.REVIEW, ReaderFinding.ABNORMAL, 0),
        (Outcome.REVIEW, ReaderFinding.NON_DIAGNOSTIC, None),
        (Outcome.QUARANTINE, ReaderFinding.NORMAL, None),
    ],
)
def test_hears_of_readers_who_see_it_otherwise(
    api: Api, outcome: Outcome, finding: ReaderFinding, events: int | None
) -> None:
    decide(api, api.case(outcome=outcome), finding)
    state = states(api.context.database).get("override_rate")
    assert (state.model_dump()["events"] if state else None) == events
