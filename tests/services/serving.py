"""Runs a whole server whose workers have the kit of `doubles`; a module, since it is a process."""

import sys

from services import logging, worker
from services.serve import serve
from services.settings import Settings
from tests.services import doubles


def examine(settings: Settings, parent: int) -> None:
    """One worker without a model."""
    worker.main(settings, doubles.load, parent)


if __name__ == "__main__":
    logging.configure()
    sys.exit(serve(Settings(), entry=examine))
