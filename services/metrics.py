"""Figures for Prometheus, counted in the database when they are asked for.

So every process of a deployment gives the same answer, and a restart forgets nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mri_guard.records import Outcome
from services import clock
from services.db.models import (
    Case,
    Instance,
    Job,
    ReaderFinding,
    ReviewEvent,
    Role,
    SenderQuarantine,
    SenderUsage,
    Series,
    SeriesState,
    User,
    WorkState,
)
from services.identity.access import OpenContext, require
from services.intake.probing import held
from services.monitoring.service import MONITORS, standing
from services.review.repository import waiting

router = APIRouter(tags=["operation"])


@router.get("/metrics", response_class=Response)
def get_metrics(
    context: OpenContext, _user: Annotated[User, Depends(require(Role.AUDITOR, Role.ADMIN))]
) -> Response:
    """Prometheus text format."""
    with context.database.reading() as session:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(count(session)))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def count(session: Session) -> list[Metric]:
    """All figures, now."""
    now = clock.now()
    received = CounterMetricFamily("mri_guard_instances_received", "DICOM instances in the spool")
    received.add_metric([], session.scalar(select(func.count(Instance.id))) or 0)
    limited = CounterMetricFamily(
        "mri_guard_sender_limits_reached", "Times that a sender came to a limit"
    )
    limited.add_metric([], session.scalar(select(func.sum(SenderUsage.limited))) or 0)
    quarantined = CounterMetricFamily(
        "mri_guard_sender_quarantines", "Quarantines of senders, those that were lifted included"
    )
    quarantined.add_metric([], session.scalar(select(func.count(SenderQuarantine.id))) or 0)
    return [
        received,
        limited,
        quarantined,
        GaugeMetricFamily(
            "mri_guard_senders_held",
            "Senders whose stream is in quarantine",
            value=len(held(session)),
        ),
        _by(
            CounterMetricFamily("mri_guard_cases", "Examinations, by outcome", labels=["outcome"]),
            Outcome,
            session.execute(select(Case.outcome, func.count()).group_by(Case.outcome)).all(),
        ),
        _by(
            GaugeMetricFamily("mri_guard_series", "Series, by state", labels=["state"]),
            SeriesState,
            session.execute(select(Series.state, func.count()).group_by(Series.state)).all(),
        ),
        _by(
            GaugeMetricFamily("mri_guard_jobs", "Jobs for workers, by state", labels=["state"]),
            WorkState,
            session.execute(select(Job.state, func.count()).group_by(Job.state)).all(),
        ),
        GaugeMetricFamily(
            "mri_guard_queue_age_seconds",
            "How long the oldest job has waited for a worker; 0 when none waits",
            value=_age(
                session.scalar(
                    select(func.min(Job.created_at)).where(Job.state == WorkState.SCHEDULED)
                ),
                now,
            ),
        ),
        GaugeMetricFamily(
            "mri_guard_review_waiting",
            "Cases that wait for a reader",
            value=session.scalar(select(func.count(Case.id)).where(waiting(now))) or 0,
        ),
        GaugeMetricFamily(
            "mri_guard_review_age_seconds",
            "How long the oldest case has waited for a reader; 0 when none waits",
            value=_age(session.scalar(select(func.min(Case.created_at)).where(waiting(now))), now),
        ),
        _by(
            CounterMetricFamily(
                "mri_guard_review_findings",
                "Decisions on cases that the model sent to review, by finding",
                labels=["finding"],
            ),
            ReaderFinding,
            session.execute(
                select(ReviewEvent.finding, func.count())
                .join(Case, Case.id == ReviewEvent.case_id)
                .where(ReviewEvent.action == "decide", Case.outcome == Outcome.REVIEW)
                .group_by(ReviewEvent.finding)
            ).all(),
        ),
        *_monitors(session),
    ]


def _monitors(session: Session) -> list[Metric]:
    """Those that have heard of nothing yet stand at 0."""
    scans = CounterMetricFamily(
        "mri_guard_monitor_scans", "Scans that a monitor has heard of", labels=["monitor"]
    )
    level = GaugeMetricFamily(
        "mri_guard_monitor_level",
        "A monitor's statistic as a share of its limit; at 1 it raises an alarm",
        labels=["monitor"],
    )
    alarm = GaugeMetricFamily(
        "mri_guard_monitor_alarm",
        "1 while a monitor's alarm waits to be acknowledged",
        labels=["monitor"],
    )
    found = standing(session)
    for name, monitor in MONITORS.items():
        state = found[name][1] if name in found else monitor.state()
        scans.add_metric([name], state.scans)
        level.add_metric([name], state.statistic / monitor.limit)
        alarm.add_metric([name], float(state.alarm))
    return [scans, level, alarm]


class _Collected:
    """What `prometheus_client` calls a collector: figures that are there already."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        yield from self.families


def _by(
    family: CounterMetricFamily | GaugeMetricFamily,
    members: type[Outcome | SeriesState | WorkState | ReaderFinding],
    rows: Sequence[Any],
) -> Metric:
    counted: dict[str, int] = dict(rows)
    for member in members:  # also those that are 0, so that an alarm on them can be written
        family.add_metric(
            [member.value.replace(" ", "_").replace("-", "_").lower()], counted.get(member, 0)
        )
    return family


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
