"""What a monitor has seen, as far as it must know it to go on."""

from typing import ClassVar, Self

from pydantic import Field

from mri_guard.records import Finite, Record


class State(Record):
    """Where one monitor stands; stored as JSON between two scans.

    Attributes:
        running: names of the fields that begin again after an alarm; what was learnt is kept.
        scans: observations since the monitor was begun.
        statistic: what is compared with the monitor's limit; rises with the evidence of a change.
        alarm: the statistic has reached the limit; stands until the state is begun again.
    """

    running: ClassVar[tuple[str, ...]] = ()

    scans: int = Field(default=0, ge=0)
    statistic: Finite = 0.0
    alarm: bool = False

    def again(self) -> Self:
        """The state without its alarm and what led to it, with what it had learnt before."""
        fields = type(self).model_fields
        names = ("statistic", "alarm", *self.running)
        fresh = {name: fields[name].get_default(call_default_factory=True) for name in names}
        return self.model_copy(update=fresh)
