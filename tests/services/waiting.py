"""Waiting for what another process does."""

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], seconds: float = 240) -> None:
    """Waits until it is true; a process that imports torch takes minutes on a busy machine."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)
