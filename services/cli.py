"""`mri-guard`: the library's commands, and those that need the services."""

import signal
from typing import Annotated

import typer
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from mri_guard.cli import BROKEN, app, exits, fail
from mri_guard.errors import SettingsError
from services import logging
from services.audit.cli import audit_app
from services.identity.cli import users_app
from services.intake.cli import senders_app
from services.monitoring.cli import monitors_app
from services.review.cli import reliance
from services.settings import Settings

__all__ = ["app"]

app.add_typer(audit_app, name="audit")
app.add_typer(users_app, name="users")
app.add_typer(senders_app, name="senders")
app.add_typer(monitors_app, name="monitors")
app.command()(reliance)


@app.command()
@exits
def serve(
    workers: Annotated[int, typer.Option(min=0, help="Processes that examine.")] = 1,
) -> None:
    """Receive, examine and offer for review, until SIGTERM or Ctrl-C. Set up by MRI_GUARD_*."""
    from services.serve import serve as run  # noqa: PLC0415 - each command loads what it needs

    logging.configure()
    try:
        status = run(_settings(), workers=workers)
    except (OSError, SQLAlchemyError) as error:
        fail(f"cannot serve: {_words(error)}", BROKEN)
    raise typer.Exit(status)


@app.command()
@exits
def worker() -> None:
    """Run one more worker on the deployment's database, until SIGTERM or Ctrl-C."""
    from services.worker import main as run  # noqa: PLC0415 - each command loads what it needs

    try:
        run(_settings())
    except (OSError, SQLAlchemyError) as error:
        fail(f"cannot work: {_words(error)}", BROKEN)


@app.command()
@exits
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving until Ctrl-C.")] = False,
) -> None:
    """Send four synthetic studies through a kit of their own and show where each ended."""
    from services.demo import demo as run  # noqa: PLC0415 - each command loads what it needs

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else our server would outlive us
    raise typer.Exit(run(keep))


def _settings() -> Settings:
    """Settings from the environment.

    Raises:
        SettingsError: a variable does not fit; its value is not told, since it may be a password.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = ", ".join(
            f"MRI_GUARD_{'_'.join(map(str, item['loc'])).upper()} ({item['type']})"
            for item in error.errors()
        )
        raise SettingsError(f"settings do not fit: {wrong}") from error


def _words(error: OSError | SQLAlchemyError) -> str:
    """What went wrong; a database's own message may quote the rows."""
    return str(error.strerror) if isinstance(error, OSError) else type(error).__name__
