"""`mri-guard senders`: exit codes 0 (done), 1 (refused), 3 (set-up)."""

import json
from typing import Annotated

import typer

from services.deployment import deployment
from services.identity.service import SYSTEM
from services.intake import probing
from services.intake.sender_endpoints import QuarantineView

senders_app = typer.Typer(help="Senders whose stream is in quarantine.", no_args_is_help=True)


@senders_app.command("quarantines")
def list_quarantines(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lists all quarantines of senders, newest first."""
    with deployment() as context, context.database.reading() as session:
        views = [QuarantineView.model_validate(item) for item in probing.quarantines(session)]
    if as_json:
        typer.echo(json.dumps([view.model_dump(mode="json") for view in views]))
        return
    for view in views:
        until = f"lifted {view.lifted_at:%F %T} by {view.lifted_by}" if view.lifted_at else "held"
        typer.echo(
            f"{view.id}\t{view.sender}\t{view.begun_at:%F %T}\t"
            f"{view.near_duplicates} near-duplicates\t{until}"
        )


@senders_app.command("lift")
def lift(
    quarantine_id: Annotated[int, typer.Argument(help="As `senders quarantines` shows it.")],
) -> None:
    """Lets a sender's scans go their way again. Cases that were held stay held."""
    with deployment() as context, context.database.transaction() as session:
        lifted = probing.lift(session, context.secrets.audit_key, quarantine_id, by=SYSTEM)
    typer.echo(f"lifted: {lifted.sender}")
