"""Budgets of false flags: a rate among healthy scans, or a number of them a day."""

from typing import Self

from pydantic import Field, model_validator

from mri_guard.calibration.threshold import rank, smallest_count, workload_count, workload_rank
from mri_guard.records import PValue, Record


class Rate(Record):
    """At most this share of healthy scans is flagged.

    Attributes:
        alpha: the share, held except with a probability over the draw of the calibration scans.
    """

    alpha: PValue

    def rank(self, n: int, delta: float) -> int:
        """As `threshold.rank`, which says what it raises."""
        return rank(n, self.alpha, delta)

    def smallest_count(self, delta: float) -> int:
        """Healthy scores below which there is no threshold."""
        return smallest_count(self.alpha, delta)

    @property
    def name(self) -> str:
        """As figures are named: two digits after the point, more where it has more."""
        return f"{self.alpha:.2f}" if round(self.alpha, 2) == self.alpha else f"{self.alpha:g}"

    def __str__(self) -> str:
        """In words."""
        return f"a false-positive rate of at most {self.alpha:g}"


class Workload(Record):
    """At most so many healthy scans a day are flagged.

    Attributes:
        at_most: false flags that a day may have.
        per_day: healthy scans of a day.
    """

    at_most: int = Field(ge=0)
    per_day: int = Field(ge=1)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.at_most >= self.per_day:
            raise ValueError(
                f"at most {self.at_most} of {self.per_day} scans a day is no limit; "
                f"wanted fewer than {self.per_day}"
            )
        return self

    def rank(self, n: int, delta: float) -> int:
        """As `threshold.workload_rank`, which says what it raises."""
        return workload_rank(n, self.at_most, self.per_day, delta)

    def smallest_count(self, delta: float) -> int:
        """Healthy scores below which there is no threshold."""
        return workload_count(self.at_most, self.per_day, delta)

    @property
    def name(self) -> str:
        """As figures are named."""
        return f"{self.at_most}_of_{self.per_day}_a_day"

    def __str__(self) -> str:
        """In words."""
        return f"at most {self.at_most} false flags among {self.per_day} healthy scans a day"


Budget = Rate | Workload
