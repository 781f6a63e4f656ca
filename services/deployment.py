"""The deployment as a command sees it; its errors end the program with their exit code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from sqlalchemy.exc import SQLAlchemyError

from mri_guard.errors import MriGuardError, ReviewError
from services.context import Context
from services.settings import Settings

REFUSED = 1
SET_UP = 3


@contextmanager
def deployment(find: Callable[[Settings], Context] = Context.existing) -> Iterator[Context]:
    """The deployment that the settings name, closed afterwards.

    Args:
        find: `Context.open` makes one where there is none.
    """
    try:
        context = find(Settings())
        try:
            yield context
        finally:
            context.close()
    except (MriGuardError, SQLAlchemyError) as error:
        detail = str(error) if isinstance(error, MriGuardError) else type(error).__name__
        typer.echo(f"refused: {detail}", err=True)
        raise typer.Exit(REFUSED if isinstance(error, ReviewError) else SET_UP) from error
