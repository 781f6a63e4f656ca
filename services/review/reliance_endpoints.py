"""How readers rely on the model, over HTTP, for auditors."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from mri_guard.metrics.reliance import Figure, by_reader, figures
from services import clock
from services.db.models import Role, User
from services.identity.access import OpenContext, require
from services.review.records import Moment
from services.review.reliance import newest_bundle, reads

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

router = APIRouter(tags=["audit"])


class RelianceQuery(BaseModel):
    """Which decisions count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Digest; the one that examined the newest case where it is not given."""
    since: Moment = LONG_AGO
    until: Moment | None = None


class FigureView(Figure):
    """A figure, and in words that which cannot be told."""

    verdict: str


class RelianceView(BaseModel):
    """What `mri_guard.metrics.reliance` says; without a value where there are too few reads."""

    bundle_digest: str
    since: datetime
    until: datetime
    figures: dict[str, FigureView]
    readers: dict[str, dict[str, FigureView]] = Field(description="each reader's own, by `user:ID`")


@router.get("/reliance")
def get_reliance(
    context: OpenContext,
    _auditor: Annotated[User, Depends(require(Role.AUDITOR))],
    query: Annotated[RelianceQuery, Query()],
) -> RelianceView:
    """Agreement with the model, overrides, and switches after a blinded first look."""
    until = query.until or clock.now()
    with context.database.reading() as session:
        bundle = query.bundle or newest_bundle(session)
        found = reads(session, bundle, query.since, until)
    return RelianceView(
        bundle_digest=bundle,
        since=query.since,
        until=until,
        figures=_views(figures(found)),
        readers={reader: _views(own) for reader, own in by_reader(found).items()},
    )


def _views(found: dict[str, Figure]) -> dict[str, FigureView]:
    return {
        name: FigureView(**figure.model_dump(), verdict=figure.words)
        for name, figure in found.items()
    }
