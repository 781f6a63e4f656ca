"""`mri-guard audit`: exit codes 0 (intact), 1 (broken), 2 (called wrongly), 3 (set-up)."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from mri_guard.errors import SettingsError
from services.audit.anchor import read_anchor
from services.audit.chain import ChainReport, verify
from services.audit.endpoints import report_view
from services.context import Context
from services.settings import Settings

BROKEN = 1
SET_UP = 3

audit_app = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)


@audit_app.callback()
def audit() -> None:
    """The tamper-evident log."""


@audit_app.command("verify")
def verify_command(
    anchor: Annotated[
        Path | None,
        typer.Option(help="File of anchored heads; the deployment's own when left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Checks every entry of the chain, and that none is missing at its end."""
    try:
        report = _report(Settings(), anchor)
    except (SettingsError, SQLAlchemyError) as error:
        detail = str(error) if isinstance(error, SettingsError) else type(error).__name__
        typer.echo(f"cannot verify: {detail}", err=True)
        raise typer.Exit(SET_UP) from error
    if as_json:
        typer.echo(report_view(report).model_dump_json())
    elif report.intact:
        tail = f"up to entry {report.anchored}" if report.anchored else "not at all"
        typer.echo(f"intact: {report.entries} entries; the tail is anchored {tail}")
    else:
        typer.echo(f"BROKEN at entry {report.broken_at}: {report.problem}")
    if not report.intact:
        raise typer.Exit(BROKEN)


def _report(settings: Settings, anchor: Path | None) -> ChainReport:
    path = anchor or settings.audit_anchor
    context = Context.existing(settings)
    try:
        with context.database.reading() as session:
            return verify(session, context.secrets.audit_key, read_anchor(path) if path else None)
    finally:
        context.close()
