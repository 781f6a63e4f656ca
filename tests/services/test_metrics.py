"""Metrics are what the database holds."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from mri_guard.records import Outcome
from services import clock
from services.db.models import Instance, ReaderFinding, WorkState
from services.monitoring.service import MONITORS
from tests.services.conftest import TurnedClock
from tests.services.making import Api, Callers, decide, make_job, make_series


def scrape(api: Api) -> dict[str, float]:
    response = api.get("/metrics", "auditor-1")
    assert response.status_code == 200
    return {
        sample.name + "".join(f":{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_counts_what_the_database_holds(turned_clock: TurnedClock, api: Api) -> None:
    with api.context.database.transaction() as session:
        make_job(session, state=WorkState.SCHEDULED, age=timedelta(seconds=90))
        make_job(session, state=WorkState.SCHEDULED, age=timedelta(seconds=30))
        make_job(session, state=WorkState.IN_PROGRESS, age=timedelta(hours=9))
        series = make_series(session)
        for number in range(3):
            session.add(
                Instance(
                    series_id=series.id,
                    sop_digest=str(number),
                    sha256="h",
                    size_bytes=1,
                    received_at=clock.now(),
                )
            )
    api.case(age=timedelta(seconds=7))
    api.case(outcome=Outcome.QUARANTINE)
    api.case(outcome=Outcome.RELEASE, age=timedelta(days=1))
    figures = scrape(api)
    wanted = {
        "mri_guard_instances_received_total": 3,
        "mri_guard_jobs:scheduled": 2,
        "mri_guard_jobs:in_progress": 1,
        "mri_guard_jobs:completed": 0,
        "mri_guard_jobs:canceled": 0,
        "mri_guard_queue_age_seconds": 90,
        "mri_guard_cases_total:review": 1,
        "mri_guard_cases_total:quarantine": 1,
        "mri_guard_cases_total:release": 1,
        "mri_guard_review_waiting": 2,
        "mri_guard_review_age_seconds": 7,
        "mri_guard_series:complete": 7,
        "mri_guard_series:receiving": 0,
        "mri_guard_sender_limits_reached_total": 0,
        "mri_guard_sender_quarantines_total": 0,
        "mri_guard_senders_held": 0,
        "mri_guard_review_findings_total:abnormal": 0,
        "mri_guard_review_findings_total:normal": 0,
        "mri_guard_review_findings_total:non_diagnostic": 0,
    }
    for name in MONITORS:
        for figure in ("scans_total", "level", "alarm"):
            wanted[f"mri_guard_monitor_{figure}:{name}"] = 0
    assert figures == wanted


def test_counts_findings_on_what_the_model_sent_to_review(api: Api) -> None:
    for outcome, finding in (
        (Outcome.REVIEW, ReaderFinding.NORMAL),
        (Outcome.REVIEW, ReaderFinding.NON_DIAGNOSTIC),
        (Outcome.QUARANTINE, ReaderFinding.NORMAL),
    ):
        decide(api, api.case(outcome=outcome), finding)
    figures = scrape(api)
    assert figures["mri_guard_review_findings_total:normal"] == 1
    assert figures["mri_guard_review_findings_total:non_diagnostic"] == 1
    assert figures["mri_guard_monitor_scans_total:override_rate"] == 1


def test_is_zero_with_nothing_there(api: Api) -> None:
    assert set(scrape(api).values()) == {0.0}


def test_agrees_between_processes(turned_clock: TurnedClock, api: Api) -> None:
    other = Api(api.context, Callers(api.ids, api.keys))
    before = scrape(other)
    api.case()
    assert scrape(other) == scrape(api) != before
