"""Runs a whole server whose workers have the kit of `doubles`; a module, since it is a process."""

import sys

from services import logging
from services.serve import serve
from services.settings import Settings


def examine(settings: Settings, parent: int) -> None:
    """One worker without a model."""
    from services import worker  # noqa: PLC0415 - torch is for the worker; the server does without
    from tests.services import doubles  # noqa: PLC0415

    worker.main(settings, doubles.load, parent)


if __name__ == "__main__":
    logging.configure()
    sys.exit(serve(Settings(), entry=examine))
