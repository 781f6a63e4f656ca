"""Does the mix of sequences, scanners or sites still have the shares that it had?

Scan by scan a window is filled; then it is compared with all scans before it by a G-test (Sokal and
Rohlf, Biometry, 2012, section 17.2) whose p-value comes from windows drawn out of both together:
exact whatever the shares and however rare a kind is. A window that passes joins those before it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import special

from mri_guard.determinism import generator
from mri_guard.monitoring.state import State

MOST_KINDS = 32
OTHER = "other"
"""What comes after so many kinds counts as one, so that nobody can fill the state with names."""

DRAWS = 9999


class MixState(State):
    """What came.

    Attributes:
        before: scans of each kind before the window.
        window: the same in the window.
    """

    running: ClassVar[tuple[str, ...]] = ("window",)

    before: dict[str, int] = Field(default_factory=dict)
    window: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mix:
    """Watches a kind of which each scan is one. The statistic is -log10 of the last window's p.

    Attributes:
        name: keeps its draws apart from those of others.
        level: of each test.
        seed: of its draws.
        learn: so many scans come before the first window.
        window: scans.
    """

    name: str
    level: float
    seed: int = 0
    learn: int = 200
    window: int = 50
    state: ClassVar[type[State]] = MixState

    @property
    def limit(self) -> float:
        """Of the statistic."""
        return float(-np.log10(self.level))

    def __call__(self, state: MixState, kind: str) -> MixState:
        """The state after one more scan."""
        scans = state.scans + 1
        known = state.before | state.window
        kind = kind if kind in known or len(known) < MOST_KINDS else OTHER
        if scans <= self.learn:
            return state.model_copy(update={"scans": scans, "before": _with(state.before, kind)})
        window = _with(state.window, kind)
        moved = state.model_copy(update={"scans": scans, "window": window})
        if sum(window.values()) < self.window:
            return moved
        names = sorted(known | window)
        counts = np.array(
            [[part.get(name, 0) for name in names] for part in (state.before, window)]
        )
        statistic = float(-np.log10(p_value(counts, generator(self.seed, self.name, scans))))
        changed = statistic >= self.limit
        together = dict(zip(names, counts.sum(0).tolist(), strict=True))
        return MixState(
            scans=scans,
            statistic=statistic,
            alarm=state.alarm or changed,
            before=state.before if changed else together,
        )


def p_value(counts: NDArray[np.int64], rng: np.random.Generator, draws: int = DRAWS) -> float:
    """How often a window drawn from both rows together differs from the rest at least as much.

    Args:
        counts: int64, (2, kinds): before the window, and in it.
        rng: draws the windows.
        draws: of them; the smallest p-value is 1 / (draws + 1).
    """
    pooled = counts.sum(0)
    drawn = rng.multivariate_hypergeometric(pooled, int(counts[1].sum()), size=draws)
    # G depends on the draw by both rows' sums of n log n alone; the margins fix the rest.
    seen = _n_log_n(counts[1]) + _n_log_n(pooled - counts[1])
    null = _n_log_n(drawn) + _n_log_n(pooled - drawn)
    return (1 + int(np.sum(null >= seen - 1e-9))) / (draws + 1)


def _n_log_n(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(special.xlogy(counts, counts).sum(-1))


def _with(counts: dict[str, int], kind: str) -> dict[str, int]:
    return counts | {kind: counts.get(kind, 0) + 1}
