"""`mri-guard reliance`: exit codes 0 (done), 1 (refused), 2 (called wrongly), 3 (set-up)."""

import csv
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from mri_guard.evaluation.reliance import reliance_evidence, table
from services import clock
from services.deployment import deployment
from services.review.reliance import newest_bundle, reads
from services.review.reliance_endpoints import LONG_AGO

LABELS = {"abnormal": True, "normal": False}
WRITTEN = "%Y-%m-%dT%H:%M:%S"

Time = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", WRITTEN], help="UTC.")]


def reliance(
    since: Time = None,
    until: Time = None,
    bundle_digest: Annotated[
        str | None, typer.Option(help="Of the bundle; default: that of the newest case.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="CSV `case,truth`: id, `abnormal` or `normal`."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Evidence file to write (JSON).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How readers rely on the model: agreement, overrides, and switches after a blinded look."""
    adjudicated = _adjudicated(truth) if truth else {}
    start = _utc(since) or LONG_AGO
    with deployment() as context, context.database.reading() as session:
        # To the second, as the command that is written down says it.
        end = _utc(until) or clock.now().replace(microsecond=0)
        bundle = bundle_digest or newest_bundle(session)
        found = reads(session, bundle, start, end, adjudicated)
        seed = context.settings.blind_seed
    given = {"since": f"{start:{WRITTEN}}", "until": f"{end:{WRITTEN}}", "bundle-digest": bundle}
    given |= {"truth": str(truth)} if truth else {}
    command = shlex.join(
        ["mri-guard", "reliance", *(part for name in given for part in (f"--{name}", given[name]))]
    )
    evidence = reliance_evidence(found, bundle_digest=bundle, seed=seed, command=command)
    if out:
        evidence.save(out)
    if as_json:
        typer.echo(evidence.model_dump_json())
    else:
        Console().print(table(evidence))


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None


def _adjudicated(path: Path) -> dict[str, bool]:
    """Whether each case is abnormal, by its id."""
    found: dict[str, bool] = {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            for row in csv.DictReader(file):
                case = str(UUID(row["case"]))
                if case in found:
                    raise ValueError
                found[case] = LABELS[row["truth"]]
        except (KeyError, ValueError, csv.Error) as error:
            raise typer.BadParameter(
                f"{path.name}, row {len(found) + 1}: wanted `case,truth` with the id of a case, "
                "once, and `abnormal` or `normal`"
            ) from error
    return found
