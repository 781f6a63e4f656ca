"""Two-sided CUSUM on normal scores: has the level of the scores moved?

Page 1954 (Biometrika 41, 100-115): upper = max(0, upper + z - k), lower = max(0, lower - z - k).
With k half of a shift it is the quickest chart to find that shift for its rate of false alarms
(Moustakides 1986, Annals of Statistics 14, 1379-1387).
"""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.monitoring.state import State

Number = TypeVar("Number", float, NDArray[np.float64])


class CusumState(State):
    """Where the chart stands.

    Attributes:
        upper: evidence that scores have risen.
        lower: that they have fallen.
    """

    running: ClassVar[tuple[str, ...]] = ("upper", "lower")

    upper: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    lower: float = Field(default=0.0, ge=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Cusum:
    """Watches independent standard normal values for a shift of their mean, either way.

    Attributes:
        limit: of the larger sum, in standard deviations.
        allowance: k, standard deviations; half of the shift that is to be found soonest.
    """

    limit: float
    allowance: float = 0.25
    state: ClassVar[type[State]] = CusumState

    def __call__(self, state: CusumState, z: float) -> CusumState:
        """The state after one more scan.

        Args:
            state: before it.
            z: `ranks.normal_score` of its p-value.
        """
        upper, lower = step(state.upper, state.lower, z, self.allowance)
        statistic = float(max(upper, lower))
        return CusumState(
            scans=state.scans + 1,
            statistic=statistic,
            alarm=state.alarm or statistic >= self.limit,
            upper=float(upper),
            lower=float(lower),
        )


def step(upper: Number, lower: Number, z: Number, allowance: float) -> tuple[Number, Number]:
    """Both sums after one more value, of one stream or of many at once."""
    return np.maximum(0.0, upper + z - allowance), np.maximum(0.0, lower - z - allowance)
