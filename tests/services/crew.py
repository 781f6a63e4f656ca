"""What worker processes run in tests of the server; light, since each process imports it."""

import os
import time

from services.settings import Settings

STARTS = "starts"


def wait(settings: Settings, parent: int) -> None:
    """A worker without work."""
    while os.getppid() == parent:
        time.sleep(0.05)


def die(settings: Settings, parent: int) -> None:
    """A worker that leaves a mark and dies."""
    with (settings.home / STARTS).open("a") as file:
        file.write("started\n")
    os._exit(1)


def find_the_bundle_broken(settings: Settings, parent: int) -> None:
    """A worker that starting again would not help."""
    os._exit(3)
