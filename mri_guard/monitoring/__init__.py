"""Does what comes in still look like what the bundle was assessed on? One monitor a file.

A monitor is a frozen value: `monitor(state, seen)` gives the state after one more scan, which can
be stored as JSON and gone on from after a restart. Its alarm stands until its state is begun again.
Limits hold a stated rate of false alarms over a stated number of scans (`limits`) while scans are
exchangeable with those before them. So a change that comes more slowly than scans do becomes part
of what is compared with, and scans that come in clumps of one kind raise more alarms than stated.
"""

from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from mri_guard.monitoring.cusum import Cusum
from mri_guard.monitoring.latent import Latent
from mri_guard.monitoring.limits import Limits, per_window, restarted, shipped
from mri_guard.monitoring.martingale import Martingale
from mri_guard.monitoring.mix import Mix
from mri_guard.monitoring.ranks import Ranks, normal_score, smoothed_p_value
from mri_guard.monitoring.rates import Rate
from mri_guard.monitoring.state import State

WINDOW = 50
"""Scans that `Mix` and `Latent` look at together."""


class Monitor(Protocol):
    """Watches one thing about the scans, one after the other."""

    state: ClassVar[type[State]]

    @property
    def limit(self) -> float:
        """An alarm is raised where the state's statistic reaches it."""

    def __call__(self, state: Any, seen: Any, /) -> State:
        """The state after one more scan."""


def monitors(limits: Limits) -> MappingProxyType[str, Monitor]:
    """Every monitor by its name, which is a label of metrics and alarms.

    Args:
        limits: that were simulated; `shipped()` gives those that come with the package.
    """
    level = per_window(WINDOW)
    rate = Rate(limits.rates)
    return MappingProxyType(
        {
            "score_cusum": Cusum(limits.cusum, limits.allowance),
            "score_martingale": Martingale(restarted()),
            "sequence_mix": Mix("sequence_mix", level, window=WINDOW),
            "scanner_mix": Mix("scanner_mix", level, window=WINDOW),
            "site_mix": Mix("site_mix", level, window=WINDOW),
            "latent_mmd": Latent(level, window=WINDOW),
            "refusal_rate": rate,
            "perturbation_rate": rate,
            "override_rate": rate,
        }
    )


__all__ = [
    "Cusum",
    "Latent",
    "Limits",
    "Martingale",
    "Mix",
    "Monitor",
    "Ranks",
    "Rate",
    "State",
    "monitors",
    "normal_score",
    "shipped",
    "smoothed_p_value",
]
