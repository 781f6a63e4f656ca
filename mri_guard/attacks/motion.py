"""Adversarial motion: a head that moved when and where it does most harm."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Search, Threat, Victim
from mri_guard.attacks.physics import Moves, image_gradient, promise, seek

SMALL = 0.1
"""Share of the largest moves that are tried too."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Tries the times of moves that the clean gradient likes best and random ones, and climbs to
    the worst shifts and turns of the best.

    Times are drawn as `artifacts.Motion` does: the head lies at rest while the middle of k-space is
    acquired.

    Attributes:
        compared: times, drawn, of which the gradient is asked.
        liked: so many of them are tried.
        draws: random moves that are tried too.
        starts: the best so many of all are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "motion"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.3
    """Moves of up to 1.5 mm along each axis and 1.5 degrees."""
    compared: int = 24
    liked: int = 8
    draws: int = 8
    starts: int = 2
    steps: int = 12

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any moves came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows moves of 5 mm along each axis and 5 degrees.
            rng: draws times and starts.
        """
        search = Search(victim)
        gradient = image_gradient(search)
        every = [_drawn(victim, epsilon, rng) for _ in range(self.compared)]
        promised = sorted(((*promise(m, gradient), m) for m in every), key=lambda one: -one[0])
        candidates = [
            (moves, size * start)  # a small move may do more harm than a large one
            for _, start, moves in promised[: self.liked]
            for size in (1.0, SMALL)
        ]
        for _ in range(self.draws):
            moves = _drawn(victim, epsilon, rng)
            candidates.append((moves, moves.draw(rng)))
        seek(search, candidates, starts=self.starts, steps=self.steps)
        return search.found()


def _drawn(victim: Victim, epsilon: float, rng: np.random.Generator) -> Moves:
    """Moves after one to three sudden jumps."""
    jumps = rng.uniform(0, 1, int(rng.integers(1, 4)))
    edges = pairwise([0.0, *sorted(jumps.tolist()), 1.0])
    times = tuple((start, end) for start, end in edges if not start <= 0.5 < end)
    return Moves(victim, epsilon, times, 0 if rng.random() < 0.5 else 1)
