"""Which kinds of synthetic lesions to draw: those oftener that the model does not undo yet."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MEMORY = 0.98
"""Share of the old estimate that stays with each new lesion of a kind."""

EVEN_SHARE = 0.5
"""Share of the draws that goes to all kinds alike: what cannot be undone must not take them all."""


def odds(difficulty: Sequence[float]) -> NDArray[np.float64]:
    """Probability of each kind, (n,).

    Args:
        difficulty: of each kind: 0 where its lesions are undone, 1 where they stay.
    """
    hard = np.asarray(difficulty, dtype=np.float64)
    total = hard.sum()
    by_difficulty = hard / total if total > 0 else np.full(len(hard), 1 / len(hard))
    return EVEN_SHARE / len(hard) + (1 - EVEN_SHARE) * by_difficulty


def learnt(
    difficulty: Sequence[float], drawn: Sequence[int], undone: Sequence[float]
) -> list[float]:
    """The difficulty of each kind after a batch.

    Args:
        difficulty: before it.
        drawn: kind of each lesion.
        undone: of each of them, the share of its change that the model undid; cut to 0..1.
    """
    after = list(difficulty)
    for kind, share in zip(drawn, undone, strict=True):
        left = 1 - min(1.0, max(0.0, share))
        after[kind] = MEMORY * after[kind] + (1 - MEMORY) * left
    return after
