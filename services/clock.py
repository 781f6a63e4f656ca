"""The time of day, in one place so that tests can turn it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Now, UTC. Call it as `clock.now()`, so that a patched clock is seen everywhere."""
    return datetime.now(UTC)
