"""Conformal test martingale: are the scans still exchangeable with those before them?

It bets against the uniformity of the online p-values, by the simple jumper (Vovk, Petej,
Nouretdinov, Ahlberg, Carlsson and Gammerman 2021, Retrain or not retrain, PMLR 152, 191-210,
arXiv:2102.10439, algorithm 1): capital is spread over bets f(p) = 1 + epsilon (p - 1/2), and a
little of it moves from each to all others at every scan. From 1 it grows to c with probability
1/c at most while scans are exchangeable, however long one watches (Ville 1939).

Capital that shrank for a year does not notice a change. So the monitor restarts by the procedure of
Shiryaev and Roberts: one martingale is begun at every scan, and their sum R is watched. R - n is a
martingale, therefore P(R reaches c within n scans) <= n / c (Doob): a limit without simulation.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mri_guard.monitoring.state import State
from mri_guard.records import Finite

BETS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Epsilon. Those below 0 bet on small p-values, which are those of scores that have risen. The
paper's are -1, 0, 1; a shift of half a standard deviation is best bet on with 1.66."""

JUMP = 0.01
"""Share of each bet's capital that is spread anew at every scan; as in the paper."""

LARGEST = 1e300


class MartingaleState(State):
    """Where the bets stand.

    Attributes:
        capital: of each of `BETS`, all martingales together; empty before the first scan.
    """

    running: ClassVar[tuple[str, ...]] = ("capital",)

    capital: tuple[Finite, ...] = ()


@dataclass(frozen=True, slots=True)
class Martingale:
    """Watches p-values for anything but uniform ones. The statistic is log10 R.

    Attributes:
        limit: log10 of c.
    """

    limit: float
    state: ClassVar[type[State]] = MartingaleState

    def __call__(self, state: MartingaleState, p: float) -> MartingaleState:
        """The state after one more scan.

        Args:
            state: before it.
            p: its smoothed online p-value.
        """
        begun = np.array(state.capital or np.zeros(len(BETS)))
        capital = bet(begun + 1 / len(BETS), np.float64(p)).clip(max=LARGEST)
        statistic = float(np.log10(capital.sum()))
        return MartingaleState(
            scans=state.scans + 1,
            statistic=statistic,
            alarm=state.alarm or statistic >= self.limit,
            capital=tuple(capital.tolist()),
        )


def bet(capital: NDArray[np.float64], p: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Capital of each bet after one more scan.

    Args:
        capital: float64, (..., bets).
        p: (...).
    """
    bets = np.array(BETS)
    jumped = (1 - JUMP) * capital + JUMP / len(BETS) * capital.sum(-1, keepdims=True)
    return np.asarray(jumped * (1 + bets * (np.asarray(p)[..., None] - 0.5)))


def capital_path(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Capital of one martingale that is begun with 1 and never restarted, scan by scan.

    Args:
        p: float64, (streams, n).

    Returns:
        float64, (streams, n).
    """
    capital = np.full((len(p), len(BETS)), 1 / len(BETS))
    path = np.empty_like(p)
    for number, column in enumerate(p.T):
        capital = bet(capital, column).clip(max=LARGEST)
        path[:, number] = capital.sum(1)
    return path
