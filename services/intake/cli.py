"""`mri-guard senders`: exit codes 0 (done), 1 (refused), 3 (set-up)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from mri_guard.errors import MriGuardError, ReviewError
from services.context import Context
from services.identity.service import SYSTEM
from services.intake import probing
from services.intake.sender_endpoints import QuarantineView
from services.settings import Settings

REFUSED = 1
SET_UP = 3

senders_app = typer.Typer(help="Senders whose stream is in quarantine.", no_args_is_help=True)


@senders_app.command("quarantines")
def list_quarantines(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lists all quarantines of senders, newest first."""
    with _deployment() as context, context.database.reading() as session:
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
    with _deployment() as context, context.database.transaction() as session:
        lifted = probing.lift(session, context.secrets.audit_key, quarantine_id, by=SYSTEM)
    typer.echo(f"lifted: {lifted.sender}")


@contextmanager
def _deployment() -> Iterator[Context]:
    """The deployment; errors end the program with their exit code."""
    try:
        context = Context.existing(Settings())
        try:
            yield context
        finally:
            context.close()
    except (MriGuardError, SQLAlchemyError) as error:
        detail = str(error) if isinstance(error, MriGuardError) else type(error).__name__
        typer.echo(f"refused: {detail}", err=True)
        raise typer.Exit(REFUSED if isinstance(error, ReviewError) else SET_UP) from error
