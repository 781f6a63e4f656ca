"""Bernoulli CUSUM: does something happen more often than it did at first?

Reynolds and Stoumbos 1999 (Journal of Quality Technology 31(1), 87-108): S = max(0, S + log
likelihood ratio of the unacceptable rate to the acceptable one). The unacceptable rate has
`ODDS_RATIO` times the odds of the acceptable one, as in Steiner et al. 2000 (Biostatistics 1(4),
441-452).

What is acceptable at a site is learnt from its first scans. Their plain share would be too low at
half of all sites, and a chart adds that up scan by scan; so the acceptable rate is an upper
confidence bound of it, rounded up to a rate that `limits` was simulated for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.monitoring.state import State

ODDS_RATIO = 2.0
CONFIDENCE = 0.99
"""That the true rate is at most the bound, over the draw of the first scans."""

Number = TypeVar("Number", float, NDArray[np.float64])


class RateState(State):
    """Where the chart stands.

    Attributes:
        events: among the first scans, while they are learnt from.
        acceptable: rate, once it is known.
        total: the chart's sum.
    """

    running: ClassVar[tuple[str, ...]] = ("total",)

    events: int = Field(default=0, ge=0)
    acceptable: float | None = Field(default=None, gt=0, lt=1)
    total: float = Field(default=0.0, ge=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """Watches whether something happens to a scan. The statistic is the sum's share of its limit.

    Attributes:
        limits: of the sum, by acceptable rate.
        learn: so many scans tell what is acceptable.
        limit: of the statistic.
    """

    limits: Mapping[float, float]
    learn: int = 200
    limit: float = 1.0
    state: ClassVar[type[State]] = RateState

    def __call__(self, state: RateState, happened: bool) -> RateState:
        """The state after one more scan."""
        scans, rate = state.scans + 1, state.acceptable
        if rate is None or rate not in self.limits:  # not known yet, or learnt by another version
            events = state.events + happened
            known = self.acceptable(events) if scans >= self.learn else None
            return RateState(scans=scans, events=events, acceptable=known)
        total = step(state.total, float(happened), rate)
        statistic = float(total) / self.limits[rate]
        return RateState(
            scans=scans,
            statistic=statistic,
            alarm=state.alarm or statistic >= self.limit,
            events=state.events,
            acceptable=rate,
            total=float(total),
        )

    def acceptable(self, events: int) -> float:
        """Smallest rate with a limit that is not below the upper bound; the largest if all are."""
        _, high = clopper_pearson(events, self.learn, 2 * CONFIDENCE - 1)
        rates = sorted(self.limits)
        return next((rate for rate in rates if rate >= high), rates[-1])


def step(total: Number, happened: Number, acceptable: float) -> Number:
    """The sum after one more scan, of one stream or of many at once.

    Args:
        total: before it.
        happened: 1 or 0.
        acceptable: rate, in (0, 1).
    """
    bad = ODDS_RATIO * acceptable / (1 - acceptable + ODDS_RATIO * acceptable)
    yes, no = np.log(bad / acceptable), np.log((1 - bad) / (1 - acceptable))
    after: Number = np.maximum(0.0, total + no + (yes - no) * happened)
    return after
