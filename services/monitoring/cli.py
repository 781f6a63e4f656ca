"""`mri-guard monitors`: exit codes 0 (done), 1 (an alarm stands, or refused), 3 (set-up)."""

import json
from typing import Annotated

import typer

from services.deployment import deployment
from services.identity.service import SYSTEM
from services.monitoring import service
from services.monitoring.endpoints import MonitorView, view

SAID_NO = 1

monitors_app = typer.Typer(help="Monitors of drift and their alarms.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@monitors_app.command("list")
def list_monitors(as_json: Json = False) -> None:
    """Shows where all monitors stand; exits 1 when an alarm stands."""
    with deployment() as context, context.database.reading() as session:
        views = [view(row, state) for row, state in service.standing(session).values()]
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in views]))
    else:
        for one in views:
            typer.echo(_line(one))
    if any(one.alarm for one in views):
        raise typer.Exit(SAID_NO)


@monitors_app.command("acknowledge")
def acknowledge(
    name: Annotated[str, typer.Argument(help="As `monitors list` shows it.")],
    new_normal: Annotated[
        bool, typer.Option("--new-normal", help="The change is there to stay: learn anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ends an alarm whose cause was found; the monitor begins again."""
    with deployment() as context, context.database.transaction() as session:
        key = context.secrets.audit_key
        done = service.acknowledge(session, key, name, by=SYSTEM, new_normal=new_normal)
        one = view(*done)
    typer.echo(one.model_dump_json() if as_json else _line(one))


def _line(one: MonitorView) -> str:
    since = f"ALARM since {one.alarm_since:%F %T}" if one.alarm_since else "no alarm"
    return f"{one.name}\t{one.scans} scans\t{one.statistic:.2f} of {one.limit:.2f}\t{since}"
