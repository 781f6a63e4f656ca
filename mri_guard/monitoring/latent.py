"""Do scans still look to the model as they did? Maximum mean discrepancy of its latent means.

The first scans are kept. Then windows are filled, one after the other, and each is compared with
the kept ones by the squared MMD with a Gaussian kernel (Gretton et al. 2012, JMLR 13, 723-773,
equation 3) of the median bandwidth (section 8). The p-value comes from permutations of kept and new
scans: it is exact where they are exchangeable. One test a window, on some 250 scans: a scan costs a
few milliseconds on average, and most of them nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.monitoring.state import State
from mri_guard.records import Finite

PERMUTATIONS = 9999
DIGITS = 5
"""Significant ones that are stored of each number."""

Vector = tuple[Finite, ...]


class LatentState(State):
    """What is kept.

    Attributes:
        kept: latent means of the first scans.
        window: of those since the last test.
    """

    running: ClassVar[tuple[str, ...]] = ("window",)

    kept: tuple[Vector, ...] = ()
    window: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Latent:
    """Watches latent means. The statistic is -log10 of the last window's p-value.

    Attributes:
        level: of each test.
        seed: of the permutations.
        learn: so many scans are kept.
        window: scans.
    """

    level: float
    seed: int = 0
    learn: int = 200
    window: int = 50
    state: ClassVar[type[State]] = LatentState

    @property
    def limit(self) -> float:
        """Of the statistic."""
        return float(-np.log10(self.level))

    def __call__(self, state: LatentState, means: Sequence[float]) -> LatentState:
        """The state after one more scan.

        Args:
            state: before it.
            means: `VaeScorer.latent_means`, as long as those before.

        Raises:
            ValueError: another length than those before, or not finite.
        """
        if not np.isfinite(means).all():
            raise ValueError("latent means are not finite")
        seen = tuple(float(f"{value:.{DIGITS}g}") for value in means)
        if state.kept and len(seen) != len(state.kept[0]):
            raise ValueError(f"{len(seen)} latent means; wanted {len(state.kept[0])}")
        scans = state.scans + 1
        if scans <= self.learn:
            return state.model_copy(update={"scans": scans, "kept": (*state.kept, seen)})
        window = (*state.window, seen)
        if len(window) < self.window:
            return state.model_copy(update={"scans": scans, "window": window})
        rng = generator(self.seed, "latent", scans)
        statistic = float(-np.log10(p_value(np.array(state.kept), np.array(window), rng)))
        return LatentState(
            scans=scans,
            statistic=statistic,
            alarm=state.alarm or statistic >= self.limit,
            kept=state.kept,
        )


def kernel(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian kernel of all pairs, in units of each coordinate's spread, bandwidth the median.

    Args:
        points: float64, (n, d).

    Returns:
        float64, (n, n), in (0, 1].
    """
    spread = points.std(0)
    scaled = points / np.where(spread > 0, spread, 1.0)
    squares = (scaled**2).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * scaled @ scaled.T, 0.0)
    median = np.median(distances[np.triu_indices(len(points), 1)])
    return np.asarray(np.exp(-distances / (median if median > 0 else 1.0)))


def mmd2(gram: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbiased squared MMD between some points and the rest.

    Args:
        gram: float64, (n, n), a kernel with ones on its diagonal.
        second: float64, (splits, n), 1 for the points of the second sample, equally many in each.

    Returns:
        float64, (splits,).
    """
    n, size = len(gram), int(second[0].sum())
    inside = np.einsum("sn,sn->s", second @ gram, second)
    across = second @ gram.sum(1) - inside
    outside = gram.sum() - inside - 2 * across
    rest = n - size
    return np.asarray(
        (inside - size) / (size * (size - 1))
        + (outside - rest) / (rest * (rest - 1))
        - 2 * across / (size * rest)
    )


def p_value(
    kept: NDArray[np.float64],
    window: NDArray[np.float64],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """How often a random split of both is at least as far apart.

    Args:
        kept: float64, (m, d).
        window: float64, (w, d), of at least 2.
        rng: permutes.
        permutations: the smallest p-value is 1 / (permutations + 1).
    """
    gram = kernel(np.concatenate([kept, window]))
    split = np.zeros((1, len(gram)))
    split[0, len(kept) :] = 1
    null = mmd2(gram, rng.permuted(np.repeat(split, permutations, axis=0), axis=1))
    return (1 + int(np.sum(null >= mmd2(gram, split)[0] - 1e-12))) / (permutations + 1)
