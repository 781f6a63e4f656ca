"""Whether this deployment can work; open to all, so it names parts and nothing else."""

import shutil

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.context import Context
from services.db.models import Job, WorkState
from services.identity.access import OpenContext

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """What answers and what does not.

    Attributes:
        ready: all checks hold.
        checks: database, bundle, disk.
        queue_depth: examinations that wait for a worker; None when the database is away.
    """

    ready: bool
    checks: dict[str, bool]
    queue_depth: int | None


@router.get("/health")
def get_health(context: OpenContext, response: Response) -> Health:
    """200 when ready, else 503. An answer at all says that the process lives."""
    health = examine(context)
    response.status_code = 200 if health.ready else 503
    return health


def examine(context: Context) -> Health:
    """The state of the deployment now."""
    depth = _queue_depth(context)
    checks = {
        "database": depth is not None,
        "bundle": (context.settings.bundle / "bundle.yaml").is_file(),
        "disk": _free_mb(context) > context.settings.min_free_disk_mb,
    }
    return Health(ready=all(checks.values()), checks=checks, queue_depth=depth)


def _queue_depth(context: Context) -> int | None:
    waiting = select(func.count(Job.id)).where(Job.state == WorkState.SCHEDULED)
    try:
        with context.database.reading() as session:
            return session.scalar(waiting)
    except SQLAlchemyError:
        return None


def _free_mb(context: Context) -> float:
    try:
        return shutil.disk_usage(context.settings.home).free / 2**20
    except OSError:
        return -1.0
